//! Whatever sinks, state and processes do, each member is in exactly one summary, and a repeated summary has the same
//! key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use acteon_backends_memory::MemoryState;
use acteon_testkit::{ActionBuilder, Answer, Reach, RecordingSink};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::advance;

use super::bench::{empty_state, record};
use super::{Bench, Provider};
use crate::PipelineOptions;

const RULES: &str = "
rules:
  - name: g
    condition: { all: [] }
    action: { type: group, group_by: [payload.group], group_wait_seconds: 30, group_interval_seconds: 60, max_group_size: 4 }";

#[derive(Clone, Debug)]
enum Step {
    /// Submits members of groups.
    Offer(Vec<(u8, u8)>),
    /// Cuts the state off, loses its answers, or makes it reachable.
    State(Reach),
    /// The process dies, and another one begins over the same state.
    Crash,
    /// Half seconds.
    Pass(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let reach = prop_oneof![
        2 => Just(Reach::Whole),
        1 => Just(Reach::CutOff),
        1 => Just(Reach::AnswersLost),
    ];
    let members = prop::collection::vec((0u8..3, 0u8..40), 1..8);
    let step = prop_oneof![
        4 => members.prop_map(Step::Offer),
        2 => reach.prop_map(Step::State),
        1 => Just(Step::Crash),
        4 => (1u16..90).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 1..25)
}

fn answers() -> impl Strategy<Value = Vec<Answer>> {
    let answer = prop_oneof![
        3 => Just(Answer::Succeed),
        2 => (1u64..40_000).prop_map(|ms| Answer::SucceedAfter(Duration::from_millis(ms))),
        2 => Just(Answer::Transient(None)),
        1 => Just(Answer::TooLarge),
    ];
    prop::collection::vec(answer, 0..30)
}

fn member(group: u8, number: u8) -> ActionBuilder {
    record(&format!("{group}-{number}")).payload(&json!({"group": group, "number": number}))
}

async fn bench(state: &Arc<MemoryState>, sink: &Arc<RecordingSink>) -> Bench {
    let providers = [Provider::new("log", sink)];
    Bench::over(state.clone(), RULES, providers, PipelineOptions::default()).await
}

async fn pass(halves: u16) {
    for _ in 0..halves {
        advance(Duration::from_millis(500)).await;
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
}

async fn play(steps: Vec<Step>, answers: Vec<Answer>) {
    let state = empty_state();
    let sink = RecordingSink::succeeding();
    sink.script(answers);
    let mut running = bench(&state, &sink).await;
    let mut offered = BTreeSet::new();
    for step in steps {
        match step {
            Step::Offer(members) => {
                offered.extend(members.iter().copied());
                let actions = members
                    .iter()
                    .map(|(group, number)| member(*group, *number));
                running.submit(actions.collect::<Vec<_>>()).await;
            }
            Step::State(reach) => running.state.set_reach(reach),
            Step::Crash => {
                running.close().await;
                running = bench(&state, &sink).await;
            }
            Step::Pass(halves) => pass(halves).await,
        }
    }
    running.state.set_reach(Reach::Whole);
    // A source submits again what returned to it, and what it never saw the end of.
    for (group, number) in &offered {
        let ends = running.finish([member(*group, *number)]).await;
        assert!(ends[0].ends_with("grouped"), "{ends:?}");
    }

    pass(2 * 1200).await;
    check(&sink, &offered);
    running.close().await;
}

/// The last summary of each key is the one that was delivered.
fn check(sink: &RecordingSink, offered: &BTreeSet<(u8, u8)>) {
    let mut summaries: BTreeMap<String, BTreeSet<(u8, u8)>> = BTreeMap::new();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for seen in sink.attempts() {
        let payload: Value = seen.action.payload.parse().unwrap();
        let key = seen.idempotency_key.to_string();
        assert_eq!(payload["group_id"], json!(key));
        let events = payload["events"].as_array().unwrap().iter();
        let number =
            |event: &Value, name: &str| u8::try_from(event[name].as_u64().unwrap()).unwrap();
        let events = events.map(|event| (number(event, "group"), number(event, "number")));
        summaries.entry(key.clone()).or_default().extend(events);
        let count = payload["event_count"].as_u64().unwrap();
        let before = counts.entry(key).or_insert(count);
        assert_eq!(
            *before, count,
            "a repeated summary tells of the same members"
        );
    }
    let listed: Vec<_> = summaries.values().flatten().copied().collect();
    let distinct: BTreeSet<_> = listed.iter().copied().collect();
    assert_eq!(listed.len(), distinct.len(), "a member is in two summaries");
    assert!(distinct.is_subset(offered));
    let counted: u64 = counts.values().sum();
    assert_eq!(counted, offered.len() as u64, "each member is counted once");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn each_member_is_in_exactly_one_summary(steps in steps(), answers in answers()) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(play(steps, answers));
    }
}
