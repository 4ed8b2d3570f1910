//! Receivers whose answers are not valid JSON, or that close their connections without announcing it.

use acteon_sinks_kit::contract::ClosingReceiver;
use serde_json::{Value, json};

use super::action;
use crate::harness::Server;

fn config(receivers: &[&ClosingReceiver]) -> String {
    let providers = receivers.iter().enumerate().map(|(number, receiver)| {
        format!(
            "[[providers]]\nname = \"p{number}\"\ntype = \"webhook\"\nurl = \"{}\"\nallow_cidrs = [\"127.0.0.0/8\"]\nmax_retries = 3\n",
            receiver.url()
        )
    });
    providers.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_closes_after_each_answer_fails_no_action_and_gets_nothing_twice() {
    let receiver = ClosingReceiver::start("{}").await;
    let server = Server::start(&config(&[&receiver]), &[]).await;
    for number in 0..40 {
        let answer = server.post("/v1/dispatch", &action(number, "p0")).await;
        assert!(answer.body["Executed"].is_object(), "{number}: {answer:?}");
    }
    assert_eq!(receiver.answered(), 40);
    let health = server.get("/v1/providers/health").await.body;
    let provider = &health["providers"][0];
    assert_eq!(provider["successes"], 40);
    assert_eq!(provider["circuit_breaker_state"], "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_readable_whatever_its_receivers_answer() {
    let bodies = [
        format!("{}{}", "[".repeat(5000), "]".repeat(5000)),
        r#"{"a":"\ud800"}"#.to_owned(),
        r#"{"a":1e400}"#.to_owned(),
        format!("\"{}\"", "x".repeat(2 << 20)),
        "{\"fine\":true}".to_owned(),
    ];
    let mut receivers = Vec::new();
    for body in bodies {
        receivers.push(ClosingReceiver::start(&body).await);
    }
    let server = Server::start(&config(&receivers.iter().collect::<Vec<_>>()), &[]).await;
    let batch: Vec<Value> = (0..5).map(|n| action(n, &format!("p{n}"))).collect();
    let answer = server.post("/v1/dispatch/batch", &json!(batch)).await;
    let outcomes = answer.body.as_array().expect("JSON that can be read");
    for (number, outcome) in outcomes.iter().enumerate() {
        let body = &outcome["Executed"]["body"];
        assert!(body.is_object(), "{number}: {outcome}");
        assert_eq!(body["note"].is_string(), number < 4, "{number}: {outcome}");
    }
    assert_eq!(outcomes[4]["Executed"]["body"], json!({"fine": true}));
}
