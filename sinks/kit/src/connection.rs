//! The options of every HTTP sink about its connections: allowed networks, certificates and a proxy.

use std::path::PathBuf;

use acteon_connect_tls::TlsOptions;
use acteon_core::{BuildError, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::target::TargetUrl;

/// How a sink connects. Each sink flattens them into its own options.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct ConnectionOptions {
    /// Networks to connect to although they are not public, such as `10.0.0.0/8`.
    #[serde(default)]
    pub allow_cidrs: Vec<String>,
    /// A PEM file of certificate authorities to trust instead of those of the system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// A PEM file of the client certificate, followed by its intermediate certificates.
    #[serde(default)]
    pub client_cert: Option<PathBuf>,
    /// A PEM file of the private key of `client_cert`.
    #[serde(default)]
    pub client_key: Option<PathBuf>,
    /// The HTTP proxy to connect through, such as `http://proxy.example.com:3128`. A secret, since it may contain a user
    /// and password.
    #[serde(default)]
    pub proxy: Option<Secret>,
}

impl ConnectionOptions {
    /// Those for TLS. They are not flattened, because these options are flattened themselves: `deny_unknown_fields`
    /// would then refuse them all.
    pub(crate) fn tls(&self) -> TlsOptions {
        TlsOptions {
            ca_file: self.ca_file.clone(),
            client_cert: self.client_cert.clone(),
            client_key: self.client_key.clone(),
        }
    }

    /// Refuses options for TLS if `target` does not use it.
    pub(crate) fn check(&self, target: &TargetUrl) -> Result<(), BuildError> {
        match target.uses_tls() {
            true => Ok(()),
            false => self
                .tls()
                .refuse(&format!("`{}` is not https", target.option())),
        }
    }
}
