//! Tests that need real connections.

use std::net::SocketAddr;

use acteon_core::ActionOutcome;
use acteon_testkit::FakeIntake;
use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::*;

/// The server runs as long as the set lives.
async fn listen(api: &Api) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = api.router.clone();
    let mut server = JoinSet::new();
    let router = Router::new().fallback_service(router);
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, server)
}

fn head(method: &str, path: &str, headers: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n{headers}\r\n"
    )
}

fn whole(body: &str) -> String {
    let headers = format!("content-length: {}\r\n", body.len());
    head("POST", ONE, &headers) + body
}

/// Reads one answer with a content length: its head and its body.
async fn answer(client: &mut TcpStream) -> (String, String) {
    let mut seen = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let read = client.read(&mut piece).await.unwrap();
        assert_ne!(
            read,
            0,
            "the server closed after {:?}",
            String::from_utf8_lossy(&seen)
        );
        seen.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&seen).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() == length.unwrap().parse::<usize>().unwrap() {
            return (head.to_owned(), body.to_owned());
        }
    }
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    let api = api(FakeIntake::done());
    let (address, _server) = listen(&api).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let requests = [
        (whole(&wire("a")), "HTTP/1.1 200"),
        (whole("{"), "HTTP/1.1 400"),
        (head("DELETE", ONE, ""), "HTTP/1.1 405"),
        (head("GET", "/v1/nothing", ""), "HTTP/1.1 404"),
        (whole(&wire("b")), "HTTP/1.1 200"),
    ];
    for (request, status) in requests {
        client.write_all(request.as_bytes()).await.unwrap();
        let (head, body) = answer(&mut client).await;
        assert!(head.starts_with(status), "{head}");
        assert!(head.contains("x-request-id: "), "{head}");
        assert!(head.contains("content-type: application/json"), "{head}");
        serde_json::from_str::<serde_json::Value>(&body).unwrap();
    }
}

#[tokio::test]
async fn a_client_that_writes_5_mib_before_it_reads_gets_the_refusal() {
    let api = api(FakeIntake::done());
    let (address, _server) = listen(&api).await;
    let size = 5 << 20;
    let plain = head("POST", ONE, &format!("content-length: {size}\r\n"));
    let untyped = plain.replace("application/json", "text/plain");
    let mut client = TcpStream::connect(address).await.unwrap();
    for (head, status) in [(plain, "413"), (untyped, "415")] {
        client.write_all(head.as_bytes()).await.unwrap();
        client.write_all(&vec![b' '; size]).await.unwrap();
        let (head, _) = answer(&mut client).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
    }
    client
        .write_all(whole(&wire("a")).as_bytes())
        .await
        .unwrap();
    assert!(
        answer(&mut client).await.0.starts_with("HTTP/1.1 200"),
        "the connection still works"
    );
}

#[tokio::test]
async fn a_chunked_body_is_counted_as_it_comes() {
    let api = api(FakeIntake::done());
    let (address, _server) = listen(&api).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let head = head("POST", ONE, "transfer-encoding: chunked\r\n");
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    client.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..3 {
        client.write_all(chunk.as_bytes()).await.unwrap();
    }
    client.write_all(b"0\r\n\r\n").await.unwrap();
    let (refusal, body) = answer(&mut client).await;
    assert!(refusal.starts_with("HTTP/1.1 413"), "{refusal}");
    assert!(
        body.contains("the body is larger than 2097152 bytes"),
        "{body}"
    );

    let action = wire("a");
    let (first, second) = action.split_at(20);
    client.write_all(head.as_bytes()).await.unwrap();
    for part in [first, second] {
        let chunk = format!("{:x}\r\n{part}\r\n", part.len());
        client.write_all(chunk.as_bytes()).await.unwrap();
    }
    client.write_all(b"0\r\n\r\n").await.unwrap();
    assert!(answer(&mut client).await.0.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_client_that_announces_too_much_with_expect_is_refused_at_once() {
    let api = api(FakeIntake::done());
    let (address, _server) = listen(&api).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let asking = head(
        "POST",
        ONE,
        "content-length: 5000000\r\nexpect: 100-continue\r\n",
    );
    client.write_all(asking.as_bytes()).await.unwrap();
    let (head, _) = answer(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 413"), "{head}");
}

#[tokio::test]
async fn many_sockets_that_announce_much_and_send_one_byte_take_nothing_from_others() {
    let api = api_with(FakeIntake::done(), |context| {
        context.admission = Admission::new(10, 1 << 20);
    });
    let (address, _server) = listen(&api).await;
    let announced = "content-length: 2000000\r\nexpect: 100-continue\r\n";
    let mut idle = Vec::new();
    for _ in 0..130 {
        let mut client = TcpStream::connect(address).await.unwrap();
        let head = head("POST", MANY, announced);
        client.write_all(head.as_bytes()).await.unwrap();
        let mut go_on = [0; 25];
        client.read_exact(&mut go_on).await.unwrap();
        assert!(go_on.starts_with(b"HTTP/1.1 100"), "its body is read");
        client.write_all(b"[").await.unwrap();
        idle.push(client);
    }
    let admission = &api.source.context.admission;
    assert_eq!(admission.bytes_in_flight(), 0, "brokers have all the room");
    let large = wire_with("large", &format!("\"{}\"", "x".repeat(500 << 10)));
    for action in [wire("small"), large] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(whole(&action).as_bytes()).await.unwrap();
        let (head, _) = answer(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    }
}

#[tokio::test]
async fn an_action_whose_client_is_gone_is_worked_on() {
    let intake = FakeIntake::holding();
    let api = api(intake.clone());
    let (address, _server) = listen(&api).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client
        .write_all(whole(&wire("a")).as_bytes())
        .await
        .unwrap();
    intake.wait_for_submitted(1).await;
    drop(client);
    // Only the request itself is tracked now: when it is gone, the server has seen the hang-up.
    api.source.work.close();
    api.source.work.wait().await;
    let [delivery] = <[_; 1]>::try_from(intake.take_held()).unwrap();
    assert_eq!(api.source.context.admission.actions_in_flight(), 1);
    delivery.done(ActionOutcome::Deduplicated(()));
    assert_eq!(api.source.context.admission.actions_in_flight(), 0);
}

#[tokio::test]
async fn a_body_that_is_cut_short_is_not_an_action() {
    let intake = FakeIntake::done();
    let api = api(intake.clone());
    let (address, _server) = listen(&api).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let action = wire("a");
    let request = head(
        "POST",
        ONE,
        &format!("content-length: {}\r\n", action.len() + 1),
    ) + &action;
    client.write_all(request.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).await.unwrap();
    assert!(intake.batch_sizes().is_empty());
}
