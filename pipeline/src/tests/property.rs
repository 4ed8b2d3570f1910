//! Whatever sinks and state do, each loan ends once, nothing is lost, and the sums hold.

use std::collections::HashSet;
use std::time::Duration;

use acteon_testkit::{Answer, Reach, RecordingSink};
use proptest::prelude::*;
use tokio::time::advance;

use super::bench::record;
use super::{Bench, Provider};
use crate::PipelineOptions;

const ONCE: &str = "rules: [{ name: once, condition: { all: [] }, action: { type: deduplicate, ttl_seconds: 86400 } }]";

#[derive(Clone, Debug)]
enum Step {
    /// Submits a batch of actions with these keys.
    Offer(Vec<u8>),
    /// Makes the state unreachable or reachable.
    State(Reach),
    Pass(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop::collection::vec(0u8..20, 1..12).prop_map(Step::Offer),
        1 => prop_oneof![Just(Reach::Whole), Just(Reach::CutOff)].prop_map(Step::State),
        2 => (1u16..3000).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..25)
}

fn answers() -> impl Strategy<Value = Vec<Answer>> {
    let answer = prop_oneof![
        4 => Just(Answer::Succeed),
        2 => (1u64..2000).prop_map(|ms| Answer::SucceedAfter(Duration::from_millis(ms))),
        2 => Just(Answer::Transient(None)),
        1 => Just(Answer::Permanent),
    ];
    prop::collection::vec(answer, 0..80)
}

/// Plays the steps and resubmits everything that returns, until every key is delivered or dead-lettered.
async fn play(steps: Vec<Step>, answers: Vec<Answer>) {
    let sink = RecordingSink::succeeding();
    sink.script(answers);
    let narrow = Provider::new("log", &sink).bounds(4, 6);
    let bench = Bench::new(ONCE, [narrow], PipelineOptions::default()).await;
    let cut_off = steps.iter().any(|step| matches!(step, Step::State(_)));
    let mut offered = 0;
    let mut keys = HashSet::new();
    for step in steps {
        match step {
            Step::Offer(batch) => {
                let actions: Vec<_> = batch
                    .into_iter()
                    .map(|key| {
                        offered += 1;
                        keys.insert(key);
                        record(&format!("{offered}")).dedup_key(&format!("k{key}"))
                    })
                    .collect();
                bench.submit(actions).await;
            }
            Step::State(reach) => bench.state.set_reach(reach),
            Step::Pass(ms) => advance(Duration::from_millis(ms.into())).await,
        }
    }
    bench.state.set_reach(Reach::Whole);
    bench.lender.wait_for_ended(offered).await;
    assert_eq!(bench.lender.on_loan(), 0);
    assert_eq!(bench.lender.ended_count(), offered, "each loan ended once");

    // A source would resubmit everything that returned. With the state reachable, each key is then certainly delivered
    // once.
    let last: Vec<_> = keys
        .iter()
        .map(|key| record(&format!("last{key}")).dedup_key(&format!("k{key}")))
        .collect();
    for action in last {
        let mut ends = bench.finish([action.clone()]).await;
        while ends[0].contains("retry") {
            ends = bench.finish([action.clone()]).await;
        }
    }
    let counters = bench.counters.snapshot();
    assert!(
        cut_off || counters.executed <= keys.len() as u64,
        "a key was delivered twice"
    );
    let settled = counters.executed + counters.deduplicated + counters.failed;
    assert_eq!(counters.dispatched, settled, "the sum holds");
    assert_eq!(
        bench.trail.records().len() as u64,
        settled,
        "and so do the records"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn each_loan_ends_once_and_the_sums_hold(steps in steps(), answers in answers()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(play(steps, answers));
    }
}
