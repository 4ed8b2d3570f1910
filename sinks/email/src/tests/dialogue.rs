//! A scripted server that fails at each step of the dialogue.

use acteon_core::sink::SinkErrorClass;
use acteon_core::{FailureCode, SinkError};
use serde_json::json;
use std::time::Duration;
use tokio::task::JoinSet;

use super::peer::{Peer, Say};
use super::{LONG, PASSWORD, build, build_within, deliver, plain, to, with};

const TRANSIENT: SinkErrorClass = SinkErrorClass::Transient { retry_after: None };
/// The reply to the message is lost, which may have been delivered.
const LOST: SinkErrorClass = SinkErrorClass::Transient {
    retry_after: Some(Duration::from_secs(30 * 60)),
};
const DEFERRED: SinkErrorClass = SinkErrorClass::Deferred;
const FAULT: SinkErrorClass = SinkErrorClass::ProviderFault;
const PERMANENT: SinkErrorClass = SinkErrorClass::Permanent;

/// The steps with authentication, and their names in messages.
const STEPS: &[(&str, &str)] = &[
    ("connect", "greeting"),
    ("EHLO", "EHLO"),
    ("AUTH", "AUTH"),
    ("MAIL", "MAIL"),
    ("RCPT", "RCPT"),
    ("DATA", "DATA"),
    (".", "the message"),
];

fn logged_in(port: u16) -> serde_json::Value {
    with(plain(port), json!({"username": "u", "password": PASSWORD}))
}

/// The class of an attempt without a reply at this step.
fn without_reply(at: &str) -> SinkErrorClass {
    if at == "." { LOST } else { TRANSIENT }
}

/// The error of a message to one recipient if the server replies this at this step.
async fn failure(at: &'static str, say: Say) -> SinkError {
    let peer = Peer::at(at, say).await;
    let sink = build(logged_in(peer.port())).await.unwrap();
    let error = deliver(&*sink, &to(&["a@x.test"])).await.unwrap_err();
    assert_eq!(peer.accepted().len(), 0);
    error
}

