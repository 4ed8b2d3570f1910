//! Options that cannot work, and the choice of a service.

use acteon_core::FailureCode;

use super::*;
use crate::PagerDutyConfig;

#[tokio::test]
async fn an_option_that_cannot_work_is_named_and_its_value_not_repeated() {
    let cases = [
        (json!({}), "`routing_key`: set this or `services`"),
        (
            json!({"routing_key": KEY, "services": {"a": KEY}}),
            "`services`: set either this or `routing_key`",
        ),
        (
            json!({"routing_key": "s3cret"}),
            "`routing_key`: must be a routing key: 32 letters and digits",
        ),
        (
            json!({"services": {"a": "s3cret"}}),
            "`services.a`: must be a routing key",
        ),
        (
            json!({"services": {"a": KEY}, "default_service": "b"}),
            "`default_service`: this is not a name in `services`",
        ),
        (
            json!({"routing_key": KEY, "default_service": "b"}),
            "`default_service`: this is not a name in `services`",
        ),
        (
            json!({"routing_key": KEY, "api_base_url": "events"}),
            "`api_base_url`: not a URL",
        ),
    ];
    for (options, expected) in cases {
        let message = build(options).await.err().unwrap().to_string();
        assert!(message.starts_with(expected), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
}

#[tokio::test]
async fn a_payload_chooses_its_service() {
    let services =
        json!({"services": {"disks": KEY, "shop": OTHER_KEY}, "default_service": "disks"});
    let (server, sink) = account(services).await;
    for (service, key) in [(json!("shop"), OTHER_KEY), (Value::Null, KEY)] {
        let payload = json!({"summary": "s", "service_id": service});
        let action = action_with(&json!({ "payload": payload }));
        deliver(&*sink, &action).await.unwrap();
        assert_eq!(server.events().last().unwrap()["routing_key"], key);
    }
    let unknown = action_with(&json!({"payload": {"summary": "s", "service_id": "s3cret"}}));
    let error = deliver(&*sink, &unknown).await.unwrap_err();
    assert_eq!(error.code, FailureCode::Serialization);
    assert_eq!(error.message, "`service_id` is not a name in `services`");
    let (server, sink) = account(json!({"services": {"disks": KEY}})).await;
    let unnamed = action_with(&json!({"payload": {"summary": "s"}}));
    let error = deliver(&*sink, &unnamed).await.unwrap_err();
    assert!(error.message.contains("no `default_service`"), "{error}");
    assert_eq!(server.events().len(), 0);
    let (server, sink) = account(json!({ "routing_key": KEY })).await;
    let named = action_with(&json!({"payload": {"summary": "s", "service_id": "disks"}}));
    deliver(&*sink, &named).await.unwrap();
    assert_eq!(server.events().len(), 1, "there is only one service");
}

#[test]
fn debug_of_the_options_shows_no_secret() {
    let options = json!({"routing_key": "s3cret", "services": {"a": "s3cret"}});
    let config: PagerDutyConfig = serde_json::from_value(options).unwrap();
    assert!(!format!("{config:?}").contains("s3cret"));
}
