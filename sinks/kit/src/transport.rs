//! Converts an error of the HTTP library to an error that says what the caller may do. The message contains the host
//! and nothing from the library; the library's error is kept for the log, without the URL.

use std::error::Error;
use std::io;

use acteon_connect_tls::{causes, find_cause};
use acteon_core::{FailureCode, SinkError};
use rustls::AlertDescription;

use crate::address::RefusedAddress;

/// The error for a missing answer from `host`. The action is not at fault: every action would fail, for now or until
/// the configuration is fixed.
pub(crate) fn failure(error: reqwest::Error, host: &str) -> SinkError {
    let error = error.without_url();
    let failure = if let Some(refused) = find_cause::<RefusedAddress>(&error) {
        let message = format!("connecting to {host} is not allowed: {refused}");
        SinkError::provider_fault(FailureCode::Configuration, message)
    } else if error.is_builder() {
        let message = format!("these options do not make a valid request to {host}");
        SinkError::provider_fault(FailureCode::Configuration, message)
    } else if refuses_credentials(&error) {
        let message = format!("the proxy to {host} refused the credentials in `proxy`");
        SinkError::provider_fault(FailureCode::Configuration, message)
    } else if error.is_timeout() {
        SinkError::transient(
            FailureCode::Timeout,
            format!("{host} did not answer in time"),
        )
    } else if find_cause::<rustls::Error>(&error).is_some_and(is_lasting) || was_alerted(&error) {
        SinkError::provider_fault(FailureCode::Connection, unreachable(&error, host))
    } else {
        SinkError::transient(FailureCode::Connection, unreachable(&error, host))
    };
    failure.with_source(error)
}

/// Alerts of a server that will come again until one side is reconfigured.
const LASTING: &[AlertDescription] = &[
    AlertDescription::HandshakeFailure,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
    AlertDescription::ProtocolVersion,
    AlertDescription::UnrecognisedName,
    AlertDescription::CertificateRequired,
    AlertDescription::NoApplicationProtocol,
];

/// True if the handshake will fail until one side is reconfigured: a certificate is not trusted, or there is no common
/// version or cipher.
pub(crate) fn is_lasting(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(_)
        | rustls::Error::NoCertificatesPresented
        | rustls::Error::PeerIncompatible(_)
        | rustls::Error::UnsupportedNameType => true,
        rustls::Error::AlertReceived(alert) => LASTING.contains(alert),
        _ => false,
    }
}

/// True if the server ended the connection with such an alert after the handshake, as it does with a missing client
/// certificate. HTTP/2 keeps only the text of the error.
fn was_alerted(error: &reqwest::Error) -> bool {
    let texts = LASTING.iter().map(|alert| {
        let alert = rustls::Error::AlertReceived(*alert);
        alert.to_string()
    });
    let texts: Vec<_> = texts.collect();
    causes(error).any(|cause| texts.contains(&cause.to_string()))
}

/// True if the proxy answered CONNECT with 407. The HTTP library does not export its type, only the text.
fn refuses_credentials(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| cause.to_string() == "tunnel error: proxy authorization required")
}

fn unreachable(error: &reqwest::Error, host: &str) -> String {
    if error.is_dns() {
        format!("the name of {host} could not be resolved")
    } else if find_cause::<rustls::Error>(error).is_some() || was_alerted(error) {
        format!(
            "no TLS connection to {host}: the handshake failed, or its certificate is not trusted"
        )
    } else if error.is_connect() {
        match find_io(error) {
            Some(kind) => format!("no connection to {host}: {kind}"),
            None => format!("no connection to {host}"),
        }
    } else {
        format!("the connection to {host} broke before an answer arrived")
    }
}

/// The kind of the underlying I/O error, if there is one.
pub(crate) fn find_io(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let io = |cause: &'_ (dyn Error + 'static)| Some(cause.downcast_ref::<io::Error>()?.kind());
    causes(error).filter_map(io).last()
}
