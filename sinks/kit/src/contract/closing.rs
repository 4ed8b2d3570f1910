//! Clauses about connections that end between two requests: what a server does that closes them without saying so, or under
//! a request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use acteon_core::Sink;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Answer, Harness, PATIENCE, Stage, accepted, context, deliver};

const REQUESTS: u32 = 20;

/// Answers one request on each connection as if more could come, and closes it when the next one has come, unread.
struct ClosingReceiver {
    url: String,
    answered: Arc<AtomicU32>,
    _server: JoinSet<()>,
}

impl ClosingReceiver {
    async fn start(body: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?from=acteon", listener.local_addr().unwrap());
        let answered = Arc::new(AtomicU32::new(0));
        let (mut server, seen) = (JoinSet::new(), answered.clone());
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let seen = seen.clone();
                connections.spawn(async move {
                    answer_one(stream, body, &seen).await;
                });
            }
        });
        Self {
            url,
            answered,
            _server: server,
        }
    }
}

/// Nothing, when the request does not come whole.
async fn answer_one(mut stream: TcpStream, body: &str, answered: &AtomicU32) -> Option<()> {
    let (mut came, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream
            .read(&mut piece)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        came.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&came).to_lowercase();
        let Some((head, rest)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let mut lengths = head
            .lines()
            .filter_map(|line| line.strip_prefix("content-length: "));
        if lengths.next().map(str::parse) == Some(Ok(rest.len())) {
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            answered.fetch_add(1, SeqCst);
            stream.write_all(answer.as_bytes()).await.ok()?;
            // The moment at which every client is too late to see that it closes.
            return stream.peek(&mut piece).await.ok().map(drop);
        }
    }
}

/// It does not fail, and gets nothing twice.
pub async fn a_server_that_closes_after_each_answer_without_saying_so_does_not_fail(
    harness: &dyn Harness,
) {
    let receiver = ClosingReceiver::start(harness.accepted()).await;
    let sink: Arc<dyn Sink> = harness
        .sink(&receiver.url, context(PATIENCE))
        .await
        .unwrap();
    let action = harness.action();
    for number in 1..=REQUESTS {
        let delivered = deliver(&*sink, &action, number).await;
        assert!(delivered.is_ok(), "request {number}: {delivered:?}");
    }
    let answered = receiver.answered.load(SeqCst);
    assert_eq!(answered, REQUESTS, "nothing twice");
}

/// The server may have read it, so it goes out once more under the same key, and not a third time.
pub async fn a_request_that_breaks_on_a_connection_in_use_is_sent_once_more(harness: &dyn Harness) {
    let answers = [accepted(harness), Answer::HangUp, accepted(harness)];
    let stage = Stage::set(harness, answers).await;
    stage.deliver(1).await.unwrap();
    stage.deliver(2).await.unwrap();
    let received = stage.receiver.received();
    assert_eq!(received.len(), 3);
    assert_eq!(received[0].from, received[1].from, "the same connection");
    assert_ne!(received[1].from, received[2].from, "a new one");
    let keys: Vec<_> = received
        .iter()
        .map(|one| harness.idempotency_key(one))
        .collect();
    assert!(keys.iter().all(|key| key == &keys[0]), "{keys:?}");

    let answers = [accepted(harness), Answer::HangUp, Answer::HangUp];
    let stage = Stage::set(harness, answers).await;
    stage.deliver(1).await.unwrap();
    assert!(stage.deliver(2).await.is_err());
    assert_eq!(stage.receiver.received().len(), 3);
}
