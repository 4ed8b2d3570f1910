//! The options of the `webhook` sink.

use std::collections::BTreeMap;

use acteon_core::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where to send, what, and with which credentials.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where to send: `http` or `https`. A secret, since many hooks have a token in their path.
    pub url: Secret,
    /// The method.
    #[serde(default)]
    pub method: Method,
    /// What is sent.
    #[serde(default)]
    pub body: Body,
    /// Further headers. Values may be secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Credentials for the `Authorization` header.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Networks that may be connected to although they are not public, such as `10.0.0.0/8`.
    #[serde(default)]
    pub allow_cidrs: Vec<String>,
    /// The statuses that are successes, in place of every 2xx.
    #[serde(default)]
    #[schemars(length(min = 1), inner(range(min = 200, max = 599)))]
    pub success_codes: Option<Vec<u16>>,
}

/// The method of the request: one that has a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs)]
pub enum Method {
    #[default]
    Post,
    Put,
    Patch,
}

/// What the request's body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// The whole action.
    #[default]
    Action,
    /// Its payload alone.
    Payload,
}

/// Credentials for the `Authorization` header.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Auth {
    /// A token.
    #[allow(missing_docs)]
    Bearer { token: Secret },
    /// A user and a password.
    #[allow(missing_docs)]
    Basic { username: String, password: Secret },
}
