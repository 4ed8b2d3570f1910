//! A provider: an HTTP server that keeps the requests it received and answers as the test requires.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Chooses the answer to a request from the number of requests before it.
pub(crate) type Reply = fn(u64) -> Option<StatusCode>;

/// A running receiver. It stops when dropped.
pub(crate) struct Receiver {
    url: String,
    /// Holds the address while the receiver is away, so that connections to it are refused.
    reserved: Option<TcpSocket>,
    reply: Reply,
    seen: Arc<Mutex<Seen>>,
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    requests: u64,
    accepted: Vec<Accepted>,
}

/// A request that was answered with 2xx.
#[derive(Clone)]
pub(crate) struct Accepted {
    pub(crate) idempotency_key: String,
    pub(crate) action: Value,
    at: Instant,
}

impl Receiver {
    /// Accepts everything.
    pub(crate) async fn accepting() -> Self {
        Self::replying(|_| Some(StatusCode::OK)).await
    }

    /// Answers with `reply`; `None` never answers.
    pub(crate) async fn replying(reply: Reply) -> Self {
        let mut receiver = Self::away();
        receiver.reply = reply;
        receiver.come_back();
        receiver
    }

    /// Refuses connections until [`Receiver::come_back`]; then it accepts everything.
    pub(crate) fn away() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self {
            url: format!("http://{}/", socket.local_addr().unwrap()),
            reserved: Some(socket),
            reply: |_| Some(StatusCode::OK),
            seen: Arc::default(),
            tasks: JoinSet::new(),
        }
    }

    pub(crate) fn come_back(&mut self) {
        let router = Router::new()
            .route("/", post(receive))
            .with_state((self.seen.clone(), self.reply));
        let socket = self.reserved.take().expect("it is away");
        let listener = socket.listen(1024).unwrap();
        self.tasks
            .spawn(async move { axum::serve(listener, router).await.unwrap() });
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How many requests arrived, including refused ones.
    pub(crate) fn requests(&self) -> u64 {
        self.seen.lock().requests
    }

    /// How many requests were accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.seen.lock().accepted.len()
    }

    /// How many requests were accepted since then.
    pub(crate) fn accepted_since(&self, then: Instant) -> usize {
        let seen = self.seen.lock();
        seen.accepted
            .iter()
            .rev()
            .take_while(|accepted| accepted.at >= then)
            .count()
    }

    /// The accepted requests, in order of arrival.
    pub(crate) fn deliveries(&self) -> Vec<Accepted> {
        self.seen.lock().accepted.clone()
    }

    /// The values of `field` of all accepted actions, in order of arrival.
    pub(crate) fn values_of(&self, field: &str) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let seen = self.seen.lock();
        seen.accepted
            .iter()
            .map(|accepted| text(&accepted.action[field]))
            .collect()
    }

    /// The idempotency keys of the accepted actions, by the value of a field.
    pub(crate) fn keys_by(&self, field: &str) -> HashMap<String, Vec<String>> {
        let mut keys: HashMap<String, Vec<String>> = HashMap::new();
        for accepted in &self.seen.lock().accepted {
            let value = accepted.action[field]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            keys.entry(value)
                .or_default()
                .push(accepted.idempotency_key.clone());
        }
        keys
    }
}

type Shared = (Arc<Mutex<Seen>>, Reply);

async fn receive(
    State((seen, reply)): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let before = {
        let mut seen = seen.lock();
        seen.requests += 1;
        seen.requests - 1
    };
    let Some(status) = reply(before) else {
        return std::future::pending().await;
    };
    if status.is_success() {
        let key = headers
            .get("idempotency-key")
            .expect("each delivery carries its key");
        let accepted = Accepted {
            idempotency_key: key.to_str().unwrap().to_owned(),
            action: serde_json::from_slice(&body).unwrap(),
            at: Instant::now(),
        };
        seen.lock().accepted.push(accepted);
    }
    status
}
