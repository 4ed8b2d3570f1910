//! Connections: how many there are, when they are used again, and when they are replaced.

use acteon_core::ResponseStatus;
use acteon_core::sink::SinkErrorClass;
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinSet;

use super::peer::{Peer, Say};
use super::{action, attempt, body, build, deliver, plain, to};

const TRANSIENT: SinkErrorClass = SinkErrorClass::Transient { retry_after: None };
const THREE: &[&str] = &["a@x.test", "b@x.test", "c@x.test"];

#[tokio::test]
async fn consecutive_messages_share_a_connection_even_after_refusals() {
    let peer = Peer::at("RCPT TO:<b@", Say::Reply("550 5.1.1 unknown")).await;
    let sink = build(plain(peer.port())).await.unwrap();
    for recipient in ["a@x.test", "b@x.test", "a@x.test", "b@x.test"] {
        let _ = deliver(&*sink, &to(&[recipient])).await;
    }
    assert_eq!(peer.delivered(), ["a@x.test", "a@x.test"]);
    assert_eq!(peer.count("connect"), 1);
}

#[tokio::test]
async fn an_idle_connection_closed_by_the_server_is_replaced() {
    for end in [Say::Last("421 4.4.2 idle for too long"), Say::Close] {
        for at in ["MAIL", "RCPT", "DATA"] {
            let mut sent = 0;
            let peer = Peer::start(move |received| {
                let is_end = sent == 1 && received.connection == 0 && received.line.starts_with(at);
                sent += usize::from(received.line == ".");
                is_end.then_some(end)
            });
            let peer = peer.await;
            let sink = build(plain(peer.port())).await.unwrap();
            deliver(&*sink, &to(&["a@x.test"])).await.unwrap();
            deliver(&*sink, &to(THREE)).await.unwrap();
            assert_eq!(peer.count("connect"), 2, "{at}");
            assert_eq!(
                peer.delivered(),
                ["a@x.test", "a@x.test", "b@x.test", "c@x.test"]
            );
        }
    }
}

#[tokio::test]
async fn a_new_connection_closed_by_the_server_is_a_failure() {
    let peer = Peer::at("MAIL", Say::Last("421 4.3.2 overloaded")).await;
    let sink = build(plain(peer.port())).await.unwrap();
    let error = deliver(&*sink, &to(&["a@x.test"])).await.unwrap_err();
    assert_eq!(error.class, TRANSIENT);
    assert_eq!(peer.count("connect"), 1);
}

#[tokio::test]
async fn a_connection_is_not_replaced_after_the_message_was_sent() {
    let mut sent = 0;
    let peer = Peer::start(move |received| {
        sent += usize::from(received.line == ".");
        (received.line == "." && sent == 2).then_some(Say::Last("421 4.3.0 closing"))
    });
    let peer = peer.await;
    let sink = build(plain(peer.port())).await.unwrap();
    deliver(&*sink, &to(&["a@x.test"])).await.unwrap();
    let error = deliver(&*sink, &to(&["a@x.test"])).await.unwrap_err();
    assert_eq!(error.class, TRANSIENT);
    assert_eq!(
        peer.count("connect"),
        1,
        "the next attempt belongs to the pipeline"
    );
}

#[tokio::test]
async fn a_connection_is_reused_after_a_refused_message() {
    for (at, reply) in [
        ("DATA", "451 4.3.0 not now"),
        (".", "451 4.3.0 not now"),
        ("MAIL", "552 5.3.4 large"),
    ] {
        let mut failed = false;
        let peer = Peer::start(move |received| {
            let fails = !failed && received.line.starts_with(at);
            failed |= fails;
            fails.then_some(Say::Reply(reply))
        });
        let peer = peer.await;
        let sink = build(plain(peer.port())).await.unwrap();
        deliver(&*sink, &to(&["a@x.test"])).await.unwrap_err();
        deliver(&*sink, &to(&["a@x.test"])).await.unwrap();
        assert_eq!(peer.count("connect"), 1, "{at}");
        assert_eq!(peer.accepted().len(), 1, "{at}");
    }
}

#[tokio::test]
async fn there_are_at_most_as_many_connections_as_concurrent_attempts() {
    let peer = Peer::willing().await;
    let sink = build(plain(peer.port())).await.unwrap();
    for _ in 0..3 {
        let mut attempts = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let sink = sink.clone();
            attempts.spawn(async move { deliver(&*sink, &to(&["a@x.test"])).await.unwrap() });
        }
        attempts.join_all().await;
    }
    assert_eq!(peer.accepted().len(), 12);
    assert!(peer.count("connect") <= 4, "{:?}", peer.count("connect"));
}

/// A few servers accept three connections, and refuse one more with 421, 4yz or 5yz, or by closing it.
#[tokio::test]
async fn a_server_that_accepts_few_connections_gets_no_more() {
    for refusal in [
        Say::Last("421 4.7.0 too many connections"),
        Say::Last("554 5.7.1 too many connections"),
        Say::Close,
    ] {
        let mut open = 0;
        let peer = Peer::start(move |received| match received.line {
            "connect" => {
                open += 1;
                (open > 2).then_some(refusal)
            }
            "gone" => {
                open -= 1;
                None
            }
            "." => Some(Say::Late(Duration::from_millis(5), "250 2.0.0 ok")),
            _ => None,
        });
        let peer = peer.await;
        let sink = build(plain(peer.port())).await.unwrap();
        for _ in 0..5 {
            let mut attempts = JoinSet::new();
            for _ in 0..4 {
                let sink = sink.clone();
                attempts.spawn(async move { deliver(&*sink, &to(&["a@x.test"])).await.unwrap() });
            }
            attempts.join_all().await;
        }
        assert_eq!(peer.accepted().len(), 20);
        assert!(peer.count("connect") <= 4, "it keeps asking for more");
    }
}

