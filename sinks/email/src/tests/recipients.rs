//! The results of single recipients over transactions, connections and attempts.

use acteon_core::sink::SinkErrorClass;
use acteon_core::{FailureCode, ResponseStatus};
use serde_json::json;
use std::time::Duration;

use super::peer::{Peer, Say};
use super::{action, attempt, body, build, build_within, deliver, plain, refusal, to};

const TRANSIENT: SinkErrorClass = SinkErrorClass::Transient { retry_after: None };
const DEFERRED: SinkErrorClass = SinkErrorClass::Deferred;
const THREE: &[&str] = &["a@x.test", "b@x.test", "c@x.test"];

#[tokio::test]
async fn an_address_that_appears_twice_gets_one_message() {
    let peer = Peer::willing().await;
    let sink = build(plain(peer.port())).await.unwrap();
    let payload = json!({
        "to": ["a@x.test", "A <a@X.test>"], "cc": "b@x.test", "bcc": ["c@x.test", "b@x.test"],
        "subject": "s",
    });
    let response = deliver(&*sink, &payload).await.unwrap();
    assert_eq!(response.status, ResponseStatus::Success);
    assert_eq!(peer.delivered(), THREE);
    let accepted = json!([{"to": "a@x.test"}, {"cc": "b@x.test"}, {"bcc": "c@x.test"}]);
    assert_eq!(body(&response)["accepted"], accepted);
    let content = &peer.accepted()[0].content;
    assert!(
        !content.contains("c@x.test"),
        "recipients in bcc must not be visible: {content}"
    );
}

#[tokio::test]
async fn a_refused_recipient_is_reported_and_the_others_get_the_message() {
    let peer = Peer::at("RCPT TO:<b@", Say::Reply("550 5.1.1 no such user")).await;
    let sink = build(plain(peer.port())).await.unwrap();
    let response = deliver(&*sink, &to(THREE)).await.unwrap();
    assert_eq!(response.status, ResponseStatus::Partial);
    let refused = json!([{"to": "b@x.test", "code": 550, "reply": "5.1.1 no such user"}]);
    assert_eq!(body(&response)["refused"], refused);
    assert_eq!(peer.delivered(), ["a@x.test", "c@x.test"]);
}

#[tokio::test]
async fn only_deferred_recipients_are_retried() {
    let mut asked = 0;
    let peer = Peer::start(move |received| {
        asked += usize::from(received.line.starts_with("RCPT TO:<b@"));
        let is_first = asked == 1 && received.line.starts_with("RCPT TO:<b@");
        is_first.then_some(Say::Reply("450 4.2.0 grey"))
    });
    let peer = peer.await;
    let sink = build(plain(peer.port())).await.unwrap();
    let action = action(&to(THREE));
    let error = attempt(&*sink, &action, None).await.unwrap_err();
    assert_eq!(error.class, DEFERRED);
    assert!(
        error.message.contains("deferred 1 of 3 recipients (450)"),
        "{error}"
    );
    let deferred = json!([{"to": "b@x.test", "code": 450, "reply": "4.2.0 grey"}]);
    assert_eq!(refusal(&error)["deferred"], deferred);
    let progress = error.progress.unwrap();
    assert!(progress.has_accepted);
    let response = attempt(&*sink, &action, Some(&progress)).await.unwrap();
    assert_eq!(response.status, ResponseStatus::Success);
    assert_eq!(peer.delivered(), ["a@x.test", "c@x.test", "b@x.test"]);
}

#[tokio::test]
async fn a_permanent_refusal_is_not_retried() {
    let peer = Peer::start(|received| match received.line {
        "RCPT TO:<a@x.test>" => Some(Say::Reply("550 5.1.1 unknown")),
        "RCPT TO:<b@x.test>" => Some(Say::Reply("451 4.3.0 not now")),
        _ => None,
    });
    let peer = peer.await;
    let sink = build(plain(peer.port())).await.unwrap();
    let action = action(&to(&["a@x.test", "b@x.test"]));
    let error = attempt(&*sink, &action, None).await.unwrap_err();
    let progress = error.progress.unwrap();
    assert!(
        !progress.has_accepted,
        "the server accepted it for no recipient"
    );
    let error = attempt(&*sink, &action, Some(&progress)).await.unwrap_err();
    assert_eq!(error.class, DEFERRED);
    assert_eq!(error.progress.unwrap(), progress);
    assert_eq!(peer.count("RCPT TO:<a@"), 1);
    assert_eq!(peer.count("RCPT TO:<b@"), 2);
    assert_eq!(peer.count("DATA"), 0);
}

#[tokio::test]
async fn progress_of_another_kind_of_sink_is_ignored() {
    let peer = Peer::willing().await;
    let sink = build(plain(peer.port())).await.unwrap();
    for state in ["", "ts=17", r#"{"slack":{"ts":"17"}}"#, r#"{"email":7}"#] {
        let progress = acteon_core::DeliveryProgress {
            has_accepted: true,
            state: state.into(),
        };
        let action = action(&to(&["a@x.test"]));
        attempt(&*sink, &action, Some(&progress)).await.unwrap();
    }
    assert_eq!(peer.accepted().len(), 4);
}

