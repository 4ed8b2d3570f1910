//! Against a real mail server.

use acteon_core::sink::SinkErrorClass;
use acteon_core::{FailureCode, ResponseStatus, Sink};
use acteon_services::{MailServer, MailServerOptions};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::sync::Arc;

use super::{PASSWORD, body, build, deliver, plain, to, with};

const OPEN_SERVER: MailServerOptions = MailServerOptions {
    encryption: "none",
    login: None,
    smtputf8: true,
};

async fn server(options: MailServerOptions) -> MailServer {
    let server = MailServer::start(options).await;
    server.unwrap_or_else(|error| panic!("tests need a mail server: {error:#}"))
}

/// Options that match the server.
fn agreed(server: &MailServer, options: MailServerOptions) -> Value {
    let mut agreed = with(
        plain(server.port()),
        json!({"smtp_host": "localhost", "tls": options.encryption}),
    );
    if options.encryption != "none" {
        agreed["ca_file"] = json!(server.ca_file());
    }
    if let Some((username, password)) = options.login {
        agreed = with(agreed, json!({"username": username, "password": password}));
    }
    agreed
}

fn mails(server: &MailServer) -> Vec<Value> {
    let mails = server.messages();
    mails
        .iter()
        .map(|mail| serde_json::from_str(mail).unwrap())
        .collect()
}

fn content(mail: &Value) -> String {
    let content = BASE64_STANDARD
        .decode(mail["content"].as_str().unwrap())
        .unwrap();
    String::from_utf8(content).unwrap()
}

#[tokio::test]
async fn a_message_arrives_with_every_encryption_and_every_auth_mechanism() {
    for encryption in ["starttls", "implicit", "none"] {
        let options = MailServerOptions {
            encryption,
            login: Some(("acteon", PASSWORD)),
            ..OPEN_SERVER
        };
        let server = server(options).await;
        for (auth, mechanism) in [
            ("plain", "PLAIN"),
            ("login", "LOGIN"),
            ("xoauth2", "XOAUTH2"),
        ] {
            let sink = build(with(agreed(&server, options), json!({"auth": auth})))
                .await
                .unwrap();
            let reached = sink.dial().await.unwrap().unwrap();
            let how = if encryption == "none" {
                "without TLS"
            } else {
                "over TLS"
            };
            assert!(
                reached.ends_with(&format!("{how}, authenticated")),
                "{reached}"
            );
            let response = deliver(&*sink, &to(&["a@x.test"])).await.unwrap();
            assert_eq!(response.status, ResponseStatus::Success);
            let mail = mails(&server).pop().unwrap();
            assert_eq!(mail["mechanism"], mechanism);
            assert_eq!(mail["encrypted"], encryption != "none");
            assert_eq!(mail["from"], "alerts@example.com");
            assert_eq!(mail["recipients"], json!(["a@x.test"]));
            assert_eq!(mail["hello"], "acteon.example.com");
            let content = content(&mail);
            let id = body(&response)["message_id"].as_str().unwrap().to_owned();
            assert!(
                content.contains(&format!("Message-ID: {id}\r\n")),
                "{content}"
            );
            assert!(
                content.ends_with("\r\n\r\nOrder 7 is paid.\r\n"),
                "{content:?}"
            );
        }
        assert_eq!(mails(&server).len(), 3, "dialing sends no message");
    }
}

#[tokio::test]
async fn a_wrong_or_missing_password_is_the_providers_fault() {
    let options = MailServerOptions {
        encryption: "starttls",
        login: Some(("acteon", PASSWORD)),
        ..OPEN_SERVER
    };
    let server = server(options).await;
    for auth in ["plain", "login", "xoauth2"] {
        let wrong = json!({"auth": auth, "password": "not-the-s3cret"});
        let sink = build(with(agreed(&server, options), wrong)).await.unwrap();
        let error = deliver(&*sink, &to(&["a@x.test"])).await.unwrap_err();
        assert_eq!(error.class, SinkErrorClass::ProviderFault, "{error}");
        assert_eq!(error.refusal.as_ref().unwrap().status, Some(535));
        assert!(!format!("{error:?}").contains("not-the-s3cret"));
        let error = sink.dial().await.unwrap_err();
        assert!(error.to_string().contains("535"), "{error}");
    }
    let without = MailServerOptions {
        login: None,
        ..options
    };
    let sink = build(agreed(&server, without)).await.unwrap();
    let error = deliver(&*sink, &to(&["a@x.test"])).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::ProviderFault);
    assert_eq!(error.refusal.unwrap().status, Some(530));
    assert_eq!(mails(&server).len(), 0);
}