#[tokio::test]
async fn a_connection_closed_with_421_while_another_works_waits_for_the_other() {
    let peer = Peer::start(|received| match (received.connection, received.line) {
        (0, ".") => Some(Say::Late(Duration::from_millis(200), "250 2.0.0 ok")),
        (1.., line) if line.starts_with("MAIL") => Some(Say::Last("421 4.7.0 one at a time")),
        _ => None,
    });
    let peer = peer.await;
    let sink = build(plain(peer.port())).await.unwrap();
    let mut attempts = JoinSet::new();
    for _ in 0..3 {
        let sink = sink.clone();
        attempts.spawn(async move { deliver(&*sink, &to(&["a@x.test"])).await.unwrap() });
    }
    attempts.join_all().await;
    assert_eq!(peer.accepted().len(), 3);
}

#[tokio::test]
async fn a_server_that_is_away_fails_every_attempt() {
    let peer = Peer::at("connect", Say::Last("421 4.3.2 not now")).await;
    let sink = build(plain(peer.port())).await.unwrap();
    let mut attempts = JoinSet::new();
    for _ in 0..4 {
        let sink = sink.clone();
        attempts.spawn(async move { deliver(&*sink, &to(&["a@x.test"])).await.unwrap_err() });
    }
    for error in attempts.join_all().await {
        assert_eq!(error.class, TRANSIENT);
    }
}

#[tokio::test]
async fn a_connection_may_carry_one_message_only() {
    for refusal in [
        Say::Last("421 4.4.5 one message for each connection"),
        Say::Reply("452 4.5.3 too many messages"),
        Say::Reply("550 5.7.1 too many messages"),
        Say::Close,
    ] {
        let mut sent = std::collections::BTreeSet::new();
        let mut named = 0;
        let peer = Peer::start(move |received| {
            if received.line.starts_with("MAIL") {
                named = 0;
                return (!sent.insert(received.connection)).then_some(refusal);
            }
            named += usize::from(received.line.starts_with("RCPT"));
            let is_over = received.line.starts_with("RCPT") && named > 2;
            is_over.then_some(Say::Reply("452 4.5.3 too many recipients"))
        });
        let peer = peer.await;
        let sink = build(plain(peer.port())).await.unwrap();
        let names: Vec<_> = (0..7).map(|n| format!("r{n}@x.test")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let response = deliver(&*sink, &to(&names)).await.unwrap();
        assert_eq!(response.status, ResponseStatus::Success);
        assert_eq!(peer.delivered(), names);
        assert_eq!(peer.count("connect"), 4);
    }
}

#[tokio::test]
async fn a_connection_with_a_reply_too_many_is_not_used_again() {
    let mut is_first = true;
    let peer = Peer::start(move |received| match received.line {
        "." if is_first => {
            is_first = false;
            Some(Say::Reply("250 2.0.0 queued\r\n250 2.0.0 stray"))
        }
        "RCPT TO:<a@x.test>" => Some(Say::Reply("550 5.1.1 unknown")),
        _ => None,
    });
    let peer = peer.await;
    let sink = build(plain(peer.port())).await.unwrap();
    deliver(&*sink, &to(&["b@x.test"])).await.unwrap();
    let response = deliver(&*sink, &to(THREE)).await.unwrap();
    assert_eq!(body(&response)["refused"][0]["to"], "a@x.test");
    assert_eq!(body(&response)["accepted"].as_array().unwrap().len(), 2);
    assert_eq!(peer.count("connect"), 2);
    assert_eq!(peer.delivered(), ["b@x.test", "b@x.test", "c@x.test"]);
}

#[tokio::test]
async fn a_reply_too_many_within_a_transaction_ends_it_without_results() {
    let peer = Peer::start(|received| match received.line {
        "RCPT TO:<a@x.test>" => Some(Say::Reply("550 5.1.1 unknown\r\n550 5.1.1 again")),
        _ => None,
    });
    let peer = peer.await;
    let sink = build(plain(peer.port())).await.unwrap();
    let action = action(&to(THREE));
    let error = attempt(&*sink, &action, None).await.unwrap_err();
    assert_eq!((error.class, error.progress), (TRANSIENT, None));
    assert_eq!(peer.count("RCPT TO:<b@"), 0);
}

#[tokio::test]
async fn an_idle_connection_is_closed_with_quit_although_no_message_comes() {
    let peer = Peer::willing().await;
    let sink = build(plain(peer.port())).await.unwrap();
    deliver(&*sink, &json!({"to": "a@x.test", "subject": "s"}))
        .await
        .unwrap();
    tokio::time::pause();
    for _ in 0..12 {
        tokio::time::advance(Duration::from_secs(5)).await;
    }
    tokio::time::resume();
    let closed = async {
        while peer.count("QUIT") == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::LONG, closed).await.unwrap();
}
