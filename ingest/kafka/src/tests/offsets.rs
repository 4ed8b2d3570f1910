//! Where reading starts: without a commit, with new partitions, after deletion, and in recreated topics.

use acteon_services::Kafka as Broker;
use acteon_testkit::FakeIntake;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::{Running, Topic, WAIT_MAX, eventually};
use crate::{KafkaConfig, Start};

impl Topic<'_> {
    fn options_latest(&self) -> KafkaConfig {
        let mut options = self.options();
        options.start = Start::Latest;
        let every_second = acteon_core::Secret::new("1000");
        let refresh = "topic.metadata.refresh.interval.ms".to_owned();
        options.connection.client.insert(refresh, every_second);
        options
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.broker.client().create().unwrap()
    }

    async fn add_partitions(&mut self, count: usize) {
        let wanted = NewPartitions::new(self.name, count);
        let options = AdminOptions::new().operation_timeout(Some(WAIT_MAX));
        let added = self.admin().create_partitions([&wanted], &options).await;
        added.unwrap().remove(0).unwrap();
        // The former producer does not know them yet.
        self.producer = self.broker.client().create().unwrap();
    }

    async fn delete_before(&self, offset: i64) {
        let mut heads = TopicPartitionList::new();
        heads
            .add_partition_offset(self.name, 0, Offset::Offset(offset))
            .unwrap();
        let options = AdminOptions::new().operation_timeout(Some(WAIT_MAX));
        self.admin().delete_records(&heads, &options).await.unwrap();
    }

    async fn delete(&self) {
        let options = AdminOptions::new().operation_timeout(Some(WAIT_MAX));
        let deleted = self.admin().delete_topics(&[self.name], &options).await;
        deleted.unwrap().remove(0).unwrap();
    }

    /// Deletes the topic and creates it again as soon as the broker allows it.
    async fn recreate(&mut self) {
        self.delete().await;
        self.create_again().await;
    }

    async fn create_again(&mut self) {
        eventually("the topic is created again", async || {
            self.broker.create_topic(self.name, 1).await.is_ok()
        })
        .await;
        // The former producer may believe that the topic is gone.
        self.producer = self.broker.client().create().unwrap();
    }

    /// Commits for the group, which has no members, as if the broker had kept the commit.
    fn commit(&self, offset: i64, metadata: &str) {
        let mut client = self.broker.client();
        let consumer: BaseConsumer = client.set("group.id", self.name).create().unwrap();
        let mut list = TopicPartitionList::new();
        let mut element = list.add_partition(self.name, 0);
        element.set_offset(Offset::Offset(offset)).unwrap();
        element.set_metadata(metadata);
        consumer.commit(&list, CommitMode::Sync).unwrap();
    }

    /// The metadata that the group has committed.
    fn metadata(&self) -> String {
        let mut client = self.broker.client();
        let consumer: BaseConsumer = client.set("group.id", self.name).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition(self.name, 0);
        let list = consumer.committed_offsets(list, WAIT_MAX).unwrap();
        list.elements()[0].metadata().to_owned()
    }
}

fn ids(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|id| id.to_string()).collect()
}

