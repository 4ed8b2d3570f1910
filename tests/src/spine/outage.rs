//! A provider is away while half of a topic's records are for it. The other half keeps its rate, and once the provider is
//! back each record has been delivered once. `make bench-outage` is the long form.

use std::collections::HashMap;
use std::time::Duration;

use acteon_services::{Kafka, eventually};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::action;
use crate::harness::{Producer, Receiver, Server};

const PARTITIONS: i32 = 6;
/// Records per second for each of the two providers: 20,000 in total while one is away.
const RATE: f64 = 667.0;
const OUTAGE: Duration = Duration::from_secs(15);
/// How long the healthy provider runs alone, at the same rate, for comparison.
const ALONE: Duration = Duration::from_secs(5);
/// Four times the longest wait of the schedule, including jitter and the breaker's recovery.
const BACK_WITHIN: Duration = Duration::from_secs(28);
const TIMEOUT: Duration = Duration::from_secs(60);
const WARM_UP: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(10);

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_does_not_slow_other_providers_and_everything_is_delivered_once_after_it() {
    let kafka = Kafka::shared().await;
    let well = Receiver::accepting().await;
    let mut away = Receiver::away();
    let producer = Producer::to_new_topic(kafka, PARTITIONS).await;
    let server = Server::start(&config(kafka, producer.topic(), &well, &away), &[]).await;
    let mut offer = Offer {
        producer: &producer,
        offered: HashMap::new(),
    };
    offer.steadily(&["well"], WARM_UP).await;
    let warm = offer.offered["well"];
    eventually(TIMEOUT, async || well.accepted(), |count| *count == warm).await;

    let alone = offer.while_measuring(&well, &["well"], ALONE).await;
    let both = ["well", "away"];
    let beside = offer.while_measuring(&well, &both, OUTAGE).await;
    let waiting = server.get("/v1/redeliveries?provider=away&limit=1").await;
    let waiting = &waiting.body["redeliveries"][0];
    assert_eq!(waiting["provider"], "away", "{waiting}");
    away.come_back();
    println!("{alone:.0}/s alone, {beside:.0}/s beside the one that is away");
    assert!(beside >= 0.95 * alone, "it fell to {:.2}", beside / alone);

    let wanted = offer.offered["away"];
    eventually(
        BACK_WITHIN,
        async || away.accepted(),
        |count| *count >= wanted,
    )
    .await;
    let group = format!("{}-group", producer.topic());
    for group in [format!("{group}.retry"), group] {
        let lag = async || kafka.lag(&group).await.unwrap_or(u64::MAX);
        eventually(TIMEOUT, lag, |lag| *lag == 0).await;
    }
    for (name, receiver) in [("well", &well), ("away", &away)] {
        let arrivals = receiver.keys_by("dedup_key");
        assert_eq!(arrivals.len(), offer.offered[name], "each came to `{name}`");
        assert!(arrivals.values().all(|keys| keys.len() == 1), "and once");
    }
    let counters = server.counters().await;
    assert_eq!(counters["dead_lettered"], 0, "{counters}");
}

/// Offers records to the topic and counts them by provider.
struct Offer<'a> {
    producer: &'a Producer,
    offered: HashMap<&'static str, usize>,
}

impl Offer<'_> {
    /// How many records per second `well` accepts while the topic receives records for these providers.
    async fn while_measuring(
        &mut self,
        well: &Receiver,
        providers: &[&'static str],
        lasting: Duration,
    ) -> f64 {
        let start = Instant::now();
        self.steadily(providers, lasting).await;
        well.accepted_since(start) as f64 / start.elapsed().as_secs_f64()
    }

    /// Sends [`RATE`] records per second for each provider, regardless of their outcome.
    async fn steadily(&mut self, providers: &[&'static str], lasting: Duration) {
        let start = Instant::now();
        let mut sent = 0;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let total = (RATE * lasting.as_secs_f64()) as u64;
        while sent < total {
            ticks.tick().await;
            let due = (RATE * start.elapsed().as_secs_f64()) as u64;
            while sent < due.min(total) {
                for provider in providers {
                    self.send(provider);
                }
                sent += 1;
            }
            self.producer.poll();
        }
    }

    fn send(&mut self, provider: &'static str) {
        let count = self.offered.entry(provider).or_default();
        let record = action(*count as u64, provider).to_string();
        self.producer.send(&count.to_string(), record.as_bytes());
        *count += 1;
    }
}

fn config(kafka: &Kafka, topic: &str, well: &Receiver, away: &Receiver) -> String {
    let webhook = |name, receiver: &Receiver| {
        let url = receiver.url();
        format!(
            "[[providers]]\nname = \"{name}\"\ntype = \"webhook\"\nurl = \"{url}\"\nallow_cidrs = [\"127.0.0.0/8\"]\n\n"
        )
    };
    let source = format!(
        "[[sources]]\nname = \"orders\"\ntype = \"kafka\"\nbrokers = \"{}\"\ntopics = [\"{topic}\"]\ngroup_id = \"{topic}-group\"\n\n",
        kafka.bootstrap()
    );
    let settings = "log.level = \"error\"\nredelivery.schedule_seconds = [1, 2, 4]\ncircuit_breaker.recovery_timeout_seconds = 2\n\n";
    format!(
        "{settings}{source}{}{}",
        webhook("well", well),
        webhook("away", away)
    )
}
