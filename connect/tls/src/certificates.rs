//! Certificates and keys in PEM files, and the library that uses them.

use std::path::Path;
use std::sync::Arc;

use acteon_core::{BuildError, Faults};
use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

/// A client certificate with its key.
pub type ClientCertificate = Arc<dyn ResolvesClientCert>;

/// Reads the client certificate from the files of `client_cert` and `client_key`.
///
/// # Errors
/// If a file is not what it should be, or if they do not belong together.
pub fn certified(certificate: &Path, key: &Path) -> Result<ClientCertificate, BuildError> {
    let mut faults = Faults::default();
    let chain = faults.keep(certificates("client_cert", certificate));
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        let message = format!("{} is not a PEM file with a private key", key.display());
        BuildError::at("client_key", message).with_source(error)
    });
    let private = faults.keep(private);
    let (chain, private) = faults.end(chain.zip(private))?;
    let pair = CertifiedKey::from_der(chain, private, &provider()).map_err(|error| {
        let message = "the key does not belong to `client_cert`, or is of an unknown kind";
        BuildError::at("client_key", message).with_source(error)
    })?;
    Ok(Arc::new(SingleCertAndKey::from(pair)))
}

/// The certificates of the PEM file named by the option `option`; at least one.
///
/// # Errors
/// If the file cannot be read, or contains none.
pub fn certificates(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, BuildError> {
    let invalid = |what: &str| BuildError::at(option, format!("{} {what}", path.display()));
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(|error| invalid("cannot be read").with_source(error))?;
    let certificates = certificates.collect::<Result<Vec<_>, _>>();
    let certificates =
        certificates.map_err(|error| invalid("is not a PEM file").with_source(error))?;
    match certificates.is_empty() {
        true => Err(invalid("contains no certificate")),
        false => Ok(certificates),
    }
}

/// The provider that the process installed, if any.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let installed = CryptoProvider::get_default().cloned();
    installed.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()))
}
