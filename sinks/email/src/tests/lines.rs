//! The lines of messages: their ends and their lengths.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use super::mails::{content, headers, written, written_from};

/// Converting each line end by moving all that follows would take minutes.
#[test]
fn a_million_line_ends_are_converted_at_once() {
    for end in ["\n", "\r"] {
        let body = end.repeat(1 << 20);
        let mail = written(&json!({"to": "a@x.test", "subject": "s", "body": body}));
        let text = String::from_utf8(mail.content.wire).unwrap();
        assert!(text.matches("\r\n").count() > 1 << 20);
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
    }
}

#[test]
fn every_line_of_the_headers_is_short_enough_or_the_field_is_named() {
    let long = "x".repeat(2000);
    let spaced = "two words ".repeat(200);
    let quoted = format!("\"{}\" <a@x.test>", "\\\"".repeat(150));
    for more in [
        json!({"subject": format!("See https://x.test/{long}")}),
        json!({"subject": spaced}),
        json!({"subject": "\u{e9}".repeat(2000)}),
        json!({"subject": format!("\u{e9} {long} \u{e9}{long}")}),
        json!({"to": quoted}),
        json!({"to": format!("{} <a@x.test>", "n".repeat(450))}),
        json!({"headers": {"X-Priority": spaced}}),
        json!({"headers": {"X-Priority": "\u{e9}".repeat(2000)}}),
        json!({"attachments": [{"filename": long, "content": ""}]}),
        json!({"attachments": [{"filename": "\u{e9}".repeat(2000), "content": ""}]}),
    ] {
        let mut payload = json!({"to": "a@x.test", "subject": "s"});
        let fields = payload.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        let content = content(&payload);
        let longest = content.lines().map(str::len).max();
        assert!(longest <= Some(998), "{longest:?}: {content}");
    }
    let mailbox = format!("{long} <a@x.test>");
    let media_type = format!("text/plain; x={long}");
    for (more, expected) in [
        (json!({"to": mailbox}), "`to` has more than 480 bytes"),
        (json!({"cc": [mailbox]}), "`cc[0]` has more than 480 bytes"),
        (
            json!({"headers": {"X-Priority": format!("a {long}")}}),
            "`headers.X-Priority` has a word of more than 900 bytes",
        ),
        (
            json!({"attachments": [{"content_type": media_type, "content": ""}]}),
            "`attachments[0].content_type` is not a media type",
        ),
    ] {
        let mut payload = json!({"to": "a@x.test", "subject": "s"});
        let fields = payload.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        let error = written_from("alerts@example.com", &payload).err().unwrap();
        assert!(error.message.starts_with(expected), "{error}");
    }
}

#[test]
fn a_long_subject_arrives_as_it_is() {
    let url = format!("https://x.test/{}", "1234567890".repeat(120));
    let headers = headers(&json!({"to": "a@x.test", "subject": format!("See {url}")}));
    let subject = headers
        .iter()
        .find_map(|line| line.strip_prefix("Subject: "));
    let words = subject.unwrap().split(' ').map(|word| {
        let text = word.strip_prefix("=?utf-8?b?").unwrap();
        BASE64_STANDARD
            .decode(text.strip_suffix("?=").unwrap())
            .unwrap()
    });
    let text: Vec<u8> = words.flatten().collect();
    assert_eq!(String::from_utf8(text).unwrap(), format!("See {url}"));
}
