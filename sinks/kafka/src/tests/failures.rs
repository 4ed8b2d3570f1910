//! What is not published, and why.

use acteon_core::FailureCode;
use acteon_core::sink::SinkErrorClass;
use acteon_services::{Listener, Secured};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_record_too_large_for_the_broker_fails_for_good_and_its_neighbours_are_stored() {
    let sink = sink(topic("large", 1).await).await;
    let large = carrying("large", &json!("x".repeat(3 << 20)));
    let small: Vec<_> = (0..20)
        .map(|n| carrying(&n.to_string(), &json!(n)))
        .collect();
    let neighbours = small.iter().map(|action| deliver(&sink, action));
    let (refused, stored) = tokio::join!(
        deliver(&sink, &large),
        futures_util::future::join_all(neighbours)
    );
    let error = refused.unwrap_err();
    assert_eq!(error.class, SinkErrorClass::Permanent, "{error}");
    assert!(error.is_too_large);
    assert!(stored.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_broker_an_attempt_ends_before_its_time_limit_and_says_why() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap().to_string();
    drop(silent);
    let timeout = Duration::from_secs(5);
    let options = json!({"brokers": address, "topic": "orders"});
    let sink = built(options, timeout).await.unwrap();
    let began = Instant::now();
    let error = deliver(&sink, &carrying("a", &json!(1))).await.unwrap_err();
    assert!(began.elapsed() < timeout, "{:?}", began.elapsed());
    assert_eq!(error.code, FailureCode::Timeout);
    assert!(matches!(error.class, SinkErrorClass::Transient { .. }));
    assert!(error.message.contains("no broker answers"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_password_is_the_fault_of_the_provider_and_stays_secret() {
    let secured = Secured::start().await.unwrap();
    secured.kafka().create_topic("orders", 1).await.unwrap();
    let mut client: serde_json::Map<_, _> = secured
        .client_properties(Listener::Scram)
        .into_iter()
        .map(|(property, value)| (property.to_string(), json!(value)))
        .collect();
    let options = |client: &serde_json::Map<String, Value>| {
        let brokers = secured.bootstrap(Listener::Scram);
        json!({"brokers": brokers, "topic": "orders", "client": client})
    };
    let right = sink(options(&client)).await;
    deliver(&right, &carrying("a", &json!(1))).await.unwrap();
    client.insert("sasl.password".to_owned(), json!("hunter2"));
    let wrong = built(options(&client), Duration::from_secs(5))
        .await
        .unwrap();
    let error = deliver(&wrong, &carrying("a", &json!(1)))
        .await
        .unwrap_err();
    assert_eq!(error.class, SinkErrorClass::ProviderFault, "{error}");
    let shown = format!("{error} {error:?}");
    assert!(
        shown.contains("authentication failed") && !shown.contains("hunter2"),
        "{shown}"
    );
    let dialled = wrong.dial().await.unwrap_err().to_string();
    assert!(dialled.contains("authentication failed"), "{dialled}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dialling_finds_the_topic_and_creates_none() {
    let options = topic("dialled", 1).await;
    let reached = sink(options.clone()).await.dial().await.unwrap();
    assert_eq!(
        reached.as_deref(),
        Some("1 broker answers, and the topic exists")
    );
    let other = sink(with(options, &json!({"topic": "not-there"}))).await;
    for _ in 0..2 {
        let error = other.dial().await.unwrap_err();
        assert_eq!(error.option, "topic");
    }
}
