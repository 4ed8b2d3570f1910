use std::time::Duration;

use acteon_core::sink::{SinkContext, SinkErrorClass};
use acteon_core::{BuildError, FailureCode, SinkError};
use bytes::Bytes;
use http::{HeaderMap, Method};
use tokio::net::TcpListener;

use crate::contract::{CannedResponse, Receiver};
use crate::target::TargetUrl;
use crate::{ClientOptions, ConnectionOptions, HttpClient, Reply, Roots, SuccessCodes};

mod certificates;
mod forbidden;
mod proxies;
mod proxy_server;

const TIMEOUT: Duration = Duration::from_secs(20);

fn context(timeout: Duration) -> SinkContext {
    SinkContext {
        name: "under-test".into(),
        timeout,
        max_concurrent: 2,
        redactor: acteon_core::Redactor::default(),
    }
}

fn allowing(networks: &[&str]) -> ConnectionOptions {
    ConnectionOptions {
        allow_cidrs: networks.iter().map(ToString::to_string).collect(),
        ..ConnectionOptions::default()
    }
}

/// This machine under all its names.
fn local() -> ConnectionOptions {
    allowing(&["127.0.0.0/8", "::1/128"])
}

fn connecting(
    url: &str,
    connection: &ConnectionOptions,
    timeout: Duration,
) -> Result<HttpClient, BuildError> {
    let options = ClientOptions {
        option: "url",
        url,
        connection,
        success: SuccessCodes::default(),
        credentials: Vec::new(),
        roots: &Roots::default(),
    };
    HttpClient::new(options, &context(timeout))
}

fn client(url: &str, allowed: &[&str]) -> Result<HttpClient, BuildError> {
    connecting(url, &allowing(allowed), TIMEOUT)
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

fn over_tls(receiver: &Receiver) -> String {
    format!("https://localhost:{}/", receiver.address().port())
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
    let client = connecting(&url, &local(), Duration::from_millis(200)).unwrap();
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
        let error = TargetUrl::parse("url", url).err().unwrap().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
    let target = TargetUrl::parse("url", " https://e.com/a?b#c ").unwrap();
    assert_eq!(target.url().as_str(), "https://e.com/a?b");
    assert_eq!(target.below("c").url().as_str(), "https://e.com/a/c?b");
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
