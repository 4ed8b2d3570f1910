//! The options of the `webhook` sink.

use std::collections::BTreeMap;

use acteon_core::Secret;
use acteon_sinks_kit::ConnectionOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The options of a `webhook` provider.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// The URL: `http` or `https`. A secret, since many webhooks have a token in their path.
    pub url: Secret,
    /// The method of the request.
    #[serde(default)]
    pub method: Method,
    /// The body of the request.
    #[serde(default)]
    pub body: Body,
    /// Additional headers. Values may be secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Credentials for the `Authorization` header.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// The secret that signs each request by Standard Webhooks: `whsec_` or `whsk_`, and base64.
    #[serde(default)]
    pub signing_secret: Option<Secret>,
    /// Several secrets, which all sign: the new and the old one during a rotation.
    #[serde(default)]
    #[schemars(length(min = 1, max = 5))]
    pub signing_secrets: Option<Vec<Secret>>,
    /// The statuses that count as success, instead of every 2xx.
    #[serde(default)]
    #[schemars(length(min = 1), inner(range(min = 200, max = 599)))]
    pub success_codes: Option<Vec<u16>>,
    /// How to connect.
    #[serde(flatten)]
    pub connection: ConnectionOptions,
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

/// The body of the request.
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