#[tokio::test]
async fn every_refusal_is_classified() {
    let cases = [
        ("connect", "421 4.3.2 too many connections", TRANSIENT),
        ("connect", "554 5.7.1 go away", FAULT),
        ("EHLO", "421 4.3.2 closing", TRANSIENT),
        ("EHLO", "502 5.5.1 what is that", FAULT),
        ("AUTH", "454 4.7.0 the directory is away", TRANSIENT),
        ("AUTH", "535 5.7.8 no", FAULT),
        ("AUTH", "534 5.7.9 too weak", FAULT),
        ("MAIL", "421 4.7.0 closing", TRANSIENT),
        ("MAIL", "451 4.7.1 not now", TRANSIENT),
        ("MAIL", "530 5.7.0 log in first", FAULT),
        ("MAIL", "535 5.7.0 log in again", FAULT),
        ("MAIL", "553 5.7.1 not your address", FAULT),
        ("MAIL", "552 5.3.4 too large", PERMANENT),
        ("MAIL", "554 5.3.4 too large", PERMANENT),
        ("MAIL", "553 5.6.7 not ASCII", PERMANENT),
        ("RCPT", "421 4.7.0 closing", TRANSIENT),
        ("RCPT", "450 4.2.1 busy", DEFERRED),
        ("RCPT", "452 4.5.3 too many", DEFERRED),
        ("RCPT", "530 5.7.0 log in first", FAULT),
        ("RCPT", "550 5.1.1 unknown", PERMANENT),
        ("DATA", "421 4.7.0 closing", TRANSIENT),
        ("DATA", "451 4.3.0 not now", TRANSIENT),
        ("DATA", "530 5.7.0 log in first", FAULT),
        ("DATA", "554 5.5.1 nobody to send to", PERMANENT),
        (".", "421 4.3.0 closing", TRANSIENT),
        (".", "452 4.3.1 no room", TRANSIENT),
        (".", "535 5.7.0 log in again", FAULT),
        (".", "554 5.7.1 this is spam", PERMANENT),
    ];
    for (at, reply, class) in cases {
        let error = failure(at, Say::Reply(reply)).await;
        assert_eq!(error.class, class, "{at}: {reply}: {error}");
        assert_eq!(error.code, FailureCode::ExecutionFailed, "{at}: {reply}");
        let code = reply.split(' ').next().unwrap();
        assert!(error.message.contains(code), "{error}");
        let refused = error.refusal.unwrap();
        assert_eq!(refused.status, code.parse().ok());
        let said = String::from_utf8(refused.body.to_vec()).unwrap();
        assert!(said.contains(reply.split_once(' ').unwrap().1), "{said}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_at_any_step_is_transient() {
    for (at, step) in STEPS {
        let error = failure(at, Say::Close).await;
        assert_eq!(error.class, without_reply(at), "{at}");
        assert_eq!(error.code, FailureCode::Connection, "{at}");
        assert!(error.message.contains(step), "{error}");
        assert_eq!(error.refusal, None);
    }
}

#[tokio::test]
async fn a_reply_that_is_not_smtp_is_transient_at_any_step() {
    for (at, step) in STEPS {
        for reply in ["HTTP/1.1 400 Bad Request", "999 what", "25", "250~ok"] {
            let error = failure(at, Say::Reply(reply)).await;
            assert_eq!(error.class, without_reply(at), "{at}: {reply}");
            assert_eq!(error.code, FailureCode::Connection, "{at}: {reply}");
            assert!(error.message.contains(step), "{error}");
        }
    }
}

#[tokio::test]
async fn a_reply_that_the_step_does_not_allow_is_transient() {
    let cases = [
        ("connect", "354 go on"),
        ("EHLO", "354 go on"),
        ("MAIL", "354 go on"),
        ("RCPT", "354 go on"),
        ("DATA", "250 ok"),
        (".", "354 go on"),
    ];
    for (at, reply) in cases {
        let error = failure(at, Say::Reply(reply)).await;
        assert_eq!(error.class, without_reply(at), "{at}");
        assert_eq!(error.code, FailureCode::Connection, "{at}");
    }
}

/// Otherwise the pipeline would cut off the attempt, and its progress would be lost.
#[tokio::test]
async fn an_attempt_ends_before_it_is_cut_off_at_whatever_step_the_server_hangs() {
    const LIMIT: Duration = Duration::from_secs(3);
    let mut attempts = JoinSet::new();
    for (at, step) in STEPS {
        attempts.spawn(async move {
            let peer = Peer::at(at, Say::Hang).await;
            let sink = build_within(LIMIT, logged_in(peer.port())).await.unwrap();
            let payload = to(&["a@x.test"]);
            let error = tokio::time::timeout(LIMIT, deliver(&*sink, &payload)).await;
            let error = error
                .unwrap_or_else(|_| panic!("cut off at {at}"))
                .unwrap_err();
            assert_eq!(error.class, without_reply(at), "{at}");
            assert_eq!(error.code, FailureCode::Timeout, "{at}");
            assert!(error.message.contains(step), "{error}");
        });
    }
    attempts.join_all().await;
}

#[tokio::test]
async fn a_refused_connection_is_transient() {
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let sink = build(plain(port)).await.unwrap();
    let error = deliver(&*sink, &to(&["a@x.test"])).await.unwrap_err();
    assert_eq!(error.class, TRANSIENT);
    assert_eq!(error.code, FailureCode::Connection);
    assert!(error.message.contains("connection refused"), "{error}");
}

#[tokio::test]
async fn a_server_without_starttls_gets_neither_the_password_nor_a_message() {
    let peer = Peer::willing().await;
    let options = with(logged_in(peer.port()), json!({"tls": "starttls"}));
    let sink = build(options).await.unwrap();
    let error = deliver(&*sink, &to(&["a@x.test"])).await.unwrap_err();
    assert_eq!(error.class, FAULT);
    assert_eq!(error.code, FailureCode::Configuration);
    assert!(error.message.contains("does not offer STARTTLS"), "{error}");
    assert_eq!(peer.count("AUTH") + peer.count("MAIL"), 0);
}

#[tokio::test]
async fn a_refused_starttls_is_classified_and_unencrypted_bytes_after_it_are_not_read() {
    let cases = [
        (
            Say::Reply("454 4.7.0 not now"),
            TRANSIENT,
            FailureCode::ExecutionFailed,
        ),
        (
            Say::Reply("502 5.5.1 no"),
            FAULT,
            FailureCode::ExecutionFailed,
        ),
        (Say::Close, TRANSIENT, FailureCode::Connection),
        (Say::Last("220 go on"), TRANSIENT, FailureCode::Connection),
        // Injected by an attacker, in one packet with the reply.
        (
            Say::Reply("220 go on\r\n250-peer.test\r\n250 AUTH PLAIN"),
            TRANSIENT,
            FailureCode::Connection,
        ),
    ];
    for (say, class, code) in cases {
        let peer = Peer::start(move |received| match received.line {
            "STARTTLS" => Some(say),
            line if line.starts_with("EHLO") => Some(Say::Reply("250-peer.test\r\n250 STARTTLS")),
            _ => None,
        });
        let peer = peer.await;
        let options = with(logged_in(peer.port()), json!({"tls": "starttls"}));
        let sink = build(options).await.unwrap();
        let error = deliver(&*sink, &to(&["a@x.test"])).await.unwrap_err();
        assert_eq!((error.class, error.code), (class, code), "{error}");
        assert_eq!(peer.count("AUTH") + peer.count("MAIL"), 0);
    }
}

#[tokio::test]
async fn the_first_mechanism_that_both_sides_support_is_used() {
    let cases = [
        (json!({}), "250 AUTH LOGIN PLAIN", Some("AUTH PLAIN ")),
        (json!({}), "250 AUTH=LOGIN", Some("AUTH LOGIN")),
        (
            json!({"auth": "login"}),
            "250 AUTH LOGIN PLAIN",
            Some("AUTH LOGIN"),
        ),
        (
            json!({"auth": "xoauth2"}),
            "250 AUTH XOAUTH2",
            Some("AUTH XOAUTH2 "),
        ),
        (json!({}), "250 AUTH XOAUTH2 CRAM-MD5", None),
        (json!({"auth": "xoauth2"}), "250 AUTH PLAIN", None),
        (json!({}), "250 SIZE", None),
    ];
    for (options, offer, expected) in cases {
        let hello: &'static str = format!("250-peer.test\r\n{offer}").leak();
        let peer = Peer::start(move |received| {
            received
                .line
                .starts_with("EHLO")
                .then_some(Say::Reply(hello))
        });
        let peer = peer.await;
        let sink = build(with(logged_in(peer.port()), options)).await.unwrap();
        let result = deliver(&*sink, &to(&["a@x.test"])).await;
        match expected {
            Some(begin) => {
                result.unwrap();
                assert_eq!(peer.count(begin), 1, "{:?}", peer.lines());
            }
            None => {
                let error = result.unwrap_err();
                assert_eq!(
                    (error.class, error.code),
                    (FAULT, FailureCode::Configuration)
                );
                assert_eq!(peer.count("AUTH") + peer.count("MAIL"), 0);
            }
        }
    }
}

#[tokio::test]
async fn a_password_repeated_by_the_server_is_redacted() {
    for (auth, echo) in [
        (
            "plain",
            "535 5.7.8 AHUAczNjcmV0LWluLXRoZS10ZXN0cw== is wrong",
        ),
        ("login", "535 5.7.8 czNjcmV0LWluLXRoZS10ZXN0cw== is wrong"),
        ("login", "535 5.7.8 s3cret-in-the-tests is wrong"),
    ] {
        let peer = Peer::start(move |received| match received.line {
            "AUTH LOGIN" => Some(Say::Reply("334 VXNlcm5hbWU6")),
            "dQ==" => Some(Say::Reply("334 UGFzc3dvcmQ6")),
            line if line.starts_with("AUTH") || line.starts_with("czNj") => Some(Say::Reply(echo)),
            _ => None,
        });
        let peer = peer.await;
        let options = with(logged_in(peer.port()), json!({"auth": auth}));
        let sink = build(options).await.unwrap();
        let error = deliver(&*sink, &to(&["a@x.test"])).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        let said = String::from_utf8_lossy(&error.refusal.unwrap().body).into_owned();
        for text in [shown, said.clone()] {
            assert!(!text.contains(PASSWORD) && !text.contains("czNj"), "{text}");
            assert!(!text.contains("czNjcmV0LWlu"), "{text}");
        }
        assert!(said.contains("*** is wrong"), "{said}");
    }
}

#[tokio::test]
async fn a_password_repeated_at_any_step_is_redacted() {
    let echo = "550 5.5.1 unknown: AUTH PLAIN AHUAczNjcmV0LWluLXRoZS10ZXN0cw (s3cret-in-the-tests)";
    for (at, _) in STEPS {
        let error = failure(at, Say::Reply(echo)).await;
        let refusal = error.refusal.as_ref().unwrap();
        let said = String::from_utf8_lossy(&refusal.body);
        assert!(said.contains("unknown: AUTH PLAIN *** (***)"), "{said}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(PASSWORD), "{shown}");
    }
    let peer = Peer::at("RCPT TO:<b@", Say::Reply(echo)).await;
    let sink = build(logged_in(peer.port())).await.unwrap();
    let response = deliver(&*sink, &to(&["a@x.test", "b@x.test"]))
        .await
        .unwrap();
    let said = response.body.get();
    assert!(said.contains("***") && !said.contains("s3cret"), "{said}");
    assert!(!said.contains("czNjcmV0"), "{said}");
}

/// Servers check a message before they reply to it, for up to ten minutes.
#[tokio::test]
async fn the_reply_to_the_message_has_its_own_time() {
    let limit = Duration::from_secs(4);
    let peer = Peer::at(".", Say::Late(Duration::from_secs(2), "250 2.0.0 ok")).await;
    let options = with(logged_in(peer.port()), json!({"final_reply_seconds": 3}));
    let sink = build_within(limit, options.clone()).await.unwrap();
    deliver(&*sink, &to(&["a@x.test"])).await.unwrap();
    let slow = Peer::at("MAIL", Say::Late(Duration::from_secs(2), "250 2.0.0 ok")).await;
    let options = with(options, json!({"smtp_port": slow.port()}));
    let sink = build_within(limit, options).await.unwrap();
    let error = deliver(&*sink, &to(&["a@x.test"])).await.unwrap_err();
    assert_eq!((error.class, error.code), (TRANSIENT, FailureCode::Timeout));
}

#[tokio::test]
async fn dialing_authenticates_and_sends_no_message() {
    let peer = Peer::willing().await;
    let sink = build(logged_in(peer.port())).await.unwrap();
    let reached = sink.dial().await.unwrap().unwrap();
    let expected = format!(
        "connected to 127.0.0.1:{} without TLS, authenticated",
        peer.port()
    );
    assert_eq!(reached, expected);
    let lines = peer.lines();
    let verbs: Vec<_> = lines
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(verbs, ["connect", "EHLO", "AUTH", "QUIT"]);
    assert_eq!(lines[1], "EHLO acteon.example.com");
    for (at, step) in &STEPS[..3] {
        let peer = Peer::at(at, Say::Reply("535 5.7.8 no")).await;
        let sink = build(logged_in(peer.port())).await.unwrap();
        let error = sink.dial().await.unwrap_err();
        assert_eq!(error.option, "smtp_host");
        assert!(error.message.contains(step), "{error}");
    }
}

#[tokio::test]
async fn a_host_name_with_a_private_address_is_the_providers_fault() {
    let options = with(
        plain(9),
        json!({"smtp_host": "localhost", "allow_cidrs": []}),
    );
    let sink = build_within(LONG, options).await.unwrap();
    let error = deliver(&*sink, &to(&["a@x.test"])).await.unwrap_err();
    assert_eq!(
        (error.class, error.code),
        (FAULT, FailureCode::Configuration)
    );
    assert!(error.message.contains("allow_cidrs"), "{error}");
}
