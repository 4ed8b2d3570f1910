//! How records are taken in.

use acteon_testkit::FakeIntake;
use rdkafka::message::{Header, OwnedHeaders};

use super::{Running, Topic, action, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn records_of_a_partition_are_handed_in_in_their_order_and_committed() {
    let topic = Topic::create("order", 3).await;
    for partition in 0..3u32 {
        let first = partition * 1000;
        topic
            .publish_many(partition as i32, first..first + 1000)
            .await;
    }
    let intake = FakeIntake::done();
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(3000).await;
    for partition in 0..3 {
        topic.until_committed(partition, 1000).await;
    }
    let ids: Vec<u32> = intake
        .submitted_ids()
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
    assert_eq!(ids.len(), 3000);
    for partition in 0..3 {
        let of_it: Vec<u32> = ids
            .iter()
            .copied()
            .filter(|id| id / 1000 == partition)
            .collect();
        assert!(of_it.is_sorted(), "partition {partition}");
    }
    assert!(intake.batch_sizes().iter().all(|size| *size <= 256));
    eventually("all room is given back", async || {
        running.admission.actions_in_flight() == 0
    })
    .await;
    running.stop().await;
    assert_eq!(topic.broker.lag("order").await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_buried_with_its_bytes_and_its_place_and_acknowledged() {
    let topic = Topic::create("poison", 1).await;
    let records: [&[u8]; 4] = [b"not json", b"", b"{\"namespace\":\"n\"}", b"\xff\xfe"];
    for record in records {
        topic
            .publish_as(0, "key", record, OwnedHeaders::new())
            .await;
    }
    topic.publish(0, "good").await;
    let intake = FakeIntake::done();
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_buried(4).await;
    intake.wait_for_submitted(1).await;
    let buried = intake.buried();
    for (offset, (poison, record)) in buried.iter().zip(records).enumerate() {
        assert_eq!(poison.raw, record);
        assert_eq!(
            poison.position.to_string(),
            format!("kafka:poison/0@{offset}")
        );
    }
    topic.until_committed(0, 5).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_has_its_position_and_trace() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let topic = Topic::create("trace", 1).await;
    let parent = Header {
        key: "traceparent",
        value: Some(PARENT),
    };
    let forged = Header {
        key: "acteon-position",
        value: Some("kafka:elsewhere/0@7"),
    };
    let headers = OwnedHeaders::new().insert(parent).insert(forged);
    topic
        .publish_as(0, "key", action("a").as_bytes(), headers)
        .await;
    let intake = FakeIntake::done();
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(1).await;
    let envelope = intake.submitted().remove(0);
    assert_eq!(envelope.position.to_string(), "kafka:trace/0@0");
    assert_eq!(
        envelope.action.trace_id(),
        Some("0af7651916cd43dd8448eb211c80319c")
    );
    assert_eq!(envelope.caller.id.as_deref(), Some("orders"));
    assert_eq!(envelope.raw, action("a"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_ordered_source_a_key_waits_for_its_former_record_and_other_keys_do_not() {
    let topic = Topic::create("ordered", 1).await;
    for (key, id) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("a", "a3")] {
        let value = action(id);
        topic
            .publish_as(0, key, value.as_bytes(), OwnedHeaders::new())
            .await;
    }
    let intake = FakeIntake::holding();
    let mut options = topic.options();
    options.ordered = true;
    let running = Running::start(options, &intake);
    let mut settled = Vec::new();
    for expected in [["a1", "b1"].as_slice(), &["a2"], &["a3"]] {
        intake
            .wait_for_submitted(settled.len() + expected.len())
            .await;
        for delivery in intake.take_held() {
            settled.push(delivery.action.id.to_string());
            delivery.done(super::done());
        }
        assert_eq!(&settled[settled.len() - expected.len()..], expected);
    }
    topic.until_committed(0, 4).await;
    running.stop().await;
}
