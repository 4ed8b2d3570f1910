//! The options of a connection that may use TLS.

use std::path::PathBuf;

use acteon_core::{BuildError, Faults};
use rustls::ClientConfig;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::certificates::{ClientCertificate, certified};
use crate::trust::trusting_file;

/// Certificates and keys. Each adapter flattens them into its own options, not into others that are flattened:
/// `deny_unknown_fields` would then refuse all of these.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct TlsOptions {
    /// A PEM file of certificate authorities to trust instead of those of the system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// A PEM file of the client certificate, followed by its intermediate certificates.
    #[serde(default)]
    pub client_cert: Option<PathBuf>,
    /// A PEM file of the private key of `client_cert`.
    #[serde(default)]
    pub client_key: Option<PathBuf>,
}

impl TlsOptions {
    /// True if one of them is given.
    pub fn is_given(&self) -> bool {
        let given = [&self.ca_file, &self.client_cert, &self.client_key];
        given.iter().any(|option| option.is_some())
    }

    /// Reads the files. Without a file of authorities, `of_system` has the configuration that trusts those of the
    /// system.
    ///
    /// # Errors
    /// All files that cannot be used.
    pub fn client_config(
        &self,
        of_system: impl FnOnce() -> Result<ClientConfig, BuildError>,
    ) -> Result<ClientConfig, BuildError> {
        let mut faults = Faults::default();
        let trusted = match &self.ca_file {
            Some(path) => trusting_file("ca_file", path),
            None => of_system(),
        };
        let trusted = faults.keep(trusted);
        let certificate = faults.keep(self.client_certificate());
        let (mut config, certificate) = faults.end(trusted.zip(certificate))?;
        if let Some(certificate) = certificate {
            config.client_auth_cert_resolver = certificate;
        }
        Ok(config)
    }

    /// Refuses options for a connection that does not use TLS. `why` says so, such as `` `url` is not https ``.
    ///
    /// # Errors
    /// All options that are given.
    pub fn refuse(&self, why: &str) -> Result<(), BuildError> {
        let mut faults = Faults::default();
        for (option, value) in [
            ("ca_file", &self.ca_file),
            ("client_cert", &self.client_cert),
            ("client_key", &self.client_key),
        ] {
            if value.is_some() {
                let message = format!("has no effect, because {why}");
                faults.keep::<()>(Err(BuildError::at(option, message)));
            }
        }
        faults.end(Some(()))
    }

    fn client_certificate(&self) -> Result<Option<ClientCertificate>, BuildError> {
        match (&self.client_cert, &self.client_key) {
            (None, None) => Ok(None),
            (Some(_), None) => Err(BuildError::at("client_key", "`client_cert` requires it")),
            (None, Some(_)) => Err(BuildError::at("client_cert", "`client_key` requires it")),
            (Some(certificate), Some(key)) => certified(certificate, key).map(Some),
        }
    }
}
