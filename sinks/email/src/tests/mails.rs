//! Messages built from payloads.

use std::time::SystemTime;

use acteon_core::SinkError;
use acteon_core::sink::SinkErrorClass;
use lettre::message::header::HeaderName;
use serde_json::{Value, json};

use super::{action, read_action};
use crate::message::{MailLimits, OutgoingMail, mail_key};
use crate::payload::draft;
use crate::recipient::parse_mailbox;

pub(super) fn written_from(from: &str, payload: &Value) -> Result<OutgoingMail, SinkError> {
    let limits = MailLimits {
        recipients: 3,
        attachment_bytes: 10,
        headers: vec![HeaderName::new_from_ascii_str("X-Priority")],
    };
    let draft = draft(&action(payload).payload, &limits)?;
    draft.write(
        &parse_mailbox(from).unwrap(),
        "0123abcd",
        SystemTime::UNIX_EPOCH,
    )
}

pub(super) fn written(payload: &Value) -> OutgoingMail {
    written_from("Acteon <alerts@Example.com>", payload).unwrap()
}

pub(super) fn content(payload: &Value) -> String {
    let wire = String::from_utf8(written(payload).content.wire).unwrap();
    let content = wire.strip_suffix(".\r\n").unwrap();
    content.replace("\r\n..", "\r\n.")
}

/// The unfolded headers of a message.
pub(super) fn headers(payload: &Value) -> Vec<String> {
    let content = content(payload);
    let (headers, _) = content.split_once("\r\n\r\n").unwrap();
    let unfolded = headers.replace("\r\n ", " ");
    unfolded.split("\r\n").map(str::to_owned).collect()
}

#[test]
fn a_message_has_the_headers_of_its_payload_and_those_of_the_sink() {
    let payload = json!({
        "to": ["Ada <a@x.test>", "b@x.test"], "cc": "c@x.test", "reply_to": "help@x.test",
        "subject": "Order 7", "body": "paid", "headers": {"x-priority": "1"},
    });
    let headers = headers(&payload);
    for expected in [
        "From: Acteon <alerts@example.com>",
        "To: Ada <a@x.test>, b@x.test",
        "Cc: c@x.test",
        "Reply-To: help@x.test",
        "Subject: Order 7",
        "Date: Thu, 01 Jan 1970 00:00:00 +0000",
        "Message-ID: <0123abcd@example.com>",
        "X-Acteon-Idempotency-Key: 0123abcd",
        "Auto-Submitted: auto-generated",
        "X-Priority: 1",
        "MIME-Version: 1.0",
    ] {
        assert!(
            headers.iter().any(|header| header == expected),
            "{expected}: {headers:#?}"
        );
    }
}

#[test]
fn the_message_key_depends_on_the_action_and_the_provider_only() {
    assert_eq!(mail_key("a", "mail"), mail_key("a", "mail"));
    assert_eq!(mail_key("a", "mail").len(), 32);
    let others = [
        mail_key("a", "spare"),
        mail_key("b", "mail"),
        mail_key("am", "ail"),
    ];
    assert!(others.iter().all(|key| *key != mail_key("a", "mail")));
}

#[test]
fn the_body_is_text_or_html_or_both_or_empty() {
    let with = |body: Value| {
        let mut payload = json!({"to": "a@x.test", "subject": "s"});
        payload
            .as_object_mut()
            .unwrap()
            .extend(body.as_object().unwrap().clone());
        content(&payload)
    };
    let text = with(json!({"body": "plain text"}));
    assert!(text.contains("Content-Type: text/plain") && text.contains("plain text"));
    let html = with(json!({"html_body": "<b>bold</b>"}));
    assert!(html.contains("Content-Type: text/html") && !html.contains("text/plain"));
    let both = with(json!({"body": "plain text", "html_body": "<b>bold</b>"}));
    assert!(both.contains("multipart/alternative"));
    let (text_at, html_at) = (
        both.find("plain text").unwrap(),
        both.find("<b>bold</b>").unwrap(),
    );
    assert!(text_at < html_at, "mail programs prefer the last part");
    let none = with(json!({"body": null}));
    assert!(
        none.contains("text/plain") && none.ends_with("\r\n\r\n\r\n"),
        "{none:?}"
    );
}

