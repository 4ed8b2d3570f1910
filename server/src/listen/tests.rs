//! Connections over pipes, in virtual time.

use std::future::pending;

use acteon_connect_http::ApiService;
use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;

const LIMITS: ConnectionLimits = ConnectionLimits {
    connections: 2,
    idle: Duration::from_secs(75),
    head: Duration::from_secs(10),
};

fn listening() -> Listening {
    let slow = || async {
        sleep(Duration::from_secs(300)).await;
        "done"
    };
    let router = Router::new()
        .route("/", get(|| async { "fine" }))
        .route("/slow", get(slow))
        .route("/hangs", get(pending::<&'static str>))
        .route("/large", get(|| async { vec![b'x'; 4 << 20] }));
    Listening::new(ApiService::new(router, 1 << 20), LIMITS)
}

/// The client's end of a connection.
struct Client(DuplexStream);

impl Client {
    async fn connect(listening: &Listening, tasks: &mut JoinSet<()>) -> Self {
        let permit = listening.connections.admit().await;
        let (ours, theirs) = duplex(16 << 10);
        tasks.spawn(listening.connection(theirs, permit));
        Self(ours)
    }

    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn ask(&mut self, path: &str) {
        let head = format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n");
        self.send(&head).await;
    }

    /// The next answer: one that is short.
    async fn answer(&mut self) -> String {
        let mut bytes = vec![0; 4096];
        let read = self.0.read(&mut bytes).await.unwrap();
        String::from_utf8(bytes[..read].to_vec()).unwrap()
    }

    /// How long it takes until the server closes the connection.
    async fn closed_after(&mut self) -> Duration {
        let before = Instant::now();
        assert_eq!(self.answer().await, "");
        before.elapsed()
    }
}

fn is_near(passed: Duration, seconds: u64) -> bool {
    let limit = Duration::from_secs(seconds);
    (limit..limit + Duration::from_millis(10)).contains(&passed)
}

#[tokio::test(start_paused = true)]
async fn a_connection_may_be_idle_between_requests_but_not_for_ever() {
    let (listening, mut tasks) = (listening(), JoinSet::new());
    let mut client = Client::connect(&listening, &mut tasks).await;
    for _ in 0..3 {
        sleep(Duration::from_secs(74)).await;
        client.ask("/").await;
        assert!(client.answer().await.starts_with("HTTP/1.1 200"));
    }
    let passed = client.closed_after().await;
    assert!(is_near(passed, 75), "closed after {passed:?}");
    let mut silent = Client::connect(&listening, &mut tasks).await;
    let passed = silent.closed_after().await;
    assert!(is_near(passed, 75), "closed after {passed:?}");
}

#[tokio::test(start_paused = true)]
async fn the_head_of_a_request_has_a_limit_of_its_own_from_its_first_byte() {
    let (listening, mut tasks) = (listening(), JoinSet::new());
    let mut client = Client::connect(&listening, &mut tasks).await;
    client.ask("/").await;
    client.answer().await;
    sleep(Duration::from_secs(60)).await;
    client.send("GET / HTTP/1.1\r\n").await;
    sleep(Duration::from_secs(9)).await;
    client.send("host: test\r\n\r\n").await;
    assert!(client.answer().await.starts_with("HTTP/1.1 200"));
    sleep(Duration::from_secs(60)).await;
    client.send("G").await;
    let before = Instant::now();
    for _ in 0..9 {
        sleep(Duration::from_secs(1)).await;
        client.send("E").await;
    }
    client.closed_after().await;
    assert!(
        is_near(before.elapsed(), 10),
        "closed after {:?}",
        before.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_worked_on_has_no_limit_here() {
    let (listening, mut tasks) = (listening(), JoinSet::new());
    let mut client = Client::connect(&listening, &mut tasks).await;
    client.ask("/slow").await;
    assert!(client.answer().await.ends_with("done"));
    let passed = client.closed_after().await;
    assert!(is_near(passed, 75), "idle from the answer on: {passed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_answer_holds_no_connection() {
    let (listening, mut tasks) = (listening(), JoinSet::new());
    let mut client = Client::connect(&listening, &mut tasks).await;
    client.ask("/large").await;
    let before = Instant::now();
    tasks.join_next().await.unwrap().unwrap();
    assert!(is_near(before.elapsed(), 75), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_connection_that_is_idle_for_longest_makes_room_for_a_new_one() {
    let (listening, mut tasks) = (listening(), JoinSet::new());
    let mut first = Client::connect(&listening, &mut tasks).await;
    sleep(Duration::from_secs(1)).await;
    let mut second = Client::connect(&listening, &mut tasks).await;
    sleep(Duration::from_secs(1)).await;
    first.ask("/").await;
    first.answer().await;
    let mut third = Client::connect(&listening, &mut tasks).await;
    assert_eq!(
        second.answer().await,
        "",
        "the one that did nothing for longer"
    );
    for client in [&mut first, &mut third] {
        client.ask("/").await;
        assert!(client.answer().await.ends_with("fine"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_waits_while_all_are_busy() {
    let (listening, mut tasks) = (listening(), JoinSet::new());
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut client = Client::connect(&listening, &mut tasks).await;
        client.ask("/slow").await;
        busy.push(client);
        sleep(Duration::from_secs(1)).await;
    }
    let before = Instant::now();
    let mut third = Client::connect(&listening, &mut tasks).await;
    assert_eq!(
        before.elapsed(),
        Duration::from_secs(298),
        "until one is answered"
    );
    assert!(
        busy[0].answer().await.ends_with("done"),
        "no answer is lost"
    );
    assert_eq!(busy[0].answer().await, "");
    third.ask("/").await;
    assert!(third.answer().await.ends_with("fine"));
    assert!(busy[1].answer().await.ends_with("done"));
}

#[tokio::test(start_paused = true)]
async fn who_still_waits_when_the_time_is_over_is_told_so_before_the_connection_ends() {
    let (listening, mut tasks) = (listening(), JoinSet::new());
    let mut waiting = Client::connect(&listening, &mut tasks).await;
    waiting.ask("/hangs").await;
    let mut idle = Client::connect(&listening, &mut tasks).await;
    let abandon = CancellationToken::new();
    let over = abandon.clone();
    tasks.spawn(listening.close(async move { over.cancelled().await }));
    assert_eq!(idle.answer().await, "", "the connection is closed");
    sleep(Duration::from_secs(30)).await;
    abandon.cancel();
    let answer = waiting.answer().await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    for part in [
        "\"code\":\"SHUTTING_DOWN\"",
        "connection: close",
        "x-request-id: ",
    ] {
        assert!(answer.contains(part), "{answer}");
    }
    assert_eq!(waiting.answer().await, "");
    while tasks.join_next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn what_the_library_refuses_by_itself_is_told_in_the_form_of_the_api() {
    let (listening, mut tasks) = (listening(), JoinSet::new());
    let long = "x".repeat(70 << 10);
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    for (head, status, code) in [
        (
            format!("GET /{long} HTTP/1.1\r\nhost: t\r\n\r\n"),
            414,
            "URI_TOO_LONG",
        ),
        (
            format!("GET / HTTP/1.1\r\nx: {long}\r\n\r\n"),
            431,
            "HEADERS_TOO_LARGE",
        ),
        (
            format!("GET / HTTP/1.1\r\n{many}\r\n"),
            431,
            "HEADERS_TOO_LARGE",
        ),
        (
            "GET / HTTP/1.1\r\nno header\r\n\r\n".to_owned(),
            400,
            "INVALID_REQUEST",
        ),
        ("what is this\r\n\r\n".to_owned(), 400, "INVALID_REQUEST"),
    ] {
        let mut client = Client::connect(&listening, &mut tasks).await;
        client.ask("/").await;
        assert!(client.answer().await.ends_with("fine"));
        client.send(&head).await;
        let answer = client.answer().await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        for part in [
            "x-request-id: ",
            "content-type: application/json",
            "connection: close",
            "date: ",
        ] {
            assert!(head.contains(part), "{part}: {head}");
        }
        let length = format!("content-length: {}", body.len());
        assert!(head.contains(&length), "{head}");
        let error: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            (&error["code"], &error["retryable"]),
            (&code.into(), &false.into())
        );
        assert_eq!(client.answer().await, "", "nothing more is read");
    }
}
