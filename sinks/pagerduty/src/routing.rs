//! Chooses the routing key: the one of the only service, or of the service that the payload names.

use std::collections::BTreeMap;

use acteon_core::{BuildError, FailureCode, Faults, Secret, SinkError};

use crate::config::PagerDutyConfig;

/// The length of every routing key.
const KEY_CHARACTERS: usize = 32;

/// The routing keys.
pub(crate) struct Routing {
    services: BTreeMap<String, Secret>,
    default: Option<Secret>,
}

impl Routing {
    /// The routing of these options.
    ///
    /// # Errors
    /// All options that cannot work.
    pub(crate) fn new(config: &PagerDutyConfig) -> Result<Self, BuildError> {
        let mut faults = Faults::default();
        if config.routing_key.is_some() && !config.services.is_empty() {
            let message = "set either this or `routing_key`";
            faults.keep::<()>(Err(BuildError::at("services", message)));
        }
        if config.routing_key.is_none() && config.services.is_empty() {
            let message = "set this or `services`";
            faults.keep::<()>(Err(BuildError::at("routing_key", message)));
        }
        if let Some(key) = &config.routing_key {
            faults.keep(check("routing_key".to_owned(), key));
        }
        for (name, key) in &config.services {
            faults.keep(check(format!("services.{name}"), key));
        }
        let default = match &config.default_service {
            None => config.routing_key.clone(),
            Some(name) => {
                let found = config.services.get(name).cloned();
                let message = "this is not a name in `services`";
                faults.keep(found.ok_or_else(|| BuildError::at("default_service", message)))
            }
        };
        faults.end(Some(Self {
            services: config.services.clone(),
            default,
        }))
    }

    /// Every routing key.
    pub(crate) fn keys(&self) -> Vec<Secret> {
        let all = self.services.values().chain(&self.default);
        all.cloned().collect()
    }

    /// The name of the service to which this routing key belongs: the first one in alphabetical order. Empty if
    /// services have no names.
    pub(crate) fn service(&self, key: &Secret) -> &str {
        let mut services = self.services.iter();
        let found = services.find(|(_, known)| known.expose() == key.expose());
        found.map_or("", |(name, _)| name)
    }

    /// The routing key of a service, or of the default.
    ///
    /// # Errors
    /// A permanent error if there is none.
    pub(crate) fn key(&self, service: Option<&str>) -> Result<&Secret, SinkError> {
        let invalid = |message| Err(SinkError::permanent(FailureCode::Serialization, message));
        match service {
            // A provider with one service has no names for services.
            Some(_) if self.services.is_empty() => self.key(None),
            Some(name) => match self.services.get(name) {
                Some(key) => Ok(key),
                None => invalid("`service_id` is not a name in `services`"),
            },
            None => match &self.default {
                Some(key) => Ok(key),
                None => invalid("`service_id` is missing, and there is no `default_service`"),
            },
        }
    }
}

fn check(option: String, key: &Secret) -> Result<(), BuildError> {
    let is_key = |text: &str| {
        text.len() == KEY_CHARACTERS && text.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let message = "must be a routing key: 32 letters and digits";
    is_key(key.expose())
        .then_some(())
        .ok_or_else(|| BuildError::at(option, message))
}
