//! The headers of a broker's message: those of the options, those of every message, and a CloudEvent's attributes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use acteon_core::{Attempt, BuildError, Faults, Secret};

use crate::message::{BrokerMessage, RESERVED_HEADERS, message_headers};

/// All headers but the content type, for which some protocols have a field. `prefix` is what the protocol's binding of
/// CloudEvents puts before the names of attributes.
pub fn broker_headers<'a>(
    configured: &'a BTreeMap<String, Secret>,
    message: &'a BrokerMessage<'_>,
    attempt: Attempt<'a>,
    prefix: &'static str,
) -> impl Iterator<Item = (Cow<'a, str>, &'a str)> {
    let configured = configured
        .iter()
        .map(|(name, value)| (Cow::from(name.as_str()), value.expose()));
    let of_all = message_headers(attempt).map(|(name, value)| (Cow::from(name), value));
    let attributes = message
        .attributes
        .iter()
        .map(move |(name, value)| (Cow::from(format!("{prefix}{name}")), value.as_str()));
    configured.chain(of_all).chain(attributes)
}

/// Refuses names of configured headers that Acteon sets itself.
///
/// # Errors
/// All names that cannot be used.
pub fn check_broker_headers(
    configured: &BTreeMap<String, Secret>,
    prefix: &str,
) -> Result<(), BuildError> {
    let mut faults = Faults::default();
    for name in configured.keys() {
        faults.keep(check(name, prefix));
    }
    faults.end(Some(()))
}

fn check(name: &str, prefix: &str) -> Result<(), BuildError> {
    let wrong = |why| Err(BuildError::at(format!("headers.{name}"), why));
    let lower = name.to_ascii_lowercase();
    if name.is_empty() {
        return wrong("the name must not be empty");
    }
    if RESERVED_HEADERS.contains(&lower.as_str()) || lower.starts_with(&prefix.to_ascii_lowercase())
    {
        return wrong("Acteon sets this header; remove it");
    }
    Ok(())
}
