//! A notice is held under a lease while it is delivered: renewed by its node, and taken over when that node dies.

use std::sync::Arc;
use std::time::Duration;

use acteon_backends_memory::MemoryState;
use acteon_core::Scope;
use acteon_core::state::{EventFilter, EventQuery, Events};
use acteon_testkit::{Answer, RecordingSink};
use tokio::time::sleep;

use super::bench::{empty_state, hook};
use super::events::{RULES, report};
use super::{Bench, Provider};
use crate::PipelineOptions;
use crate::event_body::EventBody;

const LEASE: Duration = Duration::from_secs(5);
/// The timeout of the state `acknowledged`.
const TIMEOUT: Duration = Duration::from_secs(600);

/// A node over this state.
async fn node(
    state: &Arc<MemoryState>,
    sink: &Arc<RecordingSink>,
    hooked: &Arc<RecordingSink>,
) -> Bench {
    let providers = [Provider::new("log", sink), Provider::new(&hook(), hooked)];
    let providers = providers.map(|provider| provider.timeout(Duration::from_secs(3600)));
    let options = PipelineOptions {
        lease: LEASE,
        ..PipelineOptions::default()
    };
    Bench::over(state.clone(), RULES, providers, options).await
}

/// The number of notices that the only event keeps.
async fn unsent(state: &MemoryState) -> usize {
    let query = EventQuery {
        scope: Scope::everything(),
        filter: EventFilter::default(),
        after: None,
        limit: 2,
    };
    let events = state.events(&query).await.unwrap().events;
    assert_eq!(events.len(), 1);
    EventBody::of(&events[0]).unsent.len()
}

#[tokio::test(start_paused = true)]
async fn a_notice_whose_sink_takes_three_leases_is_delivered_once() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let state = empty_state();
    let one = node(&state, &sink, &hooked).await;
    one.finish([report("1", "firing")]).await;
    one.finish([report("2", "acknowledged")]).await;
    let _other = node(&state, &sink, &hooked).await;
    sink.script([Answer::SucceedAfter(3 * LEASE)]);
    sleep(TIMEOUT + 2 * LEASE).await;
    assert_eq!((sink.attempts().len(), hooked.attempts().len()), (2, 0));
    assert_eq!(unsent(&state).await, 1);
    sleep(2 * LEASE).await;
    assert_eq!((sink.attempts().len(), hooked.attempts().len()), (2, 1));
    assert_eq!(unsent(&state).await, 0);
    sleep(10 * LEASE).await;
    assert_eq!((sink.attempts().len(), hooked.attempts().len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_notice_of_a_node_that_dies_is_taken_over_with_the_same_key() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let state = empty_state();
    let one = node(&state, &sink, &hooked).await;
    one.finish([report("1", "firing")]).await;
    one.finish([report("2", "acknowledged")]).await;
    sink.script([Answer::SucceedAfter(100 * LEASE)]);
    sleep(TIMEOUT + LEASE).await;
    assert_eq!(sink.attempts().len(), 2);
    let _other = node(&state, &sink, &hooked).await;
    drop(one);
    sleep(LEASE / 2).await;
    assert_eq!(sink.attempts().len(), 2, "the lease has not ended");
    sleep(2 * LEASE).await;
    let attempts = sink.attempts();
    assert_eq!((attempts.len(), hooked.attempts().len()), (3, 1));
    assert_eq!(attempts[1].idempotency_key, attempts[2].idempotency_key);
    assert_eq!(unsent(&state).await, 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_notice_is_written_once_the_state_is_back() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let state = empty_state();
    let one = node(&state, &sink, &hooked).await;
    one.finish([report("1", "firing")]).await;
    one.finish([report("2", "acknowledged")]).await;
    sink.script([Answer::SucceedAfter(LEASE / 2)]);
    sleep(TIMEOUT + LEASE / 4).await;
    one.state.set_reach(acteon_testkit::Reach::CutOff);
    sleep(LEASE / 2).await;
    one.state.set_reach(acteon_testkit::Reach::Whole);
    sleep(LEASE).await;
    assert_eq!((sink.attempts().len(), hooked.attempts().len()), (2, 1));
    assert_eq!(unsent(&state).await, 0);
}
