//! Root certificates: those of the system, read once and shared by all sinks of a factory, or those of a file.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use acteon_core::BuildError;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
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
        self.of_system("url")
    }

    /// A configuration that trusts the authorities of this system. `option` is the option that enables TLS.
    pub(crate) fn of_system(&self, option: &str) -> Result<ClientConfig, BuildError> {
        if let Some(config) = self.0.get() {
            return Ok(config.clone());
        }
        let config = trusting_the_system().map_err(|error| unusable(option, error))?;
        Ok(self.0.get_or_init(|| config).clone())
    }

    /// A configuration that trusts exactly the authorities in a PEM file, named by the option `option`.
    pub(crate) fn of_file(option: &str, path: &Path) -> Result<ClientConfig, BuildError> {
        let invalid = |what: &str| BuildError::at(option, format!("{} {what}", path.display()));
        let certificates = CertificateDer::pem_file_iter(path)
            .map_err(|error| invalid("cannot be read").with_source(error))?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            let certificate =
                certificate.map_err(|error| invalid("is not a PEM file").with_source(error))?;
            let added = roots.add(certificate);
            added.map_err(|error| {
                invalid("contains a certificate that cannot be used").with_source(error)
            })?;
        }
        match roots.is_empty() {
            true => Err(invalid("contains no certificate")),
            false => trusting(roots),
        }
    }
}

/// A configuration that trusts exactly `roots`.
pub(crate) fn trusting(roots: RootCertStore) -> Result<ClientConfig, BuildError> {
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| BuildError::new("TLS cannot be used").with_source(error))?;
    Ok(with_protocols(
        builder.with_root_certificates(roots).with_no_client_auth(),
    ))
}

fn trusting_the_system() -> Result<ClientConfig, rustls::Error> {
    let verifier = Verifier::new(provider())?;
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions()?;
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

fn unusable(option: &str, error: rustls::Error) -> BuildError {
    let message = "TLS cannot be used: this system has no root certificates; install `ca-certificates`, \
                   or set the environment variable SSL_CERT_FILE to a file of certificates";
    BuildError::at(option, message).with_source(error)
}
