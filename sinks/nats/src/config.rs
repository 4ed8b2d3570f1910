//! The options of the `nats` sink.

use std::collections::BTreeMap;

use acteon_connect_nats::{HeaderName, HeaderValue, NatsConnection, TlsOptions};
use acteon_core::{BuildError, Faults, Secret};
use acteon_sinks_kit::{MessageFormat, RoutingTemplate, check_broker_headers};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::message::{ATTRIBUTE_PREFIX, check_subject};

/// The options of a `nats` provider.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatsSinkConfig {
    /// The subject to publish to, such as `orders.{{ payload.region }}`. Each path in braces is one word of it.
    #[schemars(length(min = 1))]
    pub subject: String,
    /// The body of the message.
    #[serde(default)]
    pub body: MessageFormat,
    /// Additional headers. Values may be secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How to connect.
    #[serde(flatten)]
    pub connection: NatsConnection,
    /// Certificates and keys.
    #[serde(flatten)]
    pub tls: TlsOptions,
}

/// The prefix of headers that the server acts on, such as `Nats-Rollup`.
const OF_THE_SERVER: &str = "nats-";

impl NatsSinkConfig {
    /// Checks everything that can be checked without a server. Returns the subject.
    ///
    /// # Errors
    /// All options that cannot work.
    pub(crate) fn check(&self) -> Result<RoutingTemplate, BuildError> {
        let mut faults = Faults::default();
        faults.keep(self.connection.check(&self.tls));
        let subject = RoutingTemplate::parse(&self.subject).and_then(|template| {
            check_subject(&template.with_each("x"))?;
            Ok(template)
        });
        let subject = faults.keep(subject.map_err(|why| BuildError::at("subject", why)));
        faults.keep(check_broker_headers(&self.headers, ATTRIBUTE_PREFIX));
        for (name, value) in &self.headers {
            faults.keep(check_header(name, value.expose()));
        }
        faults.end(subject)
    }
}

fn check_header(name: &str, value: &str) -> Result<(), BuildError> {
    let wrong = |why| Err(BuildError::at(format!("headers.{name}"), why));
    if name.to_ascii_lowercase().starts_with(OF_THE_SERVER) {
        return wrong("the server acts on headers of this name; remove it");
    }
    if !name.is_empty() && name.parse::<HeaderName>().is_err() {
        return wrong("the name must consist of printable ASCII without `:`");
    }
    match value.parse::<HeaderValue>() {
        Ok(_) => Ok(()),
        Err(_) => wrong("the value must not contain line breaks"),
    }
}
