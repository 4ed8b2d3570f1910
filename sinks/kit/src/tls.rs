//! The trusted certificates: the system's root certificates, read once and shared by all sinks of a factory.

use std::sync::{Arc, OnceLock};

use acteon_core::BuildError;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use url::Url;

/// The system's root certificates, read when the first `https` URL needs them. `SSL_CERT_FILE` and `SSL_CERT_DIR` name
/// other locations.
#[derive(Clone, Default)]
pub struct Roots(Arc<OnceLock<ClientConfig>>);

impl Roots {
    /// The configuration for connecting to `url`. Plain HTTP needs no certificates, and redirects to TLS are not
    /// followed, so an `http` sink works on a system without certificates.
    pub(crate) fn config(&self, url: &Url) -> Result<ClientConfig, BuildError> {
        if url.scheme() == "http" {
            return trusting(RootCertStore::empty());
        }
        if let Some(config) = self.0.get() {
            return Ok(config.clone());
        }
        let config = trusting_the_system()?;
        Ok(self.0.get_or_init(|| config).clone())
    }
}

/// A configuration that trusts exactly `roots`.
pub(crate) fn trusting(roots: RootCertStore) -> Result<ClientConfig, BuildError> {
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    Ok(with_protocols(
        builder.with_root_certificates(roots).with_no_client_auth(),
    ))
}

fn trusting_the_system() -> Result<ClientConfig, BuildError> {
    let verifier = Verifier::new(provider()).map_err(unusable)?;
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(with_protocols(builder.with_no_client_auth()))
}

fn with_protocols(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// The provider that the process installed, if any.
fn provider() -> Arc<CryptoProvider> {
    let installed = CryptoProvider::get_default().cloned();
    installed.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()))
}

fn unusable(error: rustls::Error) -> BuildError {
    let message = "https cannot be used: this system has no root certificates; install `ca-certificates`, \
                   or set the environment variable SSL_CERT_FILE to a file of certificates";
    BuildError::at("url", message).with_source(error)
}
