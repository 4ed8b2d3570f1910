//! Jira Service Management, which has the API of Opsgenie under another address.

use acteon_sinks_kit::contract::{CannedResponse, Receiver};

use super::*;

#[tokio::test]
async fn the_requests_are_those_of_opsgenie_below_the_address_of_its_successor() {
    let receiver = Receiver::start([CannedResponse::of(202).body("{}")]).await;
    let base = format!("http://{}/jsm/ops/integration", receiver.address());
    let sink = preset(
        "jsm",
        json!({"api_key": "the-key-of-jsm", "api_base_url": base}),
    )
    .await;
    deliver(&*sink, &action(&json!({"message": "m"})))
        .await
        .unwrap();
    let request = receiver.received().remove(0);
    assert_eq!(request.uri.path(), "/jsm/ops/integration/v2/alerts");
    assert_eq!(
        request.header("authorization"),
        Some("GenieKey the-key-of-jsm")
    );
}

#[test]
fn without_an_option_it_is_the_public_address() {
    let preset = crate::shipped::shipped("jsm").unwrap();
    let address = preset.options["api_base_url"].default.as_deref();
    assert_eq!(
        address,
        Some("https://api.atlassian.com/jsm/ops/integration")
    );
    assert!(preset.options["api_key"].required);
}
