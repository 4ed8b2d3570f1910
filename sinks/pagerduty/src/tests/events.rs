//! Payloads and the events they become.

use super::*;

#[tokio::test]
async fn a_trigger_has_every_field_of_its_payload() {
    let payload = json!({
        "event_action": "trigger", "summary": "The disk is full", "severity": "critical", "source": "db-1",
        "component": "postgres", "group": "prod", "class": "disk", "timestamp": "2025-12-31T23:59:00Z",
        "custom_details": {"free": "0 %", "nested": {"a": [1, 2.5, null]}}, "dedup_key": "disk/db-1",
        "images": [{"src": "https://example.com/graph.png"}],
        "links": [{"href": "https://example.com/runbook", "text": "Runbook"}],
        "client": "Monitor", "client_url": "https://example.com/",
    });
    let event = sent(&action_with(&json!({ "payload": payload }))).await;
    let expected = json!({
        "routing_key": KEY, "event_action": "trigger", "dedup_key": "disk/db-1",
        "payload": {
            "summary": "The disk is full", "source": "db-1", "severity": "critical",
            "timestamp": "2025-12-31T23:59:00Z", "component": "postgres", "group": "prod", "class": "disk",
            "custom_details": {"free": "0 %", "nested": {"a": [1, 2.5, null]}},
        },
        "client": "Monitor", "client_url": "https://example.com/",
        "images": [{"src": "https://example.com/graph.png"}],
        "links": [{"href": "https://example.com/runbook", "text": "Runbook"}],
    });
    assert_eq!(event, expected);
}

#[tokio::test]
async fn what_a_payload_leaves_out_has_a_default() {
    let action = action_with(&json!({
        "payload": {"summary": "s", "severity": null, "links": null, "to": "ada@example.com"},
        "starts_at": "2026-01-01T00:00:05Z",
    }));
    let event = sent(&action).await;
    let payload = json!({
        "summary": "s", "source": "shop/acme", "severity": "error", "timestamp": "2026-01-01T00:00:05Z",
        "custom_details": {},
    });
    let expected = json!({
        "routing_key": KEY, "event_action": "trigger", "dedup_key": action.id.as_str(), "payload": payload,
        "client": "Acteon",
    });
    assert_eq!(event, expected);
    let options =
        json!({"routing_key": KEY, "default_severity": "info", "default_source": "acteon"});
    let (server, sink) = account(options).await;
    deliver(&*sink, &action).await.unwrap();
    let payload = &server.events()[0]["payload"];
    assert_eq!(
        (&payload["severity"], &payload["source"]),
        (&json!("info"), &json!("acteon"))
    );
}

/// The key of the payload, the fingerprint, the dedup key, the id: the first that there is.
#[tokio::test]
async fn every_event_has_a_key() {
    let key = async |fields: Value| sent(&action_with(&fields)).await["dedup_key"].clone();
    let whole = json!({
        "payload": {"summary": "s", "dedup_key": "p"}, "fingerprint": "f", "dedup_key": "d",
    });
    assert_eq!(key(whole).await, "p");
    let number = json!({"payload": {"summary": "s", "dedup_key": 7}, "fingerprint": "f"});
    assert_eq!(key(number).await, "7");
    let blank = json!({"payload": {"summary": "s", "dedup_key": " "}, "fingerprint": "f", "dedup_key": "d"});
    assert_eq!(key(blank).await, "f");
    let plain = json!({"payload": {"summary": "s"}, "dedup_key": "d"});
    assert_eq!(key(plain).await, "d");
    let bare = json!({"payload": {"summary": "s"}});
    assert_eq!(key(bare).await, "0198c0de-0000-7000-8000-00000000000a");
}

#[tokio::test]
async fn a_key_beyond_255_characters_is_hashed_in_every_event() {
    let fits = "ä".repeat(255);
    let long = "ä".repeat(256);
    let (server, sink) = account(json!({ "routing_key": KEY })).await;
    for (key, action) in [(&fits, "trigger"), (&long, "trigger"), (&long, "resolve")] {
        let payload = json!({"summary": "s", "event_action": action});
        let action = action_with(&json!({"payload": payload, "fingerprint": key}));
        deliver(&*sink, &action).await.unwrap();
    }
    let alerts = server.alerts();
    assert_eq!(alerts.len(), 2);
    assert_eq!(alerts[0].dedup_key, fits);
    assert_eq!(alerts[1].dedup_key.len(), 64);
    assert_eq!(
        (alerts[0].status, alerts[1].status),
        ("triggered", "resolved")
    );
}