#[test]
fn attachments_arrive_byte_for_byte() {
    let payload = json!({
        "to": "a@x.test", "subject": "s", "body": "see there",
        "attachments": [
            {"filename": "../b\"il\r\nl.csv", "content_type": "text/csv", "content": "YQosYgo="},
            {"content": "AP8A"},
        ],
    });
    let content = content(&payload);
    assert!(content.contains("multipart/mixed"), "{content}");
    assert!(content.contains("Content-Type: text/csv"), "{content}");
    assert!(content.contains("filename=\".._b_il__l.csv\""), "{content}");
    assert!(
        content.contains("Content-Type: application/octet-stream"),
        "{content}"
    );
    assert!(
        content.contains("\r\nYQosYgo=\r\n") && content.contains("\r\nAP8A\r\n"),
        "{content}"
    );
}

#[test]
fn no_field_can_inject_a_header_or_a_recipient() {
    let evil = "x\r\nBcc: spy@evil.test\r\n\r\nbody";
    for payload in [
        json!({"to": "a@x.test", "subject": evil}),
        json!({"to": "a@x.test", "subject": "s", "headers": {"X-Priority": evil}}),
        json!({"to": "a@x.test", "subject": "s", "body": evil}),
        json!({"to": "a@x.test", "subject": "s",
            "attachments": [{"filename": evil, "content": ""}]}),
        json!({"to": "a@x.test", "subject": "x\u{85}\u{2028}\u{0}y\rz\nBcc: spy@evil.test"}),
    ] {
        let headers = headers(&payload);
        let is_evil = |header: &String| header.to_lowercase().starts_with("bcc");
        assert!(!headers.iter().any(is_evil), "{headers:#?}");
        let raw = content(&payload);
        let (head, _) = raw.split_once("\r\n\r\n").unwrap();
        assert!(!head.to_lowercase().contains("\nbcc"), "{head}");
    }
    for address in [
        "a@x.test\r\nBcc: spy@evil.test",
        "a@x.test>\r\nRCPT TO:<spy@evil.test",
        "\"a\r\nb\" <a@x.test>",
        "a@x.test, spy@evil.test",
        "a@x.test\0",
        "a b@x.test",
        "a@x test",
        "a",
        "",
    ] {
        for field in ["to", "cc", "bcc", "reply_to"] {
            let mut payload = json!({"to": "a@x.test", "subject": "s"});
            payload[field] = json!([address]);
            let error = written_from("alerts@example.com", &payload).err().unwrap();
            let expected = format!("`{field}[0]` is not an address such as user@example.com");
            assert_eq!(error.message, expected, "{address:?}");
        }
    }
}

#[test]
fn a_display_name_cannot_inject_an_address() {
    let payload = json!({"to": "\"a, b <c@evil.test>\" <a@x.test>", "subject": "s"});
    let mail = written(&payload);
    assert_eq!(mail.recipients.len(), 1);
    assert_eq!(mail.recipients[0].address.to_string(), "a@x.test");
}

#[test]
fn every_line_ends_in_crlf_and_leading_dots_are_doubled() {
    let payload =
        json!({"to": "a@x.test", "subject": "s", "body": "one\ntwo\r\n.\r\n.three\rfour\n.\n"});
    let mail = written(&payload);
    let text = String::from_utf8(mail.content.wire).unwrap();
    let bare = text.replace("\r\n", "");
    assert!(!bare.contains(['\r', '\n']), "{text:?}");
    assert_eq!(text.matches("\r\n.\r\n").count(), 1, "{text:?}");
    assert!(text.ends_with("\r\n.\r\n"));
    let doubled = text.matches("\r\n..").count();
    assert_eq!(mail.content.size, text.len() - ".\r\n".len() - doubled);
}

