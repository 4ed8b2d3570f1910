//! Members that come and go.

use std::collections::BTreeSet;
use std::time::Duration;

use acteon_core::{Secret, ThrottledPolicy};
use acteon_testkit::FakeIntake;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::{Running, Topic, done, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn partitions_move_to_a_second_member_and_back_and_nothing_is_lost() {
    let topic = Topic::create("members", 4).await;
    let first = FakeIntake::done();
    let second = FakeIntake::done();
    let one = Running::start(topic.options(), &first);
    one.until_ready().await;
    publish_round(&topic, 0).await;
    first.wait_for_submitted(400).await;

    let two = Running::start(topic.options(), &second);
    eventually("the second member gets records", async || {
        publish_round(&topic, 1).await;
        !second.submitted_ids().is_empty()
    })
    .await;
    two.stop().await;
    publish_round(&topic, 2).await;
    for partition in 0..4 {
        let published = published(&topic, partition).await;
        topic.until_committed(partition as usize, published).await;
    }
    let mut positions = BTreeSet::new();
    for envelope in first.submitted().iter().chain(&second.submitted()) {
        positions.insert(envelope.position.to_string());
    }
    let mut total = 0;
    for partition in 0..4 {
        total += published(&topic, partition).await;
    }
    assert_eq!(positions.len() as i64, total);
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_several_consumers_is_as_many_members_and_hands_in_each_record_once() {
    let topic = Topic::create("several", 2).await;
    let mut options = topic.options();
    options.consumers = 3;
    let instance = ("group.instance.id".to_owned(), Secret::new("a-host"));
    options.connection.client.extend([instance]);
    let intake = FakeIntake::done();
    let running = Running::start_with(options, &intake, |context| {
        context.throttled = ThrottledPolicy::Drop;
    });
    // One of the three members has no partition.
    running.until_ready().await;
    let client: BaseConsumer = topic.broker.client().create().unwrap();
    let timeout = Duration::from_secs(10);
    let groups = client.fetch_group_list(Some(topic.name), timeout).unwrap();
    assert_eq!(groups.groups()[0].members().len(), 3);
    topic.publish_many(0, 0..200).await;
    topic.publish_many(1, 200..400).await;
    topic.until_committed(0, 200).await;
    topic.until_committed(1, 200).await;
    let mut ids = intake.submitted_ids();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), intake.submitted_ids().len()), (400, 400));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_is_drained_before_it_is_given_up() {
    let topic = Topic::create("drained", 2).await;
    let first = FakeIntake::holding();
    let second = FakeIntake::done();
    let one = Running::start(topic.options(), &first);
    one.until_ready().await;
    topic.publish(0, "a").await;
    topic.publish(1, "b").await;
    first.wait_for_submitted(2).await;

    let two = Running::start(topic.options(), &second);
    // The first member settles while it is asked to give a partition up: the commit precedes the handover.
    eventually("one of the partitions moves", async || {
        for delivery in first.take_held() {
            delivery.done(done());
        }
        two.readiness().ready
    })
    .await;
    for partition in 0..2 {
        topic.until_committed(partition, 1).await;
    }
    topic.publish(0, "c").await;
    topic.publish(1, "d").await;
    second.wait_for_submitted(1).await;
    first.wait_for_submitted(3).await;
    assert_eq!(
        second.submitted_ids().len(),
        1,
        "drained records are not delivered again"
    );
    for delivery in first.take_held() {
        delivery.done(done());
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_settled_after_its_partition_was_given_up_moves_nothing() {
    let topic = Topic::create("fenced", 1).await;
    let first = FakeIntake::holding();
    let second = FakeIntake::holding();
    let one = Running::start(topic.options(), &first);
    topic.publish_many(0, 0..10).await;
    first.wait_for_submitted(10).await;
    let late = first.take_held();
    // Its deadline passes with everything in flight, and the member leaves.
    one.abandon().await;
    let two = Running::start(topic.options(), &second);
    second.wait_for_submitted(10).await;
    for delivery in late {
        delivery.done(done());
    }
    let mut again = second.take_held();
    again.remove(0).done(done());
    topic.until_committed(0, 1).await;
    for delivery in again {
        delivery.done(done());
    }
    topic.until_committed(0, 10).await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_holds_a_partition_too_long_loses_it_and_its_late_ends_are_fenced() {
    let topic = Topic::create("overdue", 2).await;
    let first = FakeIntake::holding();
    let second = FakeIntake::done();
    let one = Running::start(topic.options(), &first);
    one.until_ready().await;
    topic.publish(0, "a").await;
    topic.publish(1, "b").await;
    first.wait_for_submitted(2).await;
    let held = first.take_held();
    let two = Running::start(topic.options(), &second);
    // The drain's deadline passes: a third of the session timeout.
    second.wait_for_submitted(1).await;
    let moved = second.submitted().remove(0).position;
    for delivery in held {
        delivery.done(done());
    }
    for partition in 0..2 {
        topic.until_committed(partition, 1).await;
    }
    assert_eq!(second.submitted().len(), 1, "{moved} alone has moved");
    one.stop().await;
    two.stop().await;
}

/// Publishes a hundred records to each partition.
async fn publish_round(topic: &Topic<'_>, round: u32) {
    for partition in 0..4 {
        let first = round * 10_000 + partition * 1000;
        topic
            .publish_many(partition as i32, first..first + 100)
            .await;
    }
}

/// How many records a partition has.
async fn published(topic: &Topic<'_>, partition: i32) -> i64 {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    let config = topic.broker.client();
    let name = topic.name;
    let asked = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().unwrap();
        consumer
            .fetch_watermarks(name, partition, super::WAIT_MAX)
            .unwrap()
    });
    asked.await.unwrap().1
}
