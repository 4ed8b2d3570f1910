//! Forbidden addresses, in every spelling that some client somewhere accepts, counted at a listener that would accept
//! connections to all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use super::*;

/// Spellings of addresses of this machine.
const SPELLINGS: &[&str] = &[
    "127.0.0.1",
    "127.0.0.1.",
    "127.0.1",
    "127.1",
    "127.255.255.254",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0177.1",
    "00000177.0.0.01",
    "0x7f000001",
    "0x7F.1",
    "0x7f.0x0.0x0.0x1",
    "127.0.0.0x1",
    "0",
    "0.0.0.0",
    "0x0",
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "１２７.０.０.１",
    "127。0。0。1",
    "①②⑦.⓪.⓪.①",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "[::0:1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::127.0.0.1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "loc%61lhost",
    "user@127.0.0.1",
    "example.com@127.0.0.1",
];

/// Accepts connections on all addresses of this machine, and counts them.
struct CountingListener {
    port: u16,
    count: Arc<AtomicU32>,
    _server: JoinSet<()>,
}

impl CountingListener {
    async fn start() -> Self {
        // Both families, where the system has both.
        let listener = match TcpListener::bind("[::]:0").await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind("0.0.0.0:0").await.unwrap(),
        };
        let port = listener.local_addr().unwrap().port();
        let count = Arc::new(AtomicU32::new(0));
        let mut server = JoinSet::new();
        let counted = count.clone();
        server.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, SeqCst);
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        Self {
            port,
            count,
            _server: server,
        }
    }
}

#[tokio::test]
async fn no_spelling_of_a_forbidden_address_makes_a_connection() {
    let listener = CountingListener::start().await;
    let port = listener.port;
    for host in SPELLINGS {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/");
            let built = connecting(&url, &ConnectionOptions::default(), TIMEOUT);
            let Ok(client) = built else { continue };
            let error = post(&client).await.unwrap_err();
            // Some systems do not resolve every spelling of `localhost`.
            let is_unknown = error.message.ends_with("could not be resolved");
            let is_refused = error.code == FailureCode::Configuration;
            assert!(is_refused || is_unknown, "{url}: {error:?}");
            assert!(client.dial().await.is_err(), "{url}");
        }
    }
    // Connections are accepted in order, so all earlier ones are counted when this one is.
    let allowed = client(&format!("http://127.0.0.1:{port}/"), &["127.0.0.0/8"]);
    post(&allowed.unwrap()).await.map(drop).unwrap_or_default();
    assert_eq!(listener.count.load(SeqCst), 1);
}

#[tokio::test]
async fn a_redirect_to_a_forbidden_address_makes_no_connection() {
    let listener = CountingListener::start().await;
    let location = format!("http://localhost:{}/", listener.port);
    let answer = CannedResponse::of(307).header("location", &location);
    let receiver = Receiver::start([answer]).await;
    let client = client(&receiver.url(), &["127.0.0.1/32"]).unwrap();
    let error = post(&client).await.unwrap_err();
    assert!(error.message.contains("307"), "{error}");
    assert_eq!(listener.count.load(SeqCst), 0);
}

#[test]
fn an_address_in_the_url_is_judged_however_it_is_written() {
    let is_name = |host: &&&str| host.to_lowercase().contains("host") || host.contains('@');
    for host in SPELLINGS.iter().filter(|host| !is_name(host)) {
        let error = client(&format!("http://{host}/"), &[]).err();
        let error = error.unwrap_or_else(|| panic!("{host}")).to_string();
        assert!(error.starts_with("`url`: "), "{host}: {error}");
        assert!(error.contains("add `allow_cidrs = [\""), "{host}: {error}");
    }
    assert!(client("http://[::1]/", &["127.0.0.0/8"]).is_err());
    assert!(client("http://1.1.1.1/", &[]).is_ok());
    for host in ["127.1", "2130706433", "[::ffff:7f00:1]"] {
        assert!(client(&format!("http://{host}/"), &["127.0.0.0/8"]).is_ok());
    }
}
