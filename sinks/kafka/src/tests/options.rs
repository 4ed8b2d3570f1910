//! Options that cannot work, without a broker.

use super::*;

async fn refused(more: Value) -> String {
    let options = json!({"brokers": "localhost:1", "topic": "orders"});
    let built = built(with(options, &more), WAIT_MAX).await;
    built.err().unwrap()
}

#[tokio::test]
async fn each_wrong_option_is_named_with_what_is_wrong() {
    for (more, part) in [
        (json!({"brokers": " "}), "`brokers`: must not be empty"),
        (
            json!({"topic": "two words"}),
            "`topic`: `two words` is not a valid topic name",
        ),
        (
            json!({"key": "customer"}),
            "`key`: `customer` does not begin with",
        ),
        (
            json!({"headers": {"Idempotency-Key": "x"}}),
            "`headers.Idempotency-Key`: Acteon sets",
        ),
        (
            json!({"headers": {"ce_id": "x"}}),
            "`headers.ce_id`: Acteon sets",
        ),
        (
            json!({"body": "xml"}),
            "`action`, `payload`, `cloudevents`, `cloudevents_binary`",
        ),
        (json!({"topics": ["a"]}), "topics"),
        (
            json!({"client": {"acks": "1"}}),
            "`client.acks`: Acteon sets this property itself",
        ),
        (
            json!({"client": {"message.timeout.ms": "1"}}),
            "`client.message.timeout.ms`: Acteon sets this property itself: set `timeout_seconds`",
        ),
    ] {
        let error = refused(more).await;
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn a_property_that_the_library_does_not_accept_is_refused_without_its_value() {
    let error = refused(json!({"client": {"no.such": "hunter2"}})).await;
    assert!(
        error.contains("client.no.such") && !error.contains("hunter2"),
        "{error}"
    );
}

#[tokio::test]
async fn several_wrong_options_are_reported_together() {
    let options = json!({"brokers": "", "topic": "", "key": "x"});
    let error = built(options, WAIT_MAX).await.err().unwrap();
    for option in ["`brokers`", "`topic`", "`key`"] {
        assert!(error.contains(option), "{error}");
    }
}