#[tokio::test]
async fn an_untrusted_certificate_or_one_of_another_host_is_the_providers_fault() {
    for encryption in ["starttls", "implicit"] {
        let options = MailServerOptions {
            encryption,
            ..OPEN_SERVER
        };
        let server = server(options).await;
        let untrusted = with(agreed(&server, options), json!({"ca_file": null}));
        let other_host = with(agreed(&server, options), json!({"smtp_host": "127.0.0.1"}));
        for options in [untrusted, other_host] {
            let sink = build(options).await.unwrap();
            let error = deliver(&*sink, &to(&["a@x.test"])).await.unwrap_err();
            assert_eq!(error.class, SinkErrorClass::ProviderFault, "{error}");
            assert_eq!(error.code, FailureCode::Connection);
            assert!(error.message.contains("certificate"), "{error}");
        }
        assert_eq!(mails(&server).len(), 0);
    }
}

#[tokio::test]
async fn an_internationalized_address_needs_smtputf8() {
    let payload =
        json!({"to": "ad\u{e4}@b\u{fc}cher.test", "subject": "Gr\u{fc}\u{df}e", "body": "\u{e4}"});
    let international = server(OPEN_SERVER).await;
    let sink = build(agreed(&international, OPEN_SERVER)).await.unwrap();
    deliver(&*sink, &payload).await.unwrap();
    let mail = mails(&international).pop().unwrap();
    assert_eq!(mail["recipients"], json!(["ad\u{e4}@xn--bcher-kva.test"]));
    assert!(
        mail["options"]
            .as_array()
            .unwrap()
            .contains(&json!("SMTPUTF8"))
    );
    assert!(
        content(&mail).contains("To: ad\u{e4}@xn--bcher-kva.test\r\n"),
        "{}",
        content(&mail)
    );
    let options = MailServerOptions {
        smtputf8: false,
        ..OPEN_SERVER
    };
    let other = server(options).await;
    let sink = build(agreed(&other, options)).await.unwrap();
    let error = deliver(&*sink, &payload).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::Permanent);
    assert!(
        error
            .message
            .contains("does not accept internationalized addresses"),
        "{error}"
    );
    let options = with(
        agreed(&other, options),
        json!({"from_address": "al\u{e4}rts@x.test"}),
    );
    let sink = build(options).await.unwrap();
    let error = deliver(&*sink, &to(&["a@x.test"])).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::ProviderFault);
    assert!(error.message.contains("from_address"), "{error}");
    assert_eq!(mails(&other).len(), 0);
}

#[tokio::test]
async fn an_unknown_mailbox_is_reported_and_the_others_get_the_message() {
    let server = server(OPEN_SERVER).await;
    let sink: Arc<dyn Sink> = build(agreed(&server, OPEN_SERVER)).await.unwrap();
    let payload = json!({
        "to": ["a@x.test", "unknown@x.test"], "cc": ["b@x.test"], "subject": "Both",
        "body": "text\n.\n..dots", "html_body": "<p>html</p>",
        "attachments": [{"filename": "a.bin", "content": BASE64_STANDARD.encode([0, 255, 10, 13, 46])}],
    });
    let response = deliver(&*sink, &payload).await.unwrap();
    assert_eq!(response.status, ResponseStatus::Partial);
    let refused = json!([{"to": "unknown@x.test", "code": 550, "reply": "5.1.1 no such mailbox"}]);
    assert_eq!(body(&response)["refused"], refused);
    let mail = mails(&server).pop().unwrap();
    assert_eq!(mail["recipients"], json!(["a@x.test", "b@x.test"]));
    let content = content(&mail);
    assert!(content.contains("\r\ntext\r\n.\r\n..dots\r\n"), "{content}");
    assert!(content.contains("\r\nAP8KDS4=\r\n"), "{content}");
    let error = deliver(&*sink, &to(&["unknown@x.test"])).await.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::Permanent);
    deliver(&*sink, &to(&["a@x.test"])).await.unwrap();
    let peers: Vec<_> = mails(&server)
        .iter()
        .map(|mail| mail["peer"].clone())
        .collect();
    assert_eq!(peers[0], peers[1], "both messages use one connection");
}
