//! Receivers that answer what nobody can read, or close their connections without saying so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::action;
use crate::harness::Server;

/// Answers each request with this body and closes the connection when the next one comes, or its client does.
struct RawReceiver {
    url: String,
    answered: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl RawReceiver {
    async fn answering(body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let answered = Arc::new(AtomicU64::new(0));
        let (mut tasks, count) = (JoinSet::new(), answered.clone());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (body, count) = (body.clone(), count.clone());
                connections.spawn(async move { answer_one(stream, &body, &count).await });
            }
        });
        Self {
            url,
            answered,
            _tasks: tasks,
        }
    }
}

async fn answer_one(mut stream: TcpStream, body: &str, answered: &AtomicU64) -> Option<()> {
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
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if length.map(str::parse) == Some(Ok(rest.len())) {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            answered.fetch_add(1, SeqCst);
            stream.write_all((head + body).as_bytes()).await.ok()?;
            return stream.peek(&mut piece).await.ok().map(drop);
        }
    }
}

fn config(receivers: &[&RawReceiver]) -> String {
    let providers = receivers.iter().enumerate().map(|(number, receiver)| {
        format!(
            "[[providers]]\nname = \"p{number}\"\ntype = \"webhook\"\nurl = \"{}\"\nallow_cidrs = [\"127.0.0.0/8\"]\nmax_retries = 0\n",
            receiver.url
        )
    });
    providers.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_closes_after_each_answer_does_not_fail_and_gets_nothing_twice() {
    let receiver = RawReceiver::answering("{}".to_owned()).await;
    let server = Server::start(&config(&[&receiver]), &[]).await;
    for number in 0..100 {
        let answer = server.post("/v1/dispatch", &action(number, "p0")).await;
        assert!(answer.body["Executed"].is_object(), "{number}: {answer:?}");
    }
    assert_eq!(receiver.answered.load(SeqCst), 100);
    let health = server.get("/v1/providers/health").await.body;
    let provider = &health["providers"][0];
    assert_eq!(
        (&provider["failures"], &provider["successes"]),
        (&0.into(), &100.into())
    );
    assert_eq!(provider["circuit_breaker_state"], "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_readable_whatever_its_receivers_answer() {
    let bodies = [
        format!("{}{}", "[".repeat(5000), "]".repeat(5000)),
        r#"{"a":"\ud800"}"#.to_owned(),
        r#"{"a":1e400}"#.to_owned(),
        format!("\"{}\"", "x".repeat(2 << 20)),
        "{\"fine\":true}".to_owned(),
    ];
    let mut receivers = Vec::new();
    for body in bodies {
        receivers.push(RawReceiver::answering(body).await);
    }
    let server = Server::start(&config(&receivers.iter().collect::<Vec<_>>()), &[]).await;
    let batch: Vec<Value> = (0..5).map(|n| action(n, &format!("p{n}"))).collect();
    let answer = server.post("/v1/dispatch/batch", &json!(batch)).await;
    let outcomes = answer.body.as_array().expect("JSON that can be read");
    for (number, outcome) in outcomes.iter().enumerate() {
        let body = &outcome["Executed"]["body"];
        assert!(body.is_object(), "{number}: {outcome}");
        assert_eq!(body["note"].is_string(), number < 4, "{number}: {outcome}");
    }
    assert_eq!(outcomes[4]["Executed"]["body"], json!({"fine": true}));
}
