//! Whom a client trusts: the authorities of the system, or those of a file and no others.

use std::path::Path;
use std::sync::Arc;

use acteon_core::BuildError;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::certificates::{certificates, provider};

/// A configuration that trusts exactly `roots`.
///
/// # Errors
/// If the TLS library supports no version of the protocol.
pub fn trusting(roots: RootCertStore) -> Result<ClientConfig, BuildError> {
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| BuildError::new("TLS cannot be used").with_source(error))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// A configuration that trusts exactly the authorities in a PEM file, named by the option `option`.
///
/// # Errors
/// If the file contains no certificate, or one that cannot be used.
pub fn trusting_file(option: &str, path: &Path) -> Result<ClientConfig, BuildError> {
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

/// A configuration that trusts the authorities of this system. `SSL_CERT_FILE` and `SSL_CERT_DIR` name other locations.
/// `option` is the option that enables TLS.
///
/// # Errors
/// If the system has no authorities.
pub fn trusting_the_system(option: &str) -> Result<ClientConfig, BuildError> {
    verified_by_the_system().map_err(|error| {
        let message = "TLS cannot be used: this system has no root certificates; install `ca-certificates`, \
                       or set the environment variable SSL_CERT_FILE to a file of certificates";
        BuildError::at(option, message).with_source(error)
    })
}

fn verified_by_the_system() -> Result<ClientConfig, rustls::Error> {
    let verifier = Verifier::new(provider())?;
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions()?;
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    Ok(builder.with_no_client_auth())
}
