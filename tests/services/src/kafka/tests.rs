use rdkafka::producer::{FutureProducer, FutureRecord};

use super::*;

async fn publish(kafka: &Kafka, topic: &str, value: &str) {
    let producer: FutureProducer = kafka.client().create().unwrap();
    let record = FutureRecord::<str, _>::to(topic).payload(value);
    producer.send(record, ASK_PATIENCE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_takes_records_tells_the_lag_and_keeps_both_over_a_restart() {
    let kafka = Kafka::start().await.unwrap();
    kafka.create_topic("greetings", 1).await.unwrap();
    publish(&kafka, "greetings", "hello").await;
    publish(&kafka, "greetings", "again").await;
    assert_eq!(kafka.lag("readers").await.unwrap(), 0, "it never committed");
    commit(&kafka, "readers", "greetings", 1).await;
    assert_eq!(kafka.lag("readers").await.unwrap(), 1);

    kafka.stop().await.unwrap();
    assert!(!kafka.answers().await);
    kafka.restart().await.unwrap();
    assert_eq!(kafka.lag("readers").await.unwrap(), 1);
    let committed = kafka.committed("readers", "greetings").await.unwrap();
    assert_eq!(committed, [(0, Some(1))]);
}

async fn commit(kafka: &Kafka, group: &str, topic: &str, next: i64) {
    let mut config = kafka.client();
    config.set("group.id", group);
    let mut places = TopicPartitionList::new();
    places
        .add_partition_offset(topic, 0, Offset::Offset(next))
        .unwrap();
    spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.commit(&places, rdkafka::consumer::CommitMode::Sync)
    })
    .await
    .unwrap()
    .unwrap();
}
