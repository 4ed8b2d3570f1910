//! Alerts in an account of Opsgenie.

use acteon_services::OpsgenieServer;

use super::*;

async fn account() -> (OpsgenieServer, Arc<dyn Sink>) {
    let server = OpsgenieServer::start().await.unwrap();
    let options = json!({"api_key": server.api_key(), "api_base_url": server.api_base_url()});
    let sink = preset("opsgenie", options).await;
    (server, sink)
}

fn event(status: &str) -> Action {
    action_with(&json!({
        "payload": {"message": "The disk is full", "priority": "P1", "tags": ["disk"]},
        "metadata": {"host": "db-1"}, "fingerprint": "disk/db-1 ä", "status": status,
    }))
}

#[tokio::test]
async fn an_alert_is_created_acknowledged_and_closed_under_its_alias() {
    let (server, sink) = account().await;
    for (status, count, shown) in [
        ("firing", 1, "open"),
        ("firing", 2, "open"),
        ("acknowledged", 2, "acknowledged"),
        ("resolved", 2, "closed"),
    ] {
        let response = deliver(&*sink, &event(status)).await.unwrap();
        assert!(response.body.get().contains("requestId"));
        let alerts = server.alerts();
        assert_eq!(alerts.len(), 1, "{status}");
        assert_eq!(
            (alerts[0].count, alerts[0].status),
            (count, shown),
            "{status}"
        );
    }
    let alert = &server.alerts()[0];
    assert_eq!(alert.alias, "disk/db-1 ä");
    let expected = json!({
        "message": "The disk is full", "alias": "disk/db-1 ä", "priority": "P1", "tags": ["disk"],
        "details": {"host": "db-1"}, "source": "acteon", "description": alert.request["description"],
    });
    assert_eq!(alert.request, expected);
}

#[tokio::test]
async fn closing_an_alert_that_does_not_exist_is_a_success() {
    let (server, sink) = account().await;
    deliver(&*sink, &event("resolved")).await.unwrap();
    assert_eq!(server.alerts(), []);
}

#[tokio::test]
async fn an_action_without_words_for_opsgenie_becomes_an_alert_that_shows_it() {
    let (server, sink) = account().await;
    deliver(&*sink, &action(&json!({"total": 7, "items": ["a"]})))
        .await
        .unwrap();
    let alert = server.alerts().remove(0);
    assert_eq!(alert.alias, "order-7");
    assert_eq!(alert.request["message"], "order_paid");
    assert!(
        alert.request["description"]
            .as_str()
            .unwrap()
            .contains("\"total\": 7")
    );
}

#[tokio::test]
async fn longer_texts_are_cut_and_a_longer_alias_is_hashed() {
    let (server, sink) = account().await;
    let long = action_with(&json!({
        "payload": {"message": "ü".repeat(200), "description": "d".repeat(20_000), "details": {"n": 1, "none": null}},
        "fingerprint": "f".repeat(600),
    }));
    deliver(&*sink, &long).await.unwrap();
    let alert = server.alerts().remove(0);
    assert!(
        alert.request["message"]
            .as_str()
            .unwrap()
            .ends_with(" characters cut]")
    );
    assert_eq!(alert.alias.len(), 64);
    assert_eq!(alert.request["details"], json!({"n": "1"}));
    let end =
        action_with(&json!({"payload": {}, "status": "resolved", "fingerprint": "f".repeat(600)}));
    deliver(&*sink, &end).await.unwrap();
    assert_eq!(server.alerts()[0].status, "closed");
}

#[tokio::test]
async fn refusals_have_their_class() {
    let (server, sink) = account().await;
    for (status, class) in [
        (429, TRANSIENT),
        (503, TRANSIENT),
        (403, SinkErrorClass::ProviderFault),
        (422, SinkErrorClass::Permanent),
    ] {
        server.fail(status);
        let error = refused(&*sink, &json!({"message": "m"})).await;
        assert_eq!(error.class, class, "{status}");
        assert!(error.refusal.is_some());
    }
    let error = refused(&*sink, &json!({"message": "m", "priority": "highest"})).await;
    assert_eq!(error.class, SinkErrorClass::Permanent);
    let options = json!({"api_key": "wrong-key", "api_base_url": server.api_base_url()});
    let sink = preset("opsgenie", options).await;
    let error = refused(&*sink, &json!({"message": "m"})).await;
    assert_eq!(error.class, SinkErrorClass::ProviderFault);
}
