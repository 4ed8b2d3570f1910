//! Options that cannot work, without a broker.

use super::*;

async fn refused(more: Value) -> String {
    let options = json!({"url": "amqp://localhost:1", "exchange": "orders"});
    let built = build(AmqpSinkFactory, with(options, &more), WAIT_MAX).await;
    built.err().unwrap()
}

#[tokio::test]
async fn each_wrong_option_is_named_with_what_is_wrong() {
    let long = "x".repeat(256);
    let longer = "x".repeat(40_000);
    for (more, part) in [
        (json!({"url": ""}), "`url`: the address must begin with"),
        (json!({"url": "amqp://"}), "`url`: the address has no host"),
        (
            json!({"url": "nats://a"}),
            "`url`: the address must begin with",
        ),
        (
            json!({"ca_file": "/etc/ca.pem"}),
            "`ca_file`: has no effect, because `url` is not amqps",
        ),
        (
            json!({"url": "amqps://a", "ca_file": "/nowhere/ca.pem"}),
            "`ca_file`: /nowhere/ca.pem cannot be read",
        ),
        (
            json!({"exchange": ""}),
            "`routing_key`: without an exchange, it must name a queue",
        ),
        (
            json!({"exchange": long}),
            "`exchange`: must not be longer than 255 bytes",
        ),
        (
            json!({"routing_key": long}),
            "`routing_key`: must not be longer than 255 bytes",
        ),
        (
            json!({"routing_key": "a.{{ customer }}"}),
            "`routing_key`: `customer` does not begin with",
        ),
        (
            json!({"headers": {"Idempotency-Key": "x"}}),
            "`headers.Idempotency-Key`: Acteon sets",
        ),
        (
            json!({"headers": {"cloudEvents_id": "x"}}),
            "`headers.cloudEvents_id`: Acteon sets",
        ),
        (
            json!({"headers": {"CC": "other"}}),
            "`headers.CC`: the broker acts on",
        ),
        (
            json!({"headers": {"BCC": "other", "cc": "is no header of the broker"}}),
            "`headers.BCC`: the broker acts on",
        ),
        (
            json!({"headers": {"a": longer, "b": longer}}),
            "`headers`: names and values have 80002 bytes",
        ),
        (
            json!({"body": "xml"}),
            "`action`, `payload`, `cloudevents`, `cloudevents_binary`",
        ),
        (json!({"queue": "a"}), "queue"),
    ] {
        let error = refused(more).await;
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn no_error_repeats_a_password() {
    for more in [
        json!({"url": "amqp://a:hunter2@:x"}),
        json!({"url": "http://a:hunter2@x"}),
        json!({"url": "amqp://a:hunter2@x", "ca_file": "/x"}),
    ] {
        let error = refused(more).await;
        assert!(!error.contains("hunter2"), "{error}");
    }
    let options = json!({"url": "amqp://a:hunter2@x", "headers": {"a": "hunter2"}});
    let config: crate::AmqpSinkConfig = serde_json::from_value(options).unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
}
