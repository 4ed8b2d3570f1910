use std::sync::Arc;
use std::time::Duration;

use acteon_core::sink::{SinkContext, SinkErrorClass};
use acteon_core::{BuildError, FailureCode, SinkError};
use bytes::Bytes;
use http::{HeaderMap, Method, Version};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::contract::{CannedResponse, Receiver};
use crate::{AddressFilter, ClientOptions, HttpClient, Reply, Roots, SuccessCodes, parse_url, tls};

fn context(timeout: Duration) -> SinkContext {
    SinkContext {
        name: "under-test".into(),
        timeout,
        max_concurrent: 2,
        redactor: acteon_core::Redactor::default(),
    }
}

fn options<'a>(url: &str, allowed: &[&str], roots: &'a Roots) -> ClientOptions<'a> {
    let cidrs: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    ClientOptions {
        url: parse_url("url", url).unwrap(),
        filter: AddressFilter::new("allow_cidrs", &cidrs).unwrap(),
        success: SuccessCodes::default(),
        roots,
    }
}

fn client(url: &str, allowed: &[&str]) -> Result<HttpClient, BuildError> {
    let roots = Roots::default();
    HttpClient::new(
        options(url, allowed, &roots),
        &context(Duration::from_secs(20)),
    )
}

async fn post(client: &HttpClient) -> Result<Reply, SinkError> {
    client
        .send(
            Method::POST,
            HeaderMap::new(),
            Bytes::from_static(b"{}").into(),
        )
        .await
}

fn assert_transient(error: &SinkError, code: FailureCode) {
    assert_eq!(
        error.class,
        SinkErrorClass::Transient { retry_after: None },
        "{error:?}"
    );
    assert_eq!(error.code, code, "{error:?}");
}

/// A server with a self-signed certificate, and that certificate.
async fn self_signed(
    answers: impl IntoIterator<Item = CannedResponse>,
) -> (Receiver, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let receiver = Receiver::start_over(answers, move |stream| acceptor.accept(stream)).await;
    (receiver, cert.der().clone())
}

fn over_tls(receiver: &Receiver) -> String {
    format!("https://localhost:{}/", receiver.address().port())
}