/// Waits until all these ids were handed in, in addition to any others.
async fn until_read(intake: &FakeIntake, wanted: std::ops::Range<u32>) {
    let what = format!("{wanted:?} are read");
    let wanted = ids(wanted);
    eventually(&what, async || {
        let read = intake.submitted_ids();
        wanted.iter().all(|id| read.contains(id))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_a_group_is_away_is_read_though_it_never_settled_anything() {
    let topic = Topic::create("away-latest", 2).await;
    topic.publish_many(0, 0..10).await;
    let running = Running::start(topic.options_latest(), &FakeIntake::done());
    running.until_ready().await;
    assert_eq!(topic.committed(0).await, Some(10), "the start is committed");
    assert_eq!(topic.committed(1).await, Some(0));
    running.stop().await;
    topic.publish_many(0, 10..15).await;
    topic.publish_many(1, 15..20).await;
    let intake = FakeIntake::done();
    let running = Running::start(topic.options_latest(), &intake);
    intake.wait_for_submitted(10).await;
    let mut read = intake.submitted_ids();
    read.sort();
    assert_eq!(read, ids(10..20));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn members_that_begin_together_begin_at_the_latest_together() {
    let topic = Topic::create("together", 4).await;
    for partition in 0..4 {
        topic.publish_many(partition, 0..10).await;
    }
    let mut options = topic.options_latest();
    options.consumers = 4;
    let intake = FakeIntake::done();
    let running = Running::start(options, &intake);
    running.until_ready().await;
    for partition in 0..4 {
        topic.until_committed(partition, 10).await;
        topic.publish(partition as i32, "new").await;
    }
    intake.wait_for_submitted(4).await;
    assert_eq!(intake.submitted_ids(), ["new"; 4]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_are_added_are_read_from_their_first_record() {
    let mut topic = Topic::create("added", 1).await;
    topic.publish_many(0, 0..10).await;
    let intake = FakeIntake::done();
    let running = Running::start(topic.options_latest(), &intake);
    running.until_ready().await;
    // The source is running and learns of them later.
    topic.add_partitions(2).await;
    topic.publish_many(1, 10..20).await;
    intake.wait_for_submitted(10).await;
    topic.until_committed(1, 10).await;
    running.stop().await;
    topic.add_partitions(3).await;
    topic.publish_many(2, 20..30).await;
    let running = Running::start(topic.options_latest(), &intake);
    intake.wait_for_submitted(20).await;
    assert_eq!(intake.submitted_ids(), ids(10..30));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_deleted_head_the_rest_is_read() {
    let topic = Topic::create("headless", 1).await;
    let running = Running::start(topic.options_latest(), &FakeIntake::done());
    running.until_ready().await;
    running.stop().await;
    topic.publish_many(0, 0..20).await;
    topic.delete_before(10).await;
    let intake = FakeIntake::done();
    let running = Running::start(topic.options_latest(), &intake);
    intake.wait_for_submitted(10).await;
    assert_eq!(intake.submitted_ids(), ids(10..20));
    topic.until_committed(0, 20).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_reads_nothing_again_that_was_settled() {
    let topic = Topic::create("same", 1).await;
    topic.publish_many(0, 0..20).await;
    let running = Running::start(topic.options(), &FakeIntake::done());
    topic.until_committed(0, 20).await;
    running.stop().await;
    let intake = FakeIntake::done();
    let running = Running::start(topic.options(), &intake);
    running.until_ready().await;
    topic.publish_many(0, 20..25).await;
    intake.wait_for_submitted(5).await;
    topic.until_committed(0, 25).await;
    assert_eq!(intake.submitted_ids(), ids(20..25));
    running.stop().await;
}

/// Settles a hundred records, recreates the topic with `count` records, and reads those.
async fn recreate_while_it_is_read(mut topic: Topic<'_>, count: u32) {
    let intake = FakeIntake::done();
    let running = Running::start(topic.options_latest(), &intake);
    running.until_ready().await;
    topic.publish_many(0, 0..100).await;
    topic.until_committed(0, 100).await;
    topic.recreate().await;
    topic.publish_many(0, 1000..1000 + count).await;
    until_read(&intake, 1000..1000 + count).await;
    topic.until_committed(0, i64::from(count)).await;
    running.until_ready().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_recreated_with_fewer_records_while_it_is_read_loses_nothing() {
    recreate_while_it_is_read(Topic::create("recreated-fewer", 1).await, 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_recreated_with_as_many_records_while_it_is_read_loses_nothing() {
    recreate_while_it_is_read(Topic::create("recreated-equal", 1).await, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_recreated_with_more_records_while_it_is_read_loses_nothing() {
    recreate_while_it_is_read(Topic::create("recreated-more", 1).await, 140).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_recreated_whose_leader_had_changed_before_loses_nothing() {
    let broker = Broker::start().await.unwrap();
    let topic = Topic::create_on(&broker, "recreated-leader", 1).await;
    // Each restart increases the leader's epoch. The new topic begins with the first one.
    for _ in 0..2 {
        broker.restart().await.unwrap();
    }
    recreate_while_it_is_read(topic, 140).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_away_for_a_while_and_comes_back_loses_nothing() {
    let mut topic = Topic::create("recreated-later", 1).await;
    let intake = FakeIntake::done();
    let running = Running::start(topic.options_latest(), &intake);
    running.until_ready().await;
    topic.publish_many(0, 0..50).await;
    topic.until_committed(0, 50).await;
    topic.delete().await;
    let unready = async || !running.readiness().ready;
    eventually("the source is not ready without its topic", unready).await;
    topic.create_again().await;
    topic.publish_many(0, 1000..1070).await;
    until_read(&intake, 1000..1070).await;
    topic.until_committed(0, 70).await;
    running.until_ready().await;
    running.stop().await;
}

/// Publishes 50 records, and stops the source when they are committed.
async fn settle_fifty(topic: &Topic<'_>) {
    topic.publish_many(0, 0..50).await;
    let running = Running::start(topic.options(), &FakeIntake::done());
    topic.until_committed(0, 50).await;
    running.stop().await;
}

/// Starts the source on a topic recreated with `count` records, ids from 1000 on. It must read and commit each.
async fn assert_all_are_read(topic: &Topic<'_>, count: u32) {
    let intake = FakeIntake::done();
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(count as usize).await;
    assert_eq!(intake.submitted_ids(), ids(1000..1000 + count));
    topic.until_committed(0, i64::from(count)).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_recreated_while_the_source_is_down_loses_nothing() {
    for (name, count) in [("stopped-fewer", 20), ("stopped-more", 70)] {
        let mut topic = Topic::create(name, 1).await;
        settle_fifty(&topic).await;
        topic.recreate().await;
        topic.publish_many(0, 1000..1000 + count).await;
        assert_all_are_read(&topic, count).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recreated_topic_is_recognized_by_its_records_if_the_broker_keeps_its_commits() {
    for (name, count) in [("kept-fewer", 20), ("kept-equal", 50), ("kept-more", 70)] {
        let mut topic = Topic::create(name, 1).await;
        settle_fifty(&topic).await;
        let metadata = topic.metadata();
        topic.recreate().await;
        topic.publish_many(0, 1000..1000 + count).await;
        topic.commit(50, &metadata);
        assert_all_are_read(&topic, count).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_settled_of_a_topic_that_was_recreated_meanwhile_moves_nothing() {
    let mut topic = Topic::create("recreated-fenced", 1).await;
    let intake = FakeIntake::holding();
    let running = Running::start(topic.options_latest(), &intake);
    running.until_ready().await;
    topic.publish_many(0, 0..10).await;
    intake.wait_for_submitted(10).await;
    let late = intake.take_held();
    topic.recreate().await;
    topic.publish_many(0, 1000..1005).await;
    until_read(&intake, 1000..1005).await;
    for delivery in late {
        delivery.done(super::done());
    }
    for delivery in intake.take_held() {
        delivery.done(super::done());
    }
    topic.until_committed(0, 5).await;
    running.stop().await;
    assert_eq!(topic.committed(0).await, Some(5));
}
