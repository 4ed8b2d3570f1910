//! Dispatch over HTTP: answers in order, a message for each refusal, one delivery per id.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{TEN_RULES, action};
use crate::harness::{Receiver, Server};

fn config(receiver: &Receiver) -> String {
    format!(
        r#"
[rules]
directory = "{{rules}}"

[[providers]]
name = "hook"
type = "webhook"
url = "{}"
allow_cidrs = ["127.0.0.0/8"]
"#,
        receiver.url()
    )
}

async fn start(receiver: &Receiver) -> Server {
    Server::start(&config(receiver), &[("ten.yaml", TEN_RULES)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_1_000_is_answered_in_input_order() {
    let receiver = Receiver::accepting().await;
    let server = start(&receiver).await;
    let actions: Vec<Value> = (0..1000)
        .map(|number| match number % 4 {
            0 => action(number, "hook"),
            1 => action(number - 1, "hook"),
            2 => json!({"namespace": "elsewhere", "tenant": "t", "provider": "hook", "action_type": "a", "payload": null}),
            _ => json!({"namespace": "shop", "tenant": 3}),
        })
        .collect();
    let answer = server
        .post("/v1/dispatch/batch", &Value::Array(actions))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let outcomes = answer.body.as_array().unwrap();
    assert_eq!(outcomes.len(), 1000);
    for (number, outcome) in outcomes.iter().enumerate() {
        let expected = ["Executed", "Deduplicated", "Suppressed", "error"][number % 4];
        assert!(
            outcome.get(expected).is_some(),
            "item {number} is {outcome}, not {expected}"
        );
    }
    assert_eq!(outcomes[3]["error"]["code"], "INVALID_ACTION");
    assert_eq!(receiver.accepted(), 250);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_malformed_request_gets_its_own_error() {
    let receiver = Receiver::accepting().await;
    let server = start(&receiver).await;
    let mut large = action(1, "hook");
    large["payload"] = json!({"text": "x".repeat(64 * 1024)});
    let answer = server.post("/v1/dispatch", &large).await;
    assert_eq!(
        answer.body["Executed"]["status"], "success",
        "64 KiB are fine: {answer:?}"
    );

    let mut huge = action(2, "hook");
    huge["payload"] = json!({"text": "x".repeat(5 * 1024 * 1024)});
    let mut numbered = action(3, "hook");
    numbered["tenant"] = json!(7);
    let cases = [
        (
            huge.to_string(),
            StatusCode::PAYLOAD_TOO_LARGE,
            "PAYLOAD_TOO_LARGE",
        ),
        (
            "{\"namespace\": ".to_owned(),
            StatusCode::BAD_REQUEST,
            "INVALID_JSON",
        ),
        (
            "[1]".to_owned(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "INVALID_ACTION",
        ),
        (
            numbered.to_string(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "INVALID_ACTION",
        ),
        (
            "{}".to_owned(),
            StatusCode::UNPROCESSABLE_ENTITY,
            "INVALID_ACTION",
        ),
    ];
    for (body, status, code) in cases {
        let answer = server.post_text("/v1/dispatch", body).await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (status, &json!(code)),
            "{answer:?}"
        );
        assert!(
            answer.body["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty())
        );
    }
    let lost = server.get("/v1/nowhere").await;
    assert_eq!(
        (lost.status, &lost.body["code"]),
        (StatusCode::NOT_FOUND, &json!("NOT_FOUND"))
    );
    let method = server.get("/v1/dispatch").await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_twice_is_delivered_once_and_answered_alike() {
    let receiver = Receiver::accepting().await;
    let server = start(&receiver).await;
    let mut action = action(1, "hook");
    action["id"] = json!("order-1-shipped");
    let first = server.post("/v1/dispatch", &action).await;
    let second = server.post("/v1/dispatch", &action).await;
    assert_eq!(first.body, second.body);
    assert_eq!(receiver.accepted(), 1);
    let counters = server.counters().await;
    assert_eq!(
        (&counters["executed"], &counters["replayed"]),
        (&json!(1), &json!(1))
    );
    let written = server.get("/v1/audit/order-1-shipped?wait_ms=10000").await;
    assert_eq!(written.body["outcome"], "executed");
    let audit = server.get("/v1/audit").await.body;
    assert_eq!(audit["total"], 1, "no second record");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_when_the_client_hangs_up() {
    let receiver = Receiver::accepting().await;
    let server = start(&receiver).await;
    let text = action(1, "hook").to_string();
    // The caller sends the whole request and closes without reading the answer.
    let mut socket = tokio::net::TcpStream::connect(server.url("")[7..].to_owned())
        .await
        .unwrap();
    let head = format!(
        "POST /v1/dispatch HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        text.len()
    );
    tokio::io::AsyncWriteExt::write_all(&mut socket, (head + &text).as_bytes())
        .await
        .unwrap();
    drop(socket);
    server
        .until_counted("executed", 1, std::time::Duration::from_secs(10))
        .await;
    assert_eq!(receiver.accepted(), 1);
}

const THIRD: &str = r#"
rules:
  - name: third
    condition: { state_counter: "orders for {{ action.payload.to }}", gte: 2 }
    action: { type: suppress }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn rules_see_what_came_before_and_trying_them_counts_nothing() {
    let receiver = Receiver::accepting().await;
    let server = Server::start(&config(&receiver), &[("third.yaml", THIRD)]).await;
    let order = action(1, "hook");
    let would_be = async || {
        let answer = server.post("/v1/dispatch?dry_run=true", &order).await;
        answer.body["DryRun"]["verdict"].clone()
    };
    for _ in 0..2 {
        assert_eq!(would_be().await, "allow");
        let answer = server.post("/v1/dispatch", &order).await;
        assert!(answer.body.get("Executed").is_some(), "{}", answer.body);
    }
    assert_eq!(would_be().await, "suppress");
    let mut tried = order.clone();
    let answer = server.post("/v1/rules/evaluate", &tried).await;
    assert_eq!(answer.body["matched_rule"], "third");
    let read = &answer.body["context"]["state"][0];
    assert_eq!(read["key"], "orders for customer@example.com");
    assert_eq!(read["count"], 2);
    tried["mock_state"] = json!({"orders for customer@example.com": 1});
    let answer = server.post("/v1/rules/evaluate", &tried).await;
    assert_eq!(answer.body["verdict"], "allow");
    tried["mock_state"] = json!({"orders for customer@example.com": "two"});
    let answer = server.post("/v1/rules/evaluate", &tried).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let message = answer.body["message"].as_str().unwrap();
    assert!(
        message.contains("`orders for customer@example.com`"),
        "{message}"
    );
    let answer = server.post("/v1/dispatch", &order).await;
    assert_eq!(answer.body, json!({"Suppressed": {"rule": "third"}}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let receiver = Receiver::accepting().await;
    let server = start(&receiver).await;
    let answer = server
        .post("/v1/dispatch?dry_run=true", &action(1, "hook"))
        .await;
    assert_eq!(
        answer.body,
        json!({"DryRun": {"verdict": "deduplicate", "matched_rule": "once", "would_be_provider": "hook"}})
    );
    assert_eq!(receiver.requests(), 0);
    assert_eq!(server.get("/v1/audit").await.body["total"], 0);
}
