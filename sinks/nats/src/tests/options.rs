//! Options that cannot work, without a server.

use super::*;

async fn refused(more: Value) -> String {
    let options = json!({"url": "nats://localhost:1", "subject": "orders"});
    let built = build(NatsSinkFactory, with(options, &more), WAIT_MAX).await;
    built.err().unwrap()
}

#[tokio::test]
async fn each_wrong_option_about_the_connection_is_named_with_what_is_wrong() {
    for (more, part) in [
        (json!({"url": ""}), "`url`: an address has no host"),
        (
            json!({"url": "http://a"}),
            "`url`: the scheme must be `nats` or `tls`",
        ),
        (
            json!({"url": "nats://a/b"}),
            "`url`: an address is a host and a port",
        ),
        (
            json!({"url": "nats://a:b@x,nats://a:c@y"}),
            "`url`: the servers must have the same user",
        ),
        (
            json!({"url": "nats://a:b@x", "token": "t"}),
            "`token`: `url` has credentials already",
        ),
        (
            json!({"username": "a"}),
            "`password`: `username` requires it",
        ),
        (
            json!({"password": "a"}),
            "`username`: `password` requires it",
        ),
        (
            json!({"username": "a", "password": "b", "token": "t"}),
            "`token`: `username` has credentials already",
        ),
        (
            json!({"credentials_file": "/nowhere/x.creds"}),
            "`credentials_file`: /nowhere/x.creds cannot be read",
        ),
        (
            json!({"ca_file": "/nowhere/ca.pem"}),
            "`ca_file`: /nowhere/ca.pem cannot be read",
        ),
        (json!({"tls_first": true}), "`tls_first`: requires TLS"),
    ] {
        let error = refused(more).await;
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn each_wrong_option_about_messages_is_named_with_what_is_wrong() {
    for (more, part) in [
        (
            json!({"subject": ""}),
            "`subject`: a word of the subject is empty",
        ),
        (
            json!({"subject": "a..b"}),
            "`subject`: a word of the subject is empty",
        ),
        (
            json!({"subject": "orders.*"}),
            "`subject`: a subject to publish to has neither",
        ),
        (
            json!({"subject": "two words"}),
            "`subject`: a subject to publish to has neither",
        ),
        (
            json!({"subject": "a.{{ customer }}"}),
            "`subject`: `customer` does not begin with",
        ),
        (
            json!({"headers": {"Idempotency-Key": "x"}}),
            "`headers.Idempotency-Key`: Acteon sets",
        ),
        (
            json!({"headers": {"ce-id": "x"}}),
            "`headers.ce-id`: Acteon sets",
        ),
        (
            json!({"headers": {"Nats-Rollup": "all"}}),
            "`headers.Nats-Rollup`: the server acts on",
        ),
        (
            json!({"headers": {"a:b": "x"}}),
            "`headers.a:b`: the name must consist of",
        ),
        (
            json!({"headers": {"a": "x\r\nNats-Rollup: all"}}),
            "`headers.a`: the value must not contain line breaks",
        ),
        (
            json!({"body": "xml"}),
            "`action`, `payload`, `cloudevents`, `cloudevents_binary`",
        ),
        (json!({"subjects": ["a"]}), "subjects"),
    ] {
        let error = refused(more).await;
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn several_wrong_options_are_reported_together() {
    let error = refused(json!({"url": "", "subject": "", "headers": {"": "x"}})).await;
    for option in ["`url`", "`subject`", "`headers.`"] {
        assert!(error.contains(option), "{error}");
    }
}

#[tokio::test]
async fn no_error_repeats_a_password() {
    for more in [
        json!({"url": "nats://a:hunter2@x/y"}),
        json!({"url": "nats://a:hunter2@[x"}),
        json!({"url": "nats://a:hunter2@x", "username": "b", "password": "hunter2"}),
        json!({"headers": {"a": "hunter2\n"}}),
    ] {
        let error = refused(more).await;
        assert!(!error.contains("hunter2"), "{error}");
    }
    let options = json!({"url": "nats://a:hunter2@x", "subject": "s", "headers": {"a": "hunter2"}});
    let config: crate::NatsSinkConfig = serde_json::from_value(options).unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
