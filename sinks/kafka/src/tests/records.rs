//! What is published.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_action_becomes_a_record_and_the_answer_names_its_place() {
    let sink = sink(topic("whole", 1).await).await;
    let mut action = carrying("a-1", &json!({"order": 7}));
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    action.trace_context.insert("traceparent", traceparent);
    let answer = deliver(&sink, &action).await.unwrap();
    let body: Value = serde_json::from_str(answer.body.get()).unwrap();
    assert_eq!(body, json!({"topic": "whole", "partition": 0, "offset": 0}));
    let records = records("whole", 0, 1).await;
    let record = &records[0];
    assert_eq!(record.key(), None);
    let read: Value = serde_json::from_slice(record.payload().unwrap()).unwrap();
    assert_eq!(read, serde_json::to_value(&action).unwrap());
    for (name, value) in [
        ("content-type", "application/json"),
        ("acteon-action-id", "a-1"),
        ("idempotency-key", "key-of-a-1"),
        ("traceparent", traceparent),
    ] {
        assert_eq!(header(record, name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payload_alone_has_the_configured_headers_and_a_key_from_its_path() {
    let options = topic("payload", 1).await;
    let more = json!({"body": "payload", "key": "payload.customer", "headers": {"env": "prod"}});
    let sink = sink(with(options, &more)).await;
    for payload in [
        json!({"customer": "ann"}),
        json!({"customer": 7}),
        json!({"customer": null}),
    ] {
        deliver(&sink, &carrying("a", &payload)).await.unwrap();
    }
    let records = records("payload", 0, 3).await;
    let keys: Vec<_> = records.iter().map(|record| record.key()).collect();
    assert_eq!(keys, [Some(&b"ann"[..]), Some(&b"7"[..]), None]);
    assert_eq!(records[0].payload(), Some(&br#"{"customer":"ann"}"#[..]));
    assert_eq!(header(&records[0], "env").as_deref(), Some("prod"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_event_is_a_document_or_has_its_attributes_in_headers() {
    let options = topic("events", 1).await;
    let action = carrying("a-1", &json!({"order": 7}));
    for body in ["cloudevents", "cloudevents_binary"] {
        let sink = sink(with(options.clone(), &json!({"body": body}))).await;
        deliver(&sink, &action).await.unwrap();
    }
    let records = records("events", 0, 2).await;
    let document: Value = serde_json::from_slice(records[0].payload().unwrap()).unwrap();
    assert_eq!(
        (&document["id"], &document["data"]),
        (&json!("a-1"), &json!({"order": 7}))
    );
    let media = header(&records[0], "content-type");
    assert_eq!(media.as_deref(), Some("application/cloudevents+json"));
    assert_eq!(records[1].payload(), Some(&br#"{"order":7}"#[..]));
    for (name, value) in [
        ("ce_id", "a-1"),
        ("ce_specversion", "1.0"),
        ("ce_type", action.action_type.as_str()),
        ("ce_acteonnamespace", action.namespace.as_str()),
        ("content-type", "application/json"),
    ] {
        assert_eq!(header(&records[1], name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_one_key_keep_to_one_partition_and_each_action_has_its_own_result() {
    let options = with(topic("keyed", 6).await, &json!({"key": "payload.customer"}));
    let sink = sink(options).await;
    let actions: Vec<_> = (0..600)
        .map(|n| carrying(&n.to_string(), &json!({"customer": format!("c{}", n % 20)})))
        .collect();
    let sent = actions.iter().map(|action| deliver(&sink, action));
    let answers = futures_util::future::join_all(sent).await;
    let mut places = Vec::new();
    let mut partitions = vec![None; 20];
    for (n, answer) in answers.into_iter().enumerate() {
        let body: Value = serde_json::from_str(answer.unwrap().body.get()).unwrap();
        let partition = body["partition"].as_i64();
        assert_eq!(*partitions[n % 20].get_or_insert(partition), partition);
        places.push((partition, body["offset"].as_i64()));
    }
    partitions.sort_unstable();
    partitions.dedup();
    assert!(partitions.len() > 1, "the keys are spread");
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 600);
}