#[test]
fn errors_name_the_field_of_the_payload_and_not_its_content() {
    let cases = [
        (json!("s3cret"), "the payload must be an object"),
        (
            json!({"subject": "s"}),
            "`to` must name at least one recipient",
        ),
        (
            json!({"to": [], "subject": "s"}),
            "`to` must name at least one recipient",
        ),
        (json!({"to": "a@x.test"}), "`subject` is missing"),
        (
            json!({"to": "s3cret", "subject": "s"}),
            "`to` is not an address",
        ),
        (
            json!({"to": ["a@x.test", "s3cret"], "subject": "s"}),
            "`to[1]` is not an address",
        ),
        (
            json!({"to": {"s3cret": 1}, "subject": "s"}),
            "`to` has the wrong type",
        ),
        (
            json!({"to": "a@x.test", "subject": 7}),
            "`subject` has the wrong type",
        ),
        (
            json!({"to": ["a@x.test", "b@x.test", "c@x.test", "d@x.test"], "subject": "s"}),
            "the payload has more than 3 recipients",
        ),
        (
            json!({"to": "a@x.test", "subject": "s", "headers": {"X-S3cret": "s3cret"}}),
            "`headers` contains a header that is not in `allow_headers`",
        ),
        (
            json!({"to": "a@x.test", "subject": "s", "attachments": [{"filename": "s3cret"}]}),
            "`attachments[0].content` is missing",
        ),
        (
            json!({"to": "a@x.test", "subject": "s", "attachments": [{"content": "s3cret!"}]}),
            "`attachments[0].content` is not base64",
        ),
        (
            json!({"to": "a@x.test", "subject": "s",
                "attachments": [{"content": "", "content_type": "s3cret"}]}),
            "`attachments[0].content_type` is not a media type",
        ),
        (
            json!({"to": "a@x.test", "subject": "s",
                "attachments": [{"content": "", "content_type": "text/plain\r\ns3cret: 1"}]}),
            "`attachments[0].content_type` is not a media type",
        ),
        (
            json!({"to": "a@x.test", "subject": "s",
                "attachments": [{"content": "MTIzNDU2"}, {"content": "MTIzNDU2"}]}),
            "`attachments` have more than 10 bytes in total",
        ),
    ];
    for (payload, expected) in cases {
        let error = written_from("alerts@example.com", &payload).err().unwrap();
        assert_eq!(error.class, SinkErrorClass::Permanent);
        assert!(error.message.starts_with(expected), "{expected}: {error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}

#[test]
fn an_internationalized_domain_is_sent_in_ascii_and_needs_no_smtputf8() {
    let mail = written(&json!({"to": "ada@b\u{fc}cher.test", "subject": "Gr\u{fc}\u{df}e"}));
    assert_eq!(
        mail.recipients[0].address.to_string(),
        "ada@xn--bcher-kva.test"
    );
    assert!(!mail.needs_smtputf8 && mail.content.wire.is_ascii());
    for field in ["to", "cc", "bcc", "reply_to"] {
        let mut payload = json!({"to": "a@x.test", "subject": "s"});
        payload[field] = json!("ad\u{e4}@x.test");
        assert!(written(&payload).needs_smtputf8, "{field}");
    }
}

#[test]
fn unknown_fields_are_ignored() {
    written(&json!({"to": "a@x.test", "subject": "s", "channel": "#ops", "blocks": []}));
}

#[test]
fn an_empty_html_body_is_no_body() {
    let payload = json!({"to": "a@x.test", "subject": "s", "body": "disk full", "html_body": ""});
    let content = content(&payload);
    assert!(!content.contains("multipart") && !content.contains("text/html"));
    assert!(content.ends_with("\r\n\r\ndisk full\r\n"), "{content:?}");
}

#[test]
fn a_body_with_nul_is_refused() {
    for field in ["body", "html_body"] {
        let mut payload = json!({"to": "a@x.test", "subject": "s"});
        payload[field] = json!("a\u{0}b");
        let error = written_from("alerts@example.com", &payload).err().unwrap();
        assert_eq!(error.message, format!("`{field}` contains a NUL character"));
    }
}

#[test]
fn base64_may_have_line_breaks() {
    for encoded in ["AP\r\n8A\r\n", "AP\n8A", "AP8A"] {
        let attachments = json!([{"content": encoded}]);
        let payload = json!({"to": "a@x.test", "subject": "s", "attachments": attachments});
        assert!(content(&payload).contains("\r\nAP8A\r\n"), "{encoded:?}");
    }
}

/// The payload of an action, with its duplicate keys.
fn payload_as_written(payload: &str) -> acteon_core::Payload {
    let action = format!(
        r#"{{"namespace":"ns","tenant":"t","provider":"mail","action_type":"paid","payload":{payload}}}"#
    );
    read_action(&action).payload
}

#[test]
fn a_key_that_appears_twice_is_named() {
    for (text, expected) in [
        (
            r#"{"to":"a@x.test","subject":"s","body":"a","body":"b"}"#,
            "`body` appears twice",
        ),
        (
            r#"{"to":"a@x.test","subject":"s","attachments":[{"content":"","content":""}]}"#,
            "`attachments[0].content` appears twice",
        ),
    ] {
        let payload = payload_as_written(text);
        let limits = MailLimits {
            recipients: 3,
            attachment_bytes: 10,
            headers: Vec::new(),
        };
        let error = draft(&payload, &limits).err().unwrap();
        assert_eq!(error.message, expected);
    }
}
