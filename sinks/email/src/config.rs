//! The options of the `email` sink.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use acteon_core::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The upper limit of `max_recipients`. The results of all recipients travel in a header of each redelivery.
pub(crate) const RECIPIENTS_MAX: usize = 500;

/// The server, the sender and the limits.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailConfig {
    /// The sender: `alerts@example.com`, or with a name `Acteon <alerts@example.com>`.
    pub from_address: String,
    /// The SMTP server: a host name or an IP address.
    pub smtp_host: String,
    /// The port. Servers usually use 587 for `starttls`, 465 for `implicit` and 25 for `none`.
    #[serde(default = "submission_port")]
    #[schemars(range(min = 1))]
    pub smtp_port: u16,
    /// How the connection is encrypted.
    #[serde(default)]
    pub tls: SmtpTls,
    /// A PEM file of certificate authorities to trust instead of those of the system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The user to authenticate as. Default: no authentication.
    #[serde(default)]
    pub username: Option<String>,
    /// The password, or the access token for `xoauth2`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The AUTH mechanism. Default: `plain` if the server offers it, else `login`.
    #[serde(default)]
    pub auth: Option<SmtpAuth>,
    /// The host name in EHLO. Default: the name of this host if it contains a dot, else the address of the connection.
    #[serde(default)]
    pub hello_name: Option<String>,
    /// The names of the headers that payloads may set.
    #[serde(default)]
    pub allow_headers: Vec<String>,
    /// The maximum number of recipients of one message, up to 500.
    #[serde(default = "max_recipients")]
    #[schemars(range(max = 500))]
    pub max_recipients: NonZeroUsize,
    /// The part of `timeout_seconds` that is kept for the reply to the message. Default: a third.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub final_reply_seconds: Option<NonZeroU32>,
    /// Networks that the sink may connect to although they are not public, such as `10.0.0.0/8`.
    #[serde(default)]
    pub allow_cidrs: Vec<String>,
}

fn submission_port() -> u16 {
    587
}

fn max_recipients() -> NonZeroUsize {
    const { NonZeroUsize::new(50).unwrap() }
}

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// With STARTTLS. A server without it is an error.
    #[default]
    Starttls,
    /// With TLS from the first byte.
    Implicit,
    /// Not encrypted: messages and the password can be read on the network.
    None,
}

/// An AUTH mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SmtpAuth {
    /// Username and password in one line.
    Plain,
    /// Username and password in two lines.
    Login,
    /// An OAuth 2 access token as the password.
    Xoauth2,
}
