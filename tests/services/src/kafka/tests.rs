use rdkafka::producer::{FutureProducer, FutureRecord};

use super::*;

async fn publish(kafka: &Kafka, topic: &str, value: &str) {
    let producer: FutureProducer = kafka.client().create().unwrap();
    let record = FutureRecord::<str, _>::to(topic).payload(value);
    producer.send(record, REQUEST_TIMEOUT).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_stores_records_reports_the_lag_and_keeps_both_across_a_restart() {
    let kafka = Kafka::start().await.unwrap();
    kafka.create_topic("greetings", 1).await.unwrap();
    publish(&kafka, "greetings", "hello").await;
    publish(&kafka, "greetings", "again").await;
    assert_eq!(
        kafka.lag("readers").await.unwrap(),
        0,
        "the group has not committed yet"
    );
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

/// Asks as a client with these properties. Returns `let in`, or the client's error.
async fn asked(secured: &Secured, listener: Listener, change: &[(&str, &str)]) -> String {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", secured.bootstrap(listener));
    config.set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg);
    config.extend(secured.client_properties(listener));
    config.extend(
        change
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
    );
    let asked = spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.fetch_metadata(None, Duration::from_secs(3))
    });
    match asked.await.unwrap() {
        Ok(_) => "let in".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secured_broker_accepts_known_clients_only() {
    let secured = Secured::start().await.unwrap();
    for listener in [Listener::Tls, Listener::Scram, Listener::ClientCertificate] {
        assert_eq!(
            asked(&secured, listener, &[]).await,
            "let in",
            "{listener:?}"
        );
    }
    let wrong = [("sasl.password", "wrong")];
    assert_ne!(asked(&secured, Listener::Scram, &wrong).await, "let in");
    let plain = [("security.protocol", "plaintext")];
    assert_ne!(asked(&secured, Listener::Tls, &plain).await, "let in");
    let nameless = [("ssl.certificate.location", ""), ("ssl.key.location", "")];
    let kept_out = asked(&secured, Listener::ClientCertificate, &nameless).await;
    assert_ne!(kept_out, "let in");

    let new = [("sasl.username", "new"), ("sasl.password", "secret")];
    assert_ne!(asked(&secured, Listener::Scram, &new).await, "let in");
    secured.set_password("new", "secret").await.unwrap();
    assert_eq!(asked(&secured, Listener::Scram, &new).await, "let in");
}
