//! A hung provider does not slow the others.

use std::time::Duration;

use acteon_services::eventually;
use reqwest::RequestBuilder;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::action;
use crate::harness::{Receiver, Server};

const CALLERS: u64 = 8;
const ACTIONS: u64 = 2_000;
/// How many pairs are compared. Noise slows now one run of a pair and now the other; a hung provider that affects the
/// others slows its server in every pair, so one good pair proves that it does not.
const PAIRS: u64 = 8;
/// More than run concurrently, so that the hung provider's queue is in use, too.
const HUNG: u64 = 300;

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_webhook_leaves_another_providers_rate_at_95_percent() {
    let well = Receiver::accepting().await;
    let hung = Receiver::replying(|_| None).await;
    let config = config(&well, &hung);
    let free = Server::start(&config, &[]).await;
    let burdened = Server::start(&config, &[]).await;
    let mut stuck = JoinSet::new();
    for number in 0..HUNG {
        stuck.spawn(dispatch(&burdened, number, "hung").send());
    }
    let asked = async || hung.requests();
    eventually(Duration::from_secs(10), asked, |requests| *requests >= 100).await;
    rate(&free).await;
    rate(&burdened).await;
    let mut best: f64 = 0.0;
    for pair in 1..=PAIRS {
        let alone = rate(&free).await;
        let beside = rate(&burdened).await;
        println!("pair {pair}: {alone:.0}/s alone, {beside:.0}/s beside the hung one");
        best = best.max(beside / alone);
        if best >= 0.95 {
            break;
        }
    }
    assert_eq!(
        hung.requests(),
        100,
        "as many as may run side by side, still hanging"
    );
    assert!(best >= 0.95, "the rate fell to {best:.2}");
}

fn config(well: &Receiver, hung: &Receiver) -> String {
    let webhook = |name, url| {
        format!(
            "[[providers]]\nname = \"{name}\"\ntype = \"webhook\"\nurl = \"{url}\"\n\
             allow_cidrs = [\"127.0.0.0/8\"]\ntimeout_seconds = 600\n\n"
        )
    };
    let log = "[log]\nlevel = \"error\"\n\n";
    format!(
        "{log}{}{}",
        webhook("well", well.url()),
        webhook("hung", hung.url())
    )
}

fn dispatch(server: &Server, number: u64, provider: &str) -> RequestBuilder {
    let request = server.client().post(server.url("/v1/dispatch"));
    let request = request.header("content-type", "application/json");
    request.body(action(number, provider).to_string())
}

/// Actions per second to the healthy provider.
async fn rate(server: &Server) -> f64 {
    let start = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let requests: Vec<_> = (0..ACTIONS / CALLERS)
            .map(|number| dispatch(server, caller * ACTIONS + number, "well"))
            .collect();
        callers.spawn(async move {
            for request in requests {
                assert!(request.send().await.unwrap().status().is_success());
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    ACTIONS as f64 / start.elapsed().as_secs_f64()
}