#[tokio::test]
async fn an_alert_is_triggered_acknowledged_and_resolved_under_one_key() {
    let (server, sink) = account(json!({ "routing_key": KEY })).await;
    let by_payload = |word| json!({"payload": {"event_action": word}, "fingerprint": "f"});
    let by_status = |word| json!({"payload": {"summary": "s"}, "status": word, "fingerprint": "g"});
    for (fields, status) in [
        (by_payload("trigger"), "triggered"),
        (by_payload("acknowledge"), "acknowledged"),
        (by_payload("resolve"), "resolved"),
        (by_status("firing"), "triggered"),
        (by_status("acknowledged"), "acknowledged"),
        (by_status("resolved"), "resolved"),
    ] {
        deliver(&*sink, &action_with(&fields)).await.unwrap();
        assert_eq!(server.alerts().last().unwrap().status, status, "{fields}");
    }
    assert_eq!(server.alerts().len(), 2);
    let resolve = &server.events()[2];
    assert_eq!(
        resolve["payload"],
        Value::Null,
        "PagerDuty reads no payload"
    );
}

#[tokio::test]
async fn a_change_goes_to_the_other_endpoint_without_a_key() {
    let (server, sink) = account(json!({ "routing_key": KEY })).await;
    let payload = json!({
        "event_action": "change", "summary": "Deployed 7", "severity": "info", "custom_details": {"build": 7},
        "links": [{"href": "https://example.com/7"}],
    });
    let action = action_with(&json!({"payload": payload, "fingerprint": "f"}));
    deliver(&*sink, &action).await.unwrap();
    let body = json!({
        "summary": "Deployed 7", "source": "shop/acme", "timestamp": "2026-01-01T00:00:00Z",
        "custom_details": {"build": 7},
    });
    let expected = json!({
        "routing_key": KEY, "payload": body, "client": "Acteon", "links": [{"href": "https://example.com/7"}],
    });
    assert_eq!(server.changes(), [expected]);
    assert_eq!(server.events().len(), 0);
}

#[tokio::test]
async fn values_that_pagerduty_refuses_are_made_acceptable() {
    let event = async |payload: Value| {
        let action = action_with(&json!({ "payload": payload }));
        sent(&action).await["payload"].clone()
    };
    for (given, sent) in [
        (json!("high"), "error"),
        (json!("Critical"), "critical"),
        (json!(1), "error"),
    ] {
        let payload = event(json!({"summary": "s", "severity": given})).await;
        assert_eq!(payload["severity"], sent);
    }
    for details in [json!("text"), json!([1, 2]), json!(7)] {
        let payload = event(json!({"summary": "s", "custom_details": details})).await;
        assert_eq!(payload["custom_details"], json!({ "details": details }));
    }
    let payload =
        event(json!({"summary": "ä".repeat(2000), "source": 7, "component": "x".repeat(5000)}));
    let payload = payload.await;
    let summary = payload["summary"].as_str().unwrap();
    assert!((1020..=1024).contains(&summary.chars().count()));
    assert!(summary.ends_with(" characters cut]"));
    assert_eq!(payload["source"], "7");
    assert!(payload["component"].as_str().unwrap().len() < 1100);
}

#[tokio::test]
async fn a_payload_that_is_no_event_is_sent_as_details() {
    let group = json!({"group_id": "g1", "event_count": 3});
    let event = sent(&action_with(&json!({ "payload": group }))).await;
    assert_eq!(event["payload"]["summary"], "disk_full");
    assert_eq!(event["payload"]["custom_details"], group);
    for (payload, details) in [
        (json!("words"), json!({"details": "words"})),
        (json!([1]), json!({"details": [1]})),
        (Value::Null, json!({})),
    ] {
        let event = sent(&action_with(&json!({ "payload": payload }))).await;
        assert_eq!(event["payload"]["custom_details"], details);
    }
}

#[tokio::test]
async fn an_event_that_is_too_long_loses_its_details_and_then_its_links() {
    let long = "x".repeat(600 << 10);
    let payload = json!({"summary": "s", "custom_details": {"log": long}, "links": [{"href": "https://e.com"}]});
    let event = sent(&action_with(&json!({ "payload": payload }))).await;
    let note = event["payload"]["custom_details"]["note"].as_str().unwrap();
    assert!(note.contains("PagerDuty accepts 512 KiB"), "{note}");
    assert_eq!(event["links"], payload["links"]);
    let payload = json!({"summary": "s", "links": [{"href": "https://e.com", "text": long}], "client_url": long});
    let event = sent(&action_with(&json!({ "payload": payload }))).await;
    assert_eq!(
        (&event["links"], &event["client_url"]),
        (&Value::Null, &Value::Null)
    );
    // Just within the limit, nothing is cut.
    let payload = json!({"summary": "s", "custom_details": {"log": "x".repeat(511 << 10)}});
    let event = sent(&action_with(&json!({ "payload": payload }))).await;
    assert_eq!(
        event["payload"]["custom_details"],
        payload["custom_details"]
    );
}
