//! Which events are one sequence.

use super::*;

async fn services() -> Arc<dyn Sink> {
    let services = json!({"disks": KEY, "shop": OTHER_KEY, "storage": KEY});
    let options = json!({"services": services, "default_service": "disks"});
    build(options).await.unwrap()
}

fn key(sink: &dyn Sink, fields: &Value) -> Option<String> {
    let ordered = sink.as_ordered().unwrap();
    Some(ordered.ordering_key(&action_with(fields))?.into())
}

#[tokio::test]
async fn the_events_of_one_alert_are_one_sequence() {
    let sink = services().await;
    let trigger = json!({"payload": {"summary": "s"}, "fingerprint": "db-1", "status": "firing"});
    let first = key(&*sink, &trigger).unwrap();
    for same in [
        json!({"payload": {}, "fingerprint": "db-1", "status": "resolved"}),
        json!({"payload": {"dedup_key": "db-1", "event_action": "acknowledge"}}),
        json!({"payload": {"service_id": "disks"}, "fingerprint": "db-1"}),
        json!({"payload": {"service_id": "storage"}, "fingerprint": "db-1"}),
    ] {
        assert_eq!(key(&*sink, &same).unwrap(), first, "{same}");
    }
    for other in [
        json!({"payload": {}, "fingerprint": "db-2"}),
        json!({"payload": {"service_id": "shop"}, "fingerprint": "db-1"}),
        json!({"payload": {}}),
    ] {
        assert_ne!(key(&*sink, &other).unwrap(), first, "{other}");
    }
    assert!(!first.contains(KEY), "a routing key is a secret");
}

#[tokio::test]
async fn a_change_and_what_is_no_event_have_no_order() {
    let sink = services().await;
    for none in [
        json!({"payload": {"event_action": "change"}, "fingerprint": "db-1"}),
        json!({"payload": {"event_action": "explode"}, "fingerprint": "db-1"}),
        json!({"payload": {"service_id": "nobody"}, "fingerprint": "db-1"}),
        json!({"payload": {"summary": [1]}, "fingerprint": "db-1"}),
    ] {
        assert_eq!(key(&*sink, &none), None, "{none}");
    }
}
