//! A batch decides as that many batches of one: what ends an event lets the actions behind it through.

use acteon_testkit::{ActionBuilder, RecordingSink};

use super::bench::{hook, record, sorted};
use super::{Bench, Provider};
use crate::PipelineOptions;

const RULES: &str = "
rules:
  - name: hidden
    priority: 1
    condition: { all: [{ field: action.action_type, eq: pod }, { call: has_active_event, args: [down, { cluster: action.metadata.cluster }] }] }
    action: { type: suppress }
  - name: late
    priority: 2
    condition: { all: [{ field: action.action_type, eq: late_pod }, { call: has_active_event, args: [down, { cluster: action.metadata.cluster }], grace_seconds: 60 }] }
    action: { type: suppress }
  - name: clusters
    priority: 3
    condition: { field: action.action_type, eq: down }
    action: { type: state_machine, state_machine: alert, fingerprint_fields: [metadata.alert] }
";

async fn bench(sink: &std::sync::Arc<RecordingSink>) -> Bench {
    let providers = [Provider::new("log", sink), Provider::new(&hook(), sink)];
    Bench::new(RULES, providers, PipelineOptions::default()).await
}

/// A report of this alert about the cluster `eu`.
fn down(id: &str, alert: &str, status: &str) -> ActionBuilder {
    let report = record(id).action_type("down").status(status);
    report.label("cluster", "eu").label("alert", alert)
}

fn pod(id: &str) -> ActionBuilder {
    record(id).action_type("pod").label("cluster", "eu")
}

#[tokio::test(start_paused = true)]
async fn an_event_that_ends_in_a_batch_lets_the_actions_behind_it_through() {
    let sink = RecordingSink::succeeding();
    let bench = bench(&sink).await;
    bench.finish([down("1", "a", "firing")]).await;
    bench.state.take_calls();
    let batch = [
        pod("2"),
        down("3", "a", "resolved"),
        pod("4"),
        pod("5").action_type("late_pod"),
        pod("6"),
    ];
    let ends = sorted(bench.finish(batch).await);
    let expected = [
        "2: suppressed",
        "3: state_changed",
        "4: executed",
        "5: suppressed",
        "6: executed",
    ];
    assert_eq!(ends, expected);
    assert_eq!(bench.state.take_calls().gather, 2);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_ends_in_a_batch_lets_nothing_through_while_another_is_active() {
    let sink = RecordingSink::succeeding();
    let bench = bench(&sink).await;
    let both = [down("1", "a", "firing"), down("2", "b", "firing")];
    bench.finish(both).await;
    let batch = [down("3", "a", "resolved"), pod("4"), pod("5")];
    let ends = sorted(bench.finish(batch).await);
    assert_eq!(ends, ["3: state_changed", "4: suppressed", "5: suppressed"]);
    let batch = [
        down("6", "c", "firing"),
        down("7", "b", "resolved"),
        pod("8"),
        down("9", "c", "resolved"),
        pod("x"),
    ];
    let ends = sorted(bench.finish(batch).await);
    let expected = [
        "6: state_changed",
        "7: state_changed",
        "8: suppressed",
        "9: state_changed",
        "x: executed",
    ];
    assert_eq!(ends, expected);
}
