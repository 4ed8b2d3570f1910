//! Root certificates: those of the system, read once and shared by all sinks of a factory, or those of a file.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use acteon_core::{BuildError, Faults};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::certificates::{certificates, provider};
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
        if !target.uses_tls() {
            return trusting(RootCertStore::empty());
        }
        let mut faults = Faults::default();
        let trusted = match &options.ca_file {
            Some(path) => Self::of_file("ca_file", path),
            None => self.of_system(target.option()),
        };
        let trusted = faults.keep(trusted);
        let certificate = faults.keep(options.client_certificate());
        let (mut config, certificate) = faults.end(trusted.zip(certificate))?;
        if let Some(certificate) = certificate {
            config.client_auth_cert_resolver = certificate;
        }
        Ok(config)
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
        let mut roots = RootCertStore::empty();
        for certificate in certificates(option, path)? {
            roots.add(certificate).map_err(|error| {
                let message = format!(
                    "{} contains a certificate that cannot be used",
                    path.display()
                );
                BuildError::at(option, message).with_source(error)
            })?;
        }
        trusting(roots)
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

fn unusable(option: &str, error: rustls::Error) -> BuildError {
    let message = "TLS cannot be used: this system has no root certificates; install `ca-certificates`, \
                   or set the environment variable SSL_CERT_FILE to a file of certificates";
    BuildError::at(option, message).with_source(error)
}
