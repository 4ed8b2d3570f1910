//! The options of every HTTP sink about its connections: allowed networks, certificates and a proxy.

use std::path::PathBuf;

use acteon_core::{BuildError, Faults, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::certificates::{ClientCertificate, certified};
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
    /// Refuses options for TLS if `target` does not use it.
    pub(crate) fn check(&self, target: &TargetUrl) -> Result<(), BuildError> {
        if target.uses_tls() {
            return Ok(());
        }
        let mut faults = Faults::default();
        for (option, value) in [
            ("ca_file", &self.ca_file),
            ("client_cert", &self.client_cert),
            ("client_key", &self.client_key),
        ] {
            if value.is_some() {
                let message = format!("has no effect, because `{}` is not https", target.option());
                faults.keep::<()>(Err(BuildError::at(option, message)));
            }
        }
        faults.end(Some(()))
    }

    /// Reads the client certificate, if there is one.
    pub(crate) fn client_certificate(&self) -> Result<Option<ClientCertificate>, BuildError> {
        match (&self.client_cert, &self.client_key) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(BuildError::at("client_key", "`client_cert` requires it")),
            (None, Some(_)) => Err(BuildError::at("client_cert", "`client_key` requires it")),
            (Some(certificate), Some(key)) => certified(certificate, key).map(Some),
        }
    }
}