#[tokio::test]
async fn an_untrusted_certificate_is_the_providers_fault() {
    let (receiver, _) = self_signed([]).await;
    let client = client(&over_tls(&receiver), &["127.0.0.0/8", "::1/128"]).unwrap();
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
async fn a_trusted_server_is_spoken_to_over_http_2_and_one_connection() {
    let (receiver, certificate) = self_signed([]).await;
    let mut trusted = RootCertStore::empty();
    trusted.add(certificate).unwrap();
    let roots = Roots::default();
    let options = options(&over_tls(&receiver), &["127.0.0.0/8", "::1/128"], &roots);
    let context = context(Duration::from_secs(20));
    let client = HttpClient::with_tls(options, &context, &tls::trusting(trusted).unwrap()).unwrap();
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
async fn dialling_connects_as_an_attempt_does_and_sends_nothing() {
    let (receiver, certificate) = self_signed([]).await;
    let mut trusted = RootCertStore::empty();
    trusted.add(certificate).unwrap();
    let roots = Roots::default();
    let url = over_tls(&receiver);
    let networks = ["127.0.0.0/8", "::1/128"];
    let context = context(Duration::from_secs(20));
    let tls = tls::trusting(trusted).unwrap();
    let trusting = HttpClient::with_tls(options(&url, &networks, &roots), &context, &tls).unwrap();
    let port = receiver.address().port();
    let reached = format!("connected to localhost:{port} over TLS");
    assert_eq!(trusting.dial().await.unwrap(), reached);
    let refused = |client: HttpClient| async move { client.dial().await.unwrap_err() };
    let begin = format!("`url`: localhost:{port} cannot be reached: ");
    for (client, why) in [
        (client(&url, &networks), "certificate"),
        (
            client(&url, &[]),
            "is a loopback address, which is refused unless allowed",
        ),
    ] {
        let error = refused(client.unwrap()).await.to_string();
        assert!(error.starts_with(&begin) && error.contains(why), "{error}");
    }
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn plain_bytes_where_tls_is_expected_are_a_failed_connection() {
    let receiver = Receiver::start([]).await;
    let client = client(&over_tls(&receiver), &["127.0.0.0/8", "::1/128"]).unwrap();
    assert_transient(&post(&client).await.unwrap_err(), FailureCode::Connection);
}

#[tokio::test]
async fn a_handshake_that_hangs_is_a_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    let roots = Roots::default();
    let options = options(&url, &["127.0.0.0/8"], &roots);
    let client = HttpClient::new(options, &context(Duration::from_millis(200))).unwrap();
    assert_transient(&post(&client).await.unwrap_err(), FailureCode::Timeout);
}

#[tokio::test]
async fn a_name_without_an_address_is_a_failed_connection() {
    let label_too_long = "x".repeat(64);
    let client = client(&format!("http://{label_too_long}/"), &[]).unwrap();
    let error = post(&client).await.unwrap_err();
    assert_transient(&error, FailureCode::Connection);
    assert!(error.message.ends_with("could not be resolved"), "{error}");
}

#[tokio::test]
async fn a_name_that_means_a_loopback_address_is_refused_when_it_is_resolved() {
    let receiver = Receiver::start([]).await;
    let url = format!("http://localhost:{}/", receiver.address().port());
    let error = post(&client(&url, &[]).unwrap()).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::ProviderFault);
    assert_eq!(error.code, FailureCode::Configuration);
    assert!(error.message.contains("add `allow_cidrs = [\""), "{error}");
    assert_eq!(receiver.received().len(), 0);
    post(&client(&url, &["127.0.0.0/8"]).unwrap())
        .await
        .unwrap();
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn an_address_in_the_url_is_judged_however_it_is_written() {
    let loopback = [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "[::ffff:7f00:1]",
    ];
    for host in loopback {
        let url = format!("http://{host}/");
        let error = client(&url, &[]).err().unwrap().to_string();
        assert!(error.starts_with("`url`: "), "{error}");
        assert!(
            error.ends_with("add `allow_cidrs = [\"127.0.0.0/8\"]`"),
            "{host}: {error}"
        );
        assert!(client(&url, &["127.0.0.0/8"]).is_ok(), "{host}");
    }
    assert!(client("http://[::1]/", &["127.0.0.0/8"]).is_err());
    assert!(client("http://1.1.1.1/", &[]).is_ok());
}

#[test]
fn a_url_that_cannot_work_is_refused_without_repeating_it() {
    let cases = [
        (
            "hooks.example.com/s3cret",
            "`url`: not a URL: relative URL without a base",
        ),
        (
            "ftp://example.com/s3cret",
            "`url`: the scheme must be `http` or `https`",
        ),
        (
            "https://s3cret@example.com/",
            "`url`: the URL must not contain a user and password",
        ),
        (
            "https://u:s3cret@example.com/",
            "`url`: the URL must not contain a user and password",
        ),
        ("https://", "`url`: not a URL: empty host"),
    ];
    for (url, expected) in cases {
        let error = parse_url("url", url).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    assert_eq!(
        parse_url("url", " https://e.com/a?b#c ").unwrap().as_str(),
        "https://e.com/a?b"
    );
}

#[tokio::test]
async fn a_body_longer_than_the_bound_is_found_before_it_is_read() {
    let receiver =
        Receiver::start([CannedResponse::hung_body(200).header("content-length", "99999999")])
            .await;
    let client = client(&receiver.url(), &["127.0.0.0/8"]).unwrap();
    assert_eq!(
        post(&client).await.unwrap().body,
        Err(crate::BodyError::TooLong)
    );
}