#[tokio::test]
async fn recipients_beyond_the_servers_limit_go_into_the_next_transaction() {
    for reply in [
        "452 4.5.3 too many",
        "452 Too many recipients",
        "552 5.5.3 too many",
    ] {
        let mut named = 0;
        let peer = Peer::start(move |received| {
            named = match received.line {
                line if line.starts_with("MAIL") => 0,
                line if line.starts_with("RCPT") => named + 1,
                _ => named,
            };
            (received.line.starts_with("RCPT") && named > 2).then_some(Say::Reply(reply))
        });
        let peer = peer.await;
        let sink = build(plain(peer.port())).await.unwrap();
        let names: Vec<_> = (0..5).map(|n| format!("r{n}@x.test")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let response = deliver(&*sink, &to(&names)).await.unwrap();
        assert_eq!(response.status, ResponseStatus::Success, "{reply}");
        assert_eq!(peer.delivered(), names, "{reply}");
        let sizes: Vec<_> = peer
            .accepted()
            .iter()
            .map(|mail| mail.recipients.len())
            .collect();
        assert_eq!(sizes, [2, 2, 1]);
        assert_eq!(peer.count("connect"), 1);
        let id = |content: &str| {
            content
                .lines()
                .find(|l| l.starts_with("Message-ID"))
                .map(str::to_owned)
        };
        let ids: Vec<_> = peer
            .accepted()
            .iter()
            .map(|mail| id(&mail.content))
            .collect();
        assert!(
            ids[0].is_some() && ids.iter().all(|id| *id == ids[0]),
            "{ids:?}"
        );
    }
}

#[tokio::test]
async fn a_full_mailbox_is_not_mistaken_for_too_many_recipients() {
    let peer = Peer::at("RCPT TO:<b@", Say::Reply("452 4.2.2 mailbox full")).await;
    let sink = build(plain(peer.port())).await.unwrap();
    let error = deliver(&*sink, &to(THREE)).await.unwrap_err();
    assert_eq!(error.class, DEFERRED);
    assert_eq!(peer.delivered(), ["a@x.test", "c@x.test"]);
    assert_eq!(peer.count("RCPT TO:<b@"), 1);
}

#[tokio::test]
async fn a_connection_lost_between_two_transactions_loses_and_duplicates_nothing() {
    let mut mails = 0;
    let peer = Peer::start(move |received| {
        mails += usize::from(received.line.starts_with("MAIL"));
        match received.line {
            "RCPT TO:<b@x.test>" if mails == 1 => Some(Say::Reply("452 4.5.3 too many")),
            line if line.starts_with("MAIL") && mails > 1 => Some(Say::Close),
            _ => None,
        }
    });
    let peer = peer.await;
    let sink = build(plain(peer.port())).await.unwrap();
    let action = action(&to(&["a@x.test", "b@x.test"]));
    let error = attempt(&*sink, &action, None).await.unwrap_err();
    assert_eq!(error.class, TRANSIENT);
    assert_eq!(peer.delivered(), ["a@x.test"]);
    let progress = error.progress.unwrap();
    assert!(progress.has_accepted);
    let before = peer.count("RCPT TO:<a@");
    let error = attempt(&*sink, &action, Some(&progress)).await.unwrap_err();
    assert_eq!(peer.count("RCPT TO:<a@"), before);
    assert_eq!(error.progress.unwrap(), progress);
}

#[tokio::test]
async fn the_first_transaction_is_reported_if_the_server_hangs_in_the_second() {
    let limit = Duration::from_secs(2);
    let mut mails = 0;
    let peer = Peer::start(move |received| {
        mails += usize::from(received.line.starts_with("MAIL"));
        match received.line {
            "RCPT TO:<b@x.test>" if mails == 1 => Some(Say::Reply("452 4.5.3 too many")),
            "." if mails == 2 => Some(Say::Hang),
            _ => None,
        }
    });
    let peer = peer.await;
    let sink = build_within(limit, plain(peer.port())).await.unwrap();
    let payload = to(&["a@x.test", "b@x.test"]);
    let error = tokio::time::timeout(limit, deliver(&*sink, &payload)).await;
    let error = error.unwrap().unwrap_err();
    assert_eq!(error.code, FailureCode::Timeout);
    assert!(error.progress.unwrap().has_accepted);
    assert_eq!(peer.delivered(), ["a@x.test"]);
}

#[tokio::test]
async fn a_message_without_a_final_reply_is_retried_but_not_soon() {
    let mut ends = 0;
    let peer = Peer::start(move |received| {
        ends += usize::from(received.line == ".");
        (received.line == "." && ends == 1).then_some(Say::Close)
    });
    let peer = peer.await;
    let sink = build(plain(peer.port())).await.unwrap();
    let action = action(&to(&["a@x.test"]));
    let error = attempt(&*sink, &action, None).await.unwrap_err();
    let retry_after = Some(Duration::from_secs(30 * 60));
    assert_eq!(error.class, SinkErrorClass::Transient { retry_after });
    assert_eq!(error.progress, None, "no recipient has a known result");
    attempt(&*sink, &action, None).await.unwrap();
    assert_eq!(peer.count("connect"), 2);
}

#[tokio::test]
async fn a_server_that_defers_a_recipient_works_and_one_that_defers_the_message_may_not() {
    let peer = Peer::start(|received| match received.line {
        "RCPT TO:<a@x.test>" => Some(Say::Reply("450 4.2.0 grey")),
        "." => Some(Say::Reply("452 4.3.1 no room")),
        _ => None,
    });
    let peer = peer.await;
    let sink = build(plain(peer.port())).await.unwrap();
    let error = deliver(&*sink, &to(&["a@x.test"])).await.unwrap_err();
    assert_eq!(error.class, DEFERRED);
    let error = deliver(&*sink, &to(THREE)).await.unwrap_err();
    assert_eq!(error.class, TRANSIENT);
}

#[tokio::test]
async fn the_results_of_a_transaction_that_broke_are_not_final() {
    let peer = Peer::start(|received| match received.line {
        "RCPT TO:<a@x.test>" => Some(Say::Reply("550 5.1.1 unknown")),
        "DATA" => Some(Say::Close),
        _ => None,
    });
    let peer = peer.await;
    let sink = build(plain(peer.port())).await.unwrap();
    let error = deliver(&*sink, &to(THREE)).await.unwrap_err();
    assert_eq!((error.class, error.progress), (TRANSIENT, None));
}

#[tokio::test]
async fn while_recipients_take_long_those_accepted_get_the_message() {
    const WAIT: Duration = Duration::from_millis(300);
    let peer = Peer::at("RCPT", Say::Late(WAIT, "250 2.1.5 ok")).await;
    let sink = build_within(Duration::from_secs(3), plain(peer.port()))
        .await
        .unwrap();
    let names: Vec<_> = (0..12).map(|n| format!("r{n}@x.test")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let action = action(&to(&names));
    let mut progress = None;
    for attempts in 1.. {
        assert!(attempts < 12, "{:?}", peer.delivered());
        match attempt(&*sink, &action, progress.as_deref()).await {
            Ok(response) => {
                assert!(attempts > 1);
                assert_eq!(response.status, ResponseStatus::Success);
                break;
            }
            Err(error) => {
                assert_eq!(error.class, DEFERRED);
                assert!(error.message.contains("were not tried"), "{error}");
                assert!(!refusal(&error)["pending"].as_array().unwrap().is_empty());
                progress = error.progress;
            }
        }
    }
    assert_eq!(peer.delivered(), names);
}

#[tokio::test]
async fn replies_are_reported_without_the_addresses_of_recipients() {
    let peer = Peer::at(
        "RCPT",
        Say::Reply("550 5.1.1 <B@X.test>, aa@x.test: unknown"),
    )
    .await;
    let sink = build(plain(peer.port())).await.unwrap();
    let payload = to(&["Aa <AA@x.test>", "a@x.test", "Bo <b@X.TEST>"]);
    let error = deliver(&*sink, &payload).await.unwrap_err();
    let refused = &refusal(&error)["refused"];
    assert_eq!(refused[2]["to"], "b@x.test");
    assert_eq!(refused[2]["reply"], "5.1.1 <***>, ***: unknown");
}

#[tokio::test]
async fn an_address_that_needs_smtputf8_fails_alone() {
    let peer = Peer::at("EHLO", Say::Reply("250 peer.test")).await;
    let sink = build(plain(peer.port())).await.unwrap();
    let payload = json!({
        "to": ["ad\u{e4}@x.test", "a@x.test"], "bcc": "b\u{e4}@x.test", "subject": "s",
    });
    let response = deliver(&*sink, &payload).await.unwrap();
    assert_eq!(response.status, ResponseStatus::Partial);
    assert_eq!(body(&response)["refused"].as_array().unwrap().len(), 2);
    assert_eq!(peer.delivered(), ["a@x.test"]);
    assert!(peer.accepted()[0].content.is_ascii());
    assert!(peer.lines().iter().all(|line| line.is_ascii()));
}

#[tokio::test]
async fn a_known_result_does_not_wait_for_rset() {
    let peer = Peer::start(|received| match received.line {
        "RSET" => Some(Say::Hang),
        line => line
            .starts_with("RCPT")
            .then_some(Say::Reply("550 5.1.1 unknown")),
    });
    let peer = peer.await;
    let sink = build(plain(peer.port())).await.unwrap();
    let error = deliver(&*sink, &to(THREE)).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::Permanent);
    assert_eq!(peer.count("RSET"), 0);
}
