//! Options that cannot work, without a broker.

use acteon_core::{Registry, Secret, Shutdown, Source};
use acteon_testkit::FakeIntake;
use rdkafka::consumer::BaseConsumer;
use serde_json::{Value, json};

use super::{Running, context, options};
use crate::member::{ConsumerMember, Prefetch};
use crate::{Kafka, KafkaSource};

fn refused(change: impl FnOnce(&mut Value)) -> String {
    let mut options = json!({"brokers": "localhost:1", "topics": ["orders"], "group_id": "g"});
    change(&mut options);
    let options: crate::KafkaConfig = serde_json::from_value(options).unwrap();
    let checked = options.check("orders");
    checked.unwrap_err().to_string()
}

#[test]
fn missing_options_are_named() {
    assert_eq!(
        refused(|o| o["brokers"] = json!(" ")),
        "`brokers`: must not be empty"
    );
    assert_eq!(
        refused(|o| o["topics"] = json!([])),
        "`topics`: must not be empty"
    );
    assert_eq!(
        refused(|o| o["group_id"] = json!("")),
        "`group_id`: must not be empty"
    );
}

#[test]
fn a_number_of_consumers_out_of_range_is_refused() {
    for found in [0, 17] {
        assert_eq!(
            refused(|o| o["consumers"] = json!(found)),
            format!("`consumers`: must be from 1 to 16, not {found}")
        );
    }
}

#[test]
fn a_topic_that_would_feed_itself_is_refused() {
    let error = refused(|o| {
        o["topics"] = json!(["late.1m"]);
        o["retry_topic"] = json!("late");
    });
    assert_eq!(error, "`retry_topic`: this source already uses `late.1m`");
    let error = refused(|o| o["dead_letter_topic"] = json!("g.orders.retry.1s"));
    assert_eq!(
        error,
        "`dead_letter_topic`: this source already uses `g.orders.retry.1s`"
    );
}

#[test]
fn a_pattern_in_place_of_names_is_refused() {
    assert_eq!(
        refused(|o| o["topics"] = json!(["^pat.*"])),
        "`topics[0]`: `^pat.*` is a pattern; list topic names instead"
    );
}

#[test]
fn invalid_topic_names_are_refused_before_a_broker_refuses_them() {
    assert_eq!(
        refused(|o| o["topics"] = json!(["two words"])),
        "`topics[0]`: `two words` is not a valid topic name"
    );
    let error = refused(|o| o["group_id"] = json!("a/b"));
    assert_eq!(
        error,
        "`retry_topic`: `a/b.orders.retry.1s` is not a valid topic name"
    );
}

#[test]
fn an_ordering_key_that_leads_nowhere_is_refused() {
    let error = refused(|o| o["ordering_key"] = json!(["payload.customer", "customer"]));
    assert!(
        error.starts_with("`ordering_key`: `customer` does not begin with `payload`"),
        "{error}"
    );
}

#[test]
fn client_properties_that_the_source_sets_itself_are_refused_with_what_to_set_instead() {
    let error = refused(|o| o["client"] = json!({"bootstrap.servers": "x"}));
    assert_eq!(
        error,
        "`client.bootstrap.servers`: Acteon sets this property itself: set `brokers`"
    );
    for property in ["transactional.id", "test.mock.num.brokers"] {
        let error = refused(|o| o["client"] = json!({property: "3"}));
        assert!(
            error.starts_with(&format!("`client.{property}`")),
            "{error}"
        );
    }
    let error = refused(|o| o["client"] = json!({"enable.auto.commit": "true"}));
    assert!(
        error.ends_with("the source commits settled records itself"),
        "{error}"
    );
}

