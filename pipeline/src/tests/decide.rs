//! Slow rules leave the thread to others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use acteon_testkit::RecordingSink;
use serde_json::json;
use tokio::task::{JoinSet, yield_now};

use super::Bench;
use super::bench::{name, record};

/// Takes as many steps as allowed: milliseconds per action.
const COSTLY: &str = "
rules:
  - { name: costly, on_error: skip, condition: { cel: 'action.payload.n.all(a, action.payload.n.all(b, a + b >= 0))' }, action: { type: deny } }
";

#[tokio::test]
async fn a_batch_under_costly_rules_lets_others_run() {
    let bench = Bench::with_rules(COSTLY, &RecordingSink::succeeding()).await;
    let numbers: Vec<u32> = (0..400).collect();
    let batch = (0..20).map(|n| record(&name(n)).payload(&json!({ "n": numbers })));
    let (turns, mut others) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    let counted = turns.clone();
    others.spawn(async move {
        loop {
            counted.fetch_add(1, Relaxed);
            yield_now().await;
        }
    });
    assert_eq!(bench.finish(batch).await.len(), 20);
    assert!(bench.pipeline.parts.rules.generation().is_slow());
    let turns = turns.load(Relaxed);
    assert!(turns >= 20, "another task had {turns} turns");
}
