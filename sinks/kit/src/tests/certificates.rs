//! Servers with private certificates, and servers that require one of the client.

use std::path::PathBuf;
use std::sync::Arc;

use http::Version;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A self-signed certificate in files.
pub(super) struct Identity {
    pair: CertifiedKey<rcgen::KeyPair>,
    folder: TempDir,
}

impl Identity {
    pub(super) fn new() -> Self {
        let pair = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cert.pem"), pair.cert.pem()).unwrap();
        std::fs::write(
            folder.path().join("key.pem"),
            pair.signing_key.serialize_pem(),
        )
        .unwrap();
        Self { pair, folder }
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    /// A server with this certificate. With `client`, it requires that one of its clients.
    pub(super) async fn serve(
        &self,
        client: Option<&Self>,
        answers: impl IntoIterator<Item = CannedResponse>,
    ) -> Receiver {
        let key = PrivateKeyDer::Pkcs8(self.pair.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let mut roots = RootCertStore::empty();
                roots.add(client.pair.cert.der().clone()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let chain = vec![self.pair.cert.der().clone()];
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Receiver::start_over(answers, move |stream| acceptor.accept(stream)).await
    }

    /// Options that trust this certificate.
    pub(super) fn trusted(&self) -> ConnectionOptions {
        ConnectionOptions {
            ca_file: Some(self.certificate()),
            ..local()
        }
    }
}

#[tokio::test]
async fn an_untrusted_certificate_is_the_providers_fault() {
    let receiver = Identity::new().serve(None, []).await;
    let client = connecting(&over_tls(&receiver), &local(), TIMEOUT).unwrap();
    let error = post(&client).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::ProviderFault);
    assert_eq!(error.code, FailureCode::Connection);
    assert!(
        error.message.contains("certificate is not trusted"),
        "{error}"
    );
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn a_server_trusted_by_ca_file_is_spoken_to_over_http_2_and_one_connection() {
    let identity = Identity::new();
    let receiver = identity.serve(None, []).await;
    let client = connecting(&over_tls(&receiver), &identity.trusted(), TIMEOUT).unwrap();
    for _ in 0..3 {
        post(&client).await.unwrap();
    }
    let received = receiver.received();
    assert_eq!(received.len(), 3);
    assert!(
        received
            .iter()
            .all(|r| r.version == Version::HTTP_2 && r.from == received[0].from)
    );
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_requires_one() {
    let server = Identity::new();
    let own = Identity::new();
    let receiver = server.serve(Some(&own), []).await;
    let url = over_tls(&receiver);
    let without = connecting(&url, &server.trusted(), TIMEOUT).unwrap();
    let error = post(&without).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::ProviderFault, "{error:?}");
    assert_eq!(error.code, FailureCode::Connection);
    assert_eq!(receiver.received().len(), 0);
    let with = ConnectionOptions {
        client_cert: Some(own.certificate()),
        client_key: Some(own.key()),
        ..server.trusted()
    };
    let client = connecting(&url, &with, TIMEOUT).unwrap();
    post(&client).await.unwrap();
    assert_eq!(receiver.received().len(), 1);
    client.dial().await.unwrap();
}

#[test]
fn options_for_certificates_that_cannot_work_are_named() {
    let own = Identity::new();
    let other = Identity::new();
    let cert = Some(own.certificate());
    let missing = Some(PathBuf::from("/nowhere/x.pem"));
    let case = |url: &str, ca_file, client_cert, client_key| {
        let options = ConnectionOptions {
            ca_file,
            client_cert,
            client_key,
            ..local()
        };
        let error = connecting(url, &options, TIMEOUT).err().unwrap();
        let shown = error.each().map(ToString::to_string).collect::<Vec<_>>();
        shown.join("; ")
    };
    let tls = "https://example.com/";
    let plain = "http://example.com/";
    let no_effect = "`ca_file`: has no effect, because `url` is not https; \
                     `client_cert`: has no effect, because `url` is not https; \
                     `client_key`: has no effect, because `url` is not https";
    assert_eq!(
        case(plain, cert.clone(), cert.clone(), Some(own.key())),
        no_effect
    );
    let half = case(tls, cert.clone(), cert.clone(), None);
    assert_eq!(half, "`client_key`: `client_cert` requires it");
    let half = case(tls, cert.clone(), None, Some(own.key()));
    assert_eq!(half, "`client_cert`: `client_key` requires it");
    let absent = case(tls, missing.clone(), missing.clone(), missing);
    let expected = "`ca_file`: /nowhere/x.pem cannot be read; \
                    `client_cert`: /nowhere/x.pem cannot be read; \
                    `client_key`: /nowhere/x.pem is not a PEM file with a private key";
    assert_eq!(absent, expected);
    let no_certificate = case(tls, Some(own.key()), None, None);
    assert!(
        no_certificate.ends_with("key.pem contains no certificate"),
        "{no_certificate}"
    );
    let mismatch = case(tls, cert.clone(), cert, Some(other.key()));
    assert!(
        mismatch.starts_with("`client_key`: the key does not belong"),
        "{mismatch}"
    );
}

#[tokio::test]
async fn dialling_connects_as_an_attempt_does_and_sends_nothing() {
    let identity = Identity::new();
    let receiver = identity.serve(None, []).await;
    let url = over_tls(&receiver);
    let trusting = connecting(&url, &identity.trusted(), TIMEOUT).unwrap();
    let port = receiver.address().port();
    let reached = format!("connected to localhost:{port} over TLS");
    assert_eq!(trusting.dial().await.unwrap(), reached);
    let begin = format!("`url`: localhost:{port} cannot be reached: ");
    for (options, why) in [
        (local(), "certificate"),
        (
            ConnectionOptions::default(),
            "is a loopback address, which is refused unless allowed",
        ),
    ] {
        let client = connecting(&url, &options, TIMEOUT).unwrap();
        let error = client.dial().await.unwrap_err().to_string();
        assert!(error.starts_with(&begin) && error.contains(why), "{error}");
    }
    assert_eq!(receiver.received().len(), 0);
}