#[test]
fn client_properties_that_the_library_does_not_accept_are_refused_without_their_values() {
    let error = refused(|o| o["client"] = json!({"session.timeout.ms": "soon"}));
    assert!(error.contains("session.timeout.ms"), "{error}");
    let error = refused(|o| o["client"] = json!({"no.such": "hunter2"}));
    assert!(
        error.contains("no.such") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn a_file_of_tls_that_is_not_there_is_refused_by_the_name_of_its_property() {
    for property in [
        "ssl.ca.location",
        "ssl.certificate.location",
        "ssl.key.location",
    ] {
        let error = refused(|o| o["client"] = json!({property: "/no/such/file"}));
        let begin = format!("`client.{property}`: the file cannot be read: No such");
        assert!(
            error.starts_with(&begin) && !error.contains("/no/such"),
            "{error}"
        );
    }
}

#[test]
fn authorities_are_those_of_the_system_unless_others_are_named() {
    let mut options = options("localhost:1", "orders");
    let authorities = |options: &crate::KafkaConfig| {
        let config = options.producer("orders");
        config.get("ssl.ca.location").map(str::to_owned)
    };
    assert_eq!(authorities(&options).as_deref(), Some("probe"));
    let named = Secret::new("/etc/kafka/ca.pem");
    options
        .connection
        .client
        .insert("ssl.ca.location".to_owned(), named);
    assert_eq!(authorities(&options).as_deref(), Some("/etc/kafka/ca.pem"));
}

#[test]
fn a_key_that_the_client_cannot_read_is_refused_without_it_and_its_password() {
    let mut options = options("localhost:1", "orders");
    let key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nhunter2\n-----END ENCRYPTED PRIVATE KEY-----";
    for (property, value) in [
        ("security.protocol", "ssl"),
        ("ssl.key.pem", key),
        ("ssl.key.password", "hunter3"),
    ] {
        options
            .connection
            .client
            .insert(property.to_owned(), Secret::new(value));
    }
    let config = options.consumer("orders", ConsumerMember::OfTopics(0), Prefetch::of(0, 1));
    let created: Result<BaseConsumer, _> = config.create();
    let error = options
        .connection
        .refused(&created.err().unwrap())
        .to_string();
    assert!(error.contains("ssl.key.pem failed"), "{error}");
    assert!(!error.contains("hunter"), "{error}");
}

#[test]
fn a_topic_that_is_named_twice_is_refused() {
    let error = refused(|o| o["topics"] = json!(["a", "x", "b", "x"]));
    assert_eq!(error, "`topics[3]`: `x` is named twice");
}

#[test]
fn properties_that_the_library_takes_one_by_one_and_not_together_are_refused_by_name() {
    let properties = json!({"max.poll.interval.ms": "5000"});
    let error = refused(|o| o["client"] = properties);
    assert!(
        error.starts_with(
            "`client`: the Kafka client does not accept this combination of properties"
        ) && error.contains("max.poll.interval.ms")
            && error.contains("session.timeout.ms"),
        "{error}"
    );
    let properties = json!({"max.in.flight.requests.per.connection": "6"});
    let error = refused(|o| o["client"] = properties);
    assert!(
        error.contains("max.in.flight"),
        "the publishing client is checked, too: {error}"
    );
}

#[tokio::test]
async fn a_source_that_failed_permanently_keeps_reporting_why() {
    let mut options = options("127.0.0.1:1", "orders");
    let wrong = ("max.poll.interval.ms".to_owned(), Secret::new("5000"));
    options.connection.client.extend([wrong]);
    options.consumers = 2;
    let source = KafkaSource::unchecked(options, context(&FakeIntake::done())).unwrap();
    let error = source.run(Shutdown::default()).await.unwrap_err();
    let why = "does not accept this combination of properties";
    let text = error.to_string();
    assert!(
        text.contains("`orders`") && text.contains(why) && !text.contains("5000"),
        "{text}"
    );
    let part = source.readiness();
    assert_eq!((part.ready, part.detail), (false, Some(error.message)));
}

#[test]
fn errors_of_the_library_contain_no_value_of_a_property() {
    let secret = "/no/such/folder/hunter2";
    let properties = json!({"plugin.library.paths": secret});
    let error = refused(|o| o["client"] = properties);
    assert!(
        !error.contains("hunter2") && error.contains("plugin"),
        "{error}"
    );
}

#[test]
fn a_check_connects_to_nothing_and_ends_at_once() {
    let broker = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    broker.set_nonblocking(true).unwrap();
    let began = tokio::time::Instant::now();
    let options = options(&broker.local_addr().unwrap().to_string(), "orders");
    assert!(options.check("orders").is_ok());
    assert!(began.elapsed() < std::time::Duration::from_secs(2));
    let accepted = broker.accept().unwrap_err();
    assert_eq!(accepted.kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn the_registry_knows_the_kind_and_names_what_is_wrong_in_its_options() {
    let mut registry = Registry::default();
    registry.register(Kafka);
    let plan = registry.plan("kafka", json!({"brokers": "b", "topic": "orders"}));
    let error = plan.err().unwrap().to_string();
    assert!(
        error.contains("topic") && error.contains("topics"),
        "{error}"
    );
}

#[test]
fn all_options_that_cannot_work_are_reported_together() {
    let mut wrong = options(" ", "two words");
    wrong.consumers = 99;
    wrong.ordering_key = vec!["customer".to_owned()];
    let unknown = ("no.such".to_owned(), Secret::new("x"));
    wrong.connection.client.extend([unknown]);
    let error = wrong.check("orders").unwrap_err();
    let options: Vec<_> = error.each().map(|one| one.option.as_str()).collect();
    let expected = [
        "brokers",
        "consumers",
        "ordering_key",
        "topics[0]",
        "client.no.such",
    ];
    assert_eq!(options, expected);
}

#[test]
fn a_wrong_option_stops_the_source_from_being_built() {
    let mut wrong = options("localhost:1", "orders");
    wrong.topics.clear();
    let error = wrong.check("orders").unwrap_err();
    assert_eq!(error.option, "topics");
}

#[tokio::test]
async fn without_a_broker_a_source_is_not_ready_and_stops_on_shutdown() {
    let running = Running::start(options("127.0.0.1:1", "orders"), &FakeIntake::done());
    let part = running.readiness();
    assert_eq!((part.name.as_str(), part.ready), ("source:orders", false));
    running.stop().await;
}
