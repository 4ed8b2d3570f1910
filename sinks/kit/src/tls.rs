//! Root certificates: those of the system, read once and shared by all sinks of a factory, or those of a file.

use std::sync::{Arc, OnceLock};

use acteon_connect_tls::{trusting, trusting_the_system};
use acteon_core::BuildError;
use rustls::{ClientConfig, RootCertStore};

use crate::connection::ConnectionOptions;
use crate::target::TargetUrl;

/// The system's root certificates, read when the first `https` URL needs them. `SSL_CERT_FILE` and `SSL_CERT_DIR` name
/// other locations.
#[derive(Clone, Default)]
pub struct Roots(Arc<OnceLock<ClientConfig>>);

impl Roots {
    /// The configuration for connecting to `target`. Plain HTTP needs no certificates, and redirects to TLS are not
    /// followed, so an `http` sink works on a system without certificates.
    pub(crate) fn config(
        &self,
        target: &TargetUrl,
        options: &ConnectionOptions,
    ) -> Result<ClientConfig, BuildError> {
        options.check(target)?;
        let mut config = match target.uses_tls() {
            false => trusting(RootCertStore::empty())?,
            true => options
                .tls()
                .client_config(|| self.of_system(target.option()))?,
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    /// A configuration that trusts the authorities of this system. `option` is the option that enables TLS.
    pub(crate) fn of_system(&self, option: &str) -> Result<ClientConfig, BuildError> {
        if let Some(config) = self.0.get() {
            return Ok(config.clone());
        }
        let config = trusting_the_system(option)?;
        Ok(self.0.get_or_init(|| config).clone())
    }
}
