//! Which actions are one sequence.

use super::*;

fn key(sink: &dyn Sink, fields: &Value) -> Option<String> {
    let ordered = sink.as_ordered().unwrap();
    Some(ordered.ordering_key(&action_with(fields))?.into())
}

async fn own(ordering_key: &str) -> Result<Arc<dyn Sink>, BuildError> {
    let definition = json!({
        "base_url": "https://pager.example.com", "ordering_key": ordering_key,
        "values": {"thing": "{{ action.fingerprint or payload.thing }}"}, "requests": [{}],
    });
    build(json!({ "definition": definition })).await
}

#[tokio::test]
async fn requests_about_one_alias_are_one_sequence() {
    for name in ["opsgenie", "jsm"] {
        let sink = preset(name, json!({"api_key": "k"})).await;
        let created = json!({"payload": {"alias": "disk"}, "fingerprint": "f"});
        let closed = json!({"payload": {}, "fingerprint": "disk", "status": "resolved"});
        assert_eq!(key(&*sink, &created).unwrap(), "disk");
        assert_eq!(key(&*sink, &closed).unwrap(), "disk");
        let other = json!({"payload": {}, "fingerprint": "other"});
        assert_eq!(key(&*sink, &other).unwrap(), "other");
    }
}

#[tokio::test]
async fn messages_have_no_order() {
    let options = json!({"url": "https://notify.example.com"});
    assert!(preset("generic", options).await.as_ordered().is_none());
}

#[tokio::test]
async fn an_own_preset_may_name_a_key() {
    let sink = own("{{ values.thing }}").await.unwrap();
    let with = json!({"payload": {"thing": "a"}});
    assert_eq!(key(&*sink, &with).unwrap(), "a");
    let empty = json!({"payload": {"thing": ""}});
    assert_eq!(key(&*sink, &empty), None);
    assert_eq!(key(&*sink, &json!({"payload": {}})), None, "it fails");
}

#[tokio::test]
async fn a_key_that_changes_with_the_attempt_is_refused() {
    for value in ["attempt", "idempotency_key", "again.x"] {
        let error = own(&format!("{{{{ {value} }}}}")).await.err().unwrap();
        let error = error.to_string();
        assert!(error.contains("ordering_key"), "{error}");
    }
}
