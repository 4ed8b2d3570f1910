//! Brokers that require authentication, and records compressed by producers.

use std::time::Duration;

use acteon_core::{Secret, Source};
use acteon_services::{Listener, Secured};
use acteon_testkit::FakeIntake;
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::net::TcpListener;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::{KafkaConfig, Running, Topic, WAIT_MAX, action, context, eventually, options};
use crate::KafkaSource;

async fn secured() -> &'static Secured {
    static SECURED: OnceCell<Secured> = OnceCell::const_new();
    let started = SECURED.get_or_try_init(Secured::start).await;
    started.unwrap_or_else(|error| panic!("tests need a Kafka broker: {error:#}"))
}

/// A topic of the secured broker, and the options to read it through `listener`.
async fn topic(name: &'static str, listener: Listener) -> (Topic<'static>, KafkaConfig) {
    let secured = secured().await;
    let topic = Topic::create_on(secured.kafka(), name, 1).await;
    let mut options = topic.options();
    options.connection.brokers = secured.bootstrap(listener);
    for (property, value) in secured.client_properties(listener) {
        set(&mut options, &property, &value);
    }
    (topic, options)
}

fn set(options: &mut KafkaConfig, property: &str, value: &str) {
    let secret = Secret::new(value);
    options
        .connection
        .client
        .insert(property.to_owned(), secret);
}

/// Waits until the source is not ready for a reason that starts with `begin`, and returns the reason.
async fn until_kept_out(running: &Running, begin: &str) -> String {
    let detail = || running.readiness().detail.unwrap_or_default();
    let what = format!("`/ready` says {begin}");
    eventually(&what, async || detail().starts_with(begin)).await;
    detail()
}

async fn records_arrive_by(listener: Listener, name: &'static str) {
    let (topic, options) = topic(name, listener).await;
    records_arrive(&topic, options).await;
}

async fn records_arrive(topic: &Topic<'_>, options: KafkaConfig) {
    topic.publish_many(0, 0..100).await;
    let intake = FakeIntake::done();
    let running = Running::start(options, &intake);
    intake.wait_for_submitted(100).await;
    topic.until_committed(0, 100).await;
    running.until_ready().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_arrive_over_tls_under_a_private_authority() {
    records_arrive_by(Listener::Tls, "over-tls").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_arrive_for_a_user_with_the_right_password() {
    records_arrive_by(Listener::Scram, "by-password").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_arrive_for_a_user_who_shows_the_password_by_the_shorter_hash() {
    let (topic, mut options) = topic("by-sha-256", Listener::Scram).await;
    set(&mut options, "sasl.mechanism", "SCRAM-SHA-256");
    records_arrive(&topic, options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dialling_tells_whether_the_password_is_the_right_one() {
    let (_topic, mut options) = topic("dialled", Listener::Scram).await;
    let source = |options| KafkaSource::new(options, context(&FakeIntake::done())).unwrap();
    let reached = source(options.clone()).dial().await.unwrap();
    assert_eq!(
        reached.as_deref(),
        Some("1 broker answers, and the topic exists")
    );
    set(&mut options, "sasl.password", "hunter2");
    let error = source(options).dial().await.unwrap_err();
    assert_eq!(error.option, "brokers");
    assert!(
        error.message.starts_with("authentication failed: "),
        "{error}"
    );
    assert!(!error.message.contains("hunter2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_arrive_for_a_client_with_a_certificate() {
    records_arrive_by(Listener::ClientCertificate, "by-certificate").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_reported_without_it_and_tried_until_it_is_right() {
    let (topic, mut options) = topic("late-user", Listener::Scram).await;
    set(&mut options, "sasl.username", "late");
    set(&mut options, "sasl.password", "hunter2");
    topic.publish(0, "a").await;
    let intake = FakeIntake::done();
    let running = Running::start(options, &intake);
    let detail = until_kept_out(&running, "authentication failed: ").await;
    assert!(detail.contains("SCRAM-SHA-512"), "{detail}");
    assert!(!detail.contains("hunter2"), "{detail}");
    let set = secured().await.set_password("late", "hunter2");
    set.await.unwrap();
    intake.wait_for_submitted(1).await;
    running.until_ready().await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_authority_the_system_does_not_know_is_not_spoken_to() {
    let (topic, mut options) = topic("untrusted", Listener::Scram).await;
    options.connection.client.remove("ssl.ca.location");
    topic.publish(0, "a").await;
    let intake = FakeIntake::done();
    let running = Running::start(options, &intake);
    let detail = until_kept_out(&running, "TLS failed: ").await;
    assert!(detail.contains("certificate verify failed"), "{detail}");
    assert_eq!(intake.submitted_ids().len(), 0);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_required_certificate_reports_it() {
    let (_topic, mut options) = topic("nameless", Listener::ClientCertificate).await;
    options.connection.client.remove("ssl.certificate.location");
    options.connection.client.remove("ssl.key.location");
    let running = Running::start(options, &FakeIntake::done());
    let detail = until_kept_out(&running, "no broker answers: ").await;
    assert!(detail.contains("alert bad certificate"), "{detail}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_up_is_called_again_after_a_wait() {
    const CALLS_OF_EACH: u32 = 3;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut options = options(&address, "hung-up");
    set(&mut options, "security.protocol", "ssl");
    let running = Running::start(options, &FakeIntake::done());
    let start = Instant::now();
    // Two clients connect: one for the topic, one for the delayed path.
    for _ in 0..2 * CALLS_OF_EACH {
        drop(listener.accept().await.unwrap());
    }
    let took = start.elapsed();
    let least = Duration::from_millis(900);
    assert!(took > least, "called within {took:?}");
    assert!(!running.readiness().ready);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_read_however_their_producer_compressed_them() {
    const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];
    let topic = Topic::create("compressed", 1).await;
    for codec in CODECS {
        let mut config = topic.broker.client();
        // Long enough for all records of a codec to form one batch.
        config.set("compression.type", codec).set("linger.ms", "50");
        let producer: FutureProducer = config.create().unwrap();
        let sent = (0..200).map(|number| {
            let producer = &producer;
            let value = action(&format!("{codec}-{number}"));
            async move {
                let record = FutureRecord::<str, _>::to("compressed").payload(&value);
                producer.send(record, WAIT_MAX).await.unwrap();
            }
        });
        futures_util::future::join_all(sent).await;
    }
    let intake = FakeIntake::done();
    let running = Running::start(topic.options(), &intake);
    intake.wait_for_submitted(1000).await;
    let ids = CODECS
        .iter()
        .flat_map(|codec| (0..200).map(move |n| format!("{codec}-{n}")));
    assert!(intake.submitted_ids().into_iter().eq(ids));
    topic.until_committed(0, 1000).await;
    running.stop().await;
}
