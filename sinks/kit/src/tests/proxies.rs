//! Requests through an HTTP proxy.

use acteon_core::Secret;

use super::certificates::Identity;
use super::proxy_server::ProxyServer;
use super::*;

const CREDENTIALS: &str = "gateway:s3cret%2Fword";
/// The base64 of the credentials.
const AUTHORIZATION: &str = "Basic Z2F0ZXdheTpzM2NyZXQvd29yZA==";

fn through(port: u16, credentials: &str, options: ConnectionOptions) -> ConnectionOptions {
    let at = if credentials.is_empty() { "" } else { "@" };
    let url = format!("http://{credentials}{at}127.0.0.1:{port}");
    ConnectionOptions {
        proxy: Some(Secret::new(url)),
        ..options
    }
}

#[tokio::test]
async fn https_goes_through_a_tunnel_and_the_proxy_resolves_the_name() {
    let identity = Identity::new();
    let receiver = identity.serve(None, []).await;
    let proxy = ProxyServer::start(Some(AUTHORIZATION)).await;
    let options = through(proxy.port, CREDENTIALS, identity.trusted());
    let client = connecting(&over_tls(&receiver), &options, TIMEOUT).unwrap();
    post(&client).await.unwrap();
    assert_eq!(receiver.received().len(), 1);
    let port = receiver.address().port();
    let heads = proxy.heads();
    let connect = format!("CONNECT localhost:{port} HTTP/1.1\r\n");
    assert!(heads[0].starts_with(&connect), "{heads:?}");
    let dialled = client.dial().await.unwrap();
    let expected = format!(
        "connected to localhost:{port} over TLS through the proxy 127.0.0.1:{}",
        proxy.port
    );
    assert_eq!(dialled, expected);
    assert_eq!(receiver.received().len(), 1);
    assert!(proxy.heads()[1].starts_with(&connect));
}

#[tokio::test]
async fn plain_http_is_forwarded_by_the_proxy() {
    let receiver = Receiver::start([]).await;
    let proxy = ProxyServer::start(Some(AUTHORIZATION)).await;
    let options = through(proxy.port, CREDENTIALS, local());
    let client = connecting(&receiver.url(), &options, TIMEOUT).unwrap();
    post(&client).await.unwrap();
    assert_eq!(receiver.received().len(), 1);
    let heads = proxy.heads();
    assert!(
        heads[0].starts_with(&format!("POST {}", receiver.url())),
        "{heads:?}"
    );
    let dialled = client.dial().await.unwrap();
    assert!(
        dialled.contains("without TLS through the proxy"),
        "{dialled}"
    );
}

#[tokio::test]
async fn credentials_that_the_proxy_refuses_are_the_providers_fault() {
    let identity = Identity::new();
    let receiver = identity.serve(None, []).await;
    let plain = Receiver::start([]).await;
    let proxy = ProxyServer::start(Some(AUTHORIZATION)).await;
    let tls = through(proxy.port, "gateway:s3cret-other", identity.trusted());
    let http = through(proxy.port, "gateway:s3cret-other", local());
    for (url, options) in [(over_tls(&receiver), tls), (plain.url(), http)] {
        let client = connecting(&url, &options, TIMEOUT).unwrap();
        let error = post(&client).await.unwrap_err();
        assert_eq!(error.class, SinkErrorClass::ProviderFault, "{error:?}");
        assert!(!format!("{error:?}").contains("s3cret-other"), "{error:?}");
    }
    assert_eq!(receiver.received().len() + plain.received().len(), 0);
}

#[tokio::test]
async fn the_proxy_itself_must_have_an_allowed_address() {
    let proxy = ProxyServer::start(None).await;
    let options = through(proxy.port, "", ConnectionOptions::default());
    let error = connecting("https://example.com/", &options, TIMEOUT);
    let error = error.err().unwrap().to_string();
    assert!(
        error.starts_with("`proxy`: 127.0.0.1 is a loopback address"),
        "{error}"
    );
    let named = ConnectionOptions {
        proxy: Some(Secret::new(format!("http://localhost:{}", proxy.port))),
        ..ConnectionOptions::default()
    };
    let client = connecting("https://example.com/", &named, TIMEOUT).unwrap();
    let error = post(&client).await.unwrap_err();
    assert_eq!(error.code, FailureCode::Configuration, "{error:?}");
    assert_eq!(proxy.heads().len(), 0);
}

#[test]
fn a_proxy_that_cannot_work_is_refused_without_repeating_it() {
    for url in [
        "s3cret",
        "https://s3cret.example.com/",
        "socks5://u:s3cret@example.com",
        "http://example.com/s3cret",
        "http://example.com/?s3cret",
    ] {
        let options = ConnectionOptions {
            proxy: Some(Secret::new(url)),
            ..local()
        };
        let error = connecting("https://example.com/", &options, TIMEOUT);
        let error = error.err().unwrap().to_string();
        assert!(error.starts_with("`proxy`: "), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
        assert!(!format!("{options:?}").contains("s3cret"));
    }
}
