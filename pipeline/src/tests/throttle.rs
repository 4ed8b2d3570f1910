//! At most a given number of deliveries per key and window.

use std::collections::BTreeMap;
use std::time::Duration;

use acteon_core::disposition::ThrottledPolicy;
use acteon_core::{ActionOutcome, Settled};
use acteon_testkit::{ActionBuilder, Answer, RecordingSink, action};
use tokio::time::{Instant, advance, sleep_until};

use super::bench::{broker, name, record};
use super::{Bench, Provider};
use crate::PipelineOptions;

const TWO_A_MINUTE: &str = "
rules:
  - name: calm
    condition: { all: [] }
    action: { type: throttle, max_count: 2, window_seconds: 60 }
";

#[tokio::test(start_paused = true)]
async fn the_third_in_the_window_is_told_when_it_would_pass() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(TWO_A_MINUTE, &sink).await;
    bench.finish([action("a"), action("b"), action("c")]).await;
    let ended = bench.lender.take_ended();
    let throttled = ended
        .iter()
        .find(|(name, _)| name == "c")
        .map(|(_, settled)| settled);
    let Some(Settled::Done(ActionOutcome::Throttled { retry_after })) = throttled else {
        panic!("{ended:?}");
    };
    advance(*retry_after).await;
    bench.submit([action("d")]).await;
    bench.lender.wait_for_ended(4).await;
    assert_eq!(bench.lender.ends(), ["d: executed"]);
}

#[tokio::test(start_paused = true)]
async fn a_broker_offers_a_throttled_action_again_and_no_record_is_made_of_that() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(TWO_A_MINUTE, &sink).await;
    let ends = bench.finish([record("a"), record("b"), record("c")]).await;
    assert!(ends.contains(&"c: later Throttled".to_owned()), "{ends:?}");
    assert_eq!(bench.trail.records().len(), 2);
    assert_eq!(bench.counters.snapshot().dispatched, 2);
}

#[tokio::test(start_paused = true)]
async fn a_source_may_drop_or_bury_what_is_throttled() {
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(TWO_A_MINUTE, &sink).await;
    bench.finish([record("a"), record("b")]).await;
    let drop = record("c").policy(broker(ThrottledPolicy::Drop));
    assert_eq!(bench.finish([drop]).await, ["c: throttled"]);
    let dead_letter = record("d").policy(broker(ThrottledPolicy::DeadLetter));
    assert_eq!(
        bench.finish([dead_letter]).await,
        ["d: dead_lettered THROTTLED"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_fails_for_good_gives_its_place_back() {
    let sink = RecordingSink::succeeding();
    sink.script([Answer::Permanent]);
    let bench = Bench::with_rules(TWO_A_MINUTE, &sink).await;
    assert_eq!(bench.finish([action("a")]).await, ["a: failed"]);
    let ends = bench.finish([action("b"), action("c")]).await;
    assert_eq!(ends, ["b: executed", "c: executed"]);
}

#[tokio::test(start_paused = true)]
async fn what_exceeds_the_limit_may_go_to_another_provider() {
    let rules = "
rules:
  - name: calm
    condition: { all: [] }
    action: { type: throttle, max_count: 1, window_seconds: 60, on_exceeded: reroute, target_provider: spare }
";
    let (sink, spare) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let providers = [Provider::new("log", &sink), Provider::new("spare", &spare)];
    let bench = Bench::new(rules, providers, PipelineOptions::default()).await;
    let ends = bench.finish([action("a"), action("b")]).await;
    assert_eq!(ends, ["a: executed", "b: rerouted"]);
    assert_eq!(spare.attempted_ids(), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_window_does_not_keep_the_dedup_key() {
    let rules = "
rules:
  - { name: once, continue: true, condition: { all: [] }, action: { type: deduplicate } }
  - { name: calm, condition: { all: [] }, action: { type: throttle, max_count: 1, window_seconds: 60 } }
";
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(rules, &sink).await;
    bench
        .finish([action("a").dedup_key("x"), action("b").dedup_key("y")])
        .await;
    advance(Duration::from_secs(61)).await;
    assert_eq!(
        bench.finish([action("c").dedup_key("y")]).await,
        ["c: executed"]
    );
}

/// Actions that a source keeps until they are due, like its delayed path: soonest first, each slightly late.
#[derive(Default)]
struct Delayed {
    waiting: BTreeMap<(Instant, usize), ActionBuilder>,
    copies: usize,
}

impl Delayed {
    fn keep(&mut self, id: &str, after: Duration) {
        let lateness = Duration::from_millis(7 * (self.copies as u64 % 15));
        let due = Instant::now() + after + lateness;
        self.waiting.insert((due, self.copies), record(id));
        self.copies += 1;
    }

    async fn next(&mut self) -> Option<ActionBuilder> {
        let ((due, _), action) = self.waiting.pop_first()?;
        sleep_until(due).await;
        Some(action)
    }
}

#[tokio::test(start_paused = true)]
async fn a_backlog_of_600_waits_600_times_and_not_600_squared() {
    const BACKLOG: usize = 600;
    let rules = "
rules:
  - { name: calm, condition: { all: [] }, action: { type: throttle, max_count: 5, window_seconds: 1 } }
";
    let sink = RecordingSink::succeeding();
    let bench = Bench::with_rules(rules, &sink).await;
    let (mut delayed, began) = (Delayed::default(), Instant::now());
    let mut ended = BACKLOG;
    bench.submit((0..BACKLOG).map(|n| record(&name(n)))).await;
    bench.lender.wait_for_ended(ended).await;
    loop {
        for (id, settled) in bench.lender.take_ended() {
            if let Settled::Later { after, .. } = settled {
                delayed.keep(&id, after);
            }
        }
        let Some(action) = delayed.next().await else {
            break;
        };
        ended += 1;
        bench.submit([action]).await;
        bench.lender.wait_for_ended(ended).await;
    }
    assert_eq!(sink.attempted_ids().len(), BACKLOG);
    let copies = delayed.copies;
    assert!(copies < BACKLOG * 11 / 10, "{copies} copies");
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(135),
        "{took:?} in place of 120 s"
    );
}
