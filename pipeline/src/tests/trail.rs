//! The trail before its backend: who waits for a record, and the end when the backend does not answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use acteon_backends_memory::MemoryAudit;
use acteon_core::{Audit, Clock, Scope, Trail};
use acteon_testkit::{SilentAudit, audit_record, epoch};
use futures_util::{FutureExt, poll};
use tokio_util::sync::CancellationToken;

use crate::{AuditTrail, TrailDelivery, TrailOptions};

fn trail(delivery: TrailDelivery, buffer_records: u32) -> Arc<AuditTrail> {
    trail_to(Arc::new(SilentAudit), delivery, buffer_records)
}

fn trail_to(
    audit: Arc<dyn Audit>,
    delivery: TrailDelivery,
    buffer_records: u32,
) -> Arc<AuditTrail> {
    let options = TrailOptions {
        delivery,
        buffer_records,
        ttl: None,
        cleanup_interval: Duration::from_secs(3600),
    };
    let clock = Clock::starting_at(epoch());
    AuditTrail::new(audit, options, clock)
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_never_answers_does_not_keep_the_process_from_ending() {
    let trail = trail(TrailDelivery::Buffered, 10);
    let (closing, abandon) = (CancellationToken::new(), CancellationToken::new());
    let mut running = pin!(trail.clone().run(closing.clone(), abandon.clone()));
    assert!(poll!(running.as_mut()).is_pending());
    let records = (0..3).map(audit_record).collect();
    trail.record(records).await.unwrap();
    assert!(poll!(running.as_mut()).is_pending());
    closing.cancel();
    assert!(
        poll!(running.as_mut()).is_pending(),
        "it writes what it has"
    );
    assert_eq!(trail.lost(), 0);
    abandon.cancel();
    assert!(running.now_or_never().is_some());
    assert_eq!(trail.lost(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_in_the_trail_hears_that_there_will_be_none() {
    let trail = trail(TrailDelivery::Buffered, 2);
    let abandon = CancellationToken::new();
    let mut running = pin!(trail.clone().run(CancellationToken::new(), abandon.clone()));
    let mut waiting = pin!(trail.record((0..5).map(audit_record).collect()));
    assert!(
        poll!(waiting.as_mut()).is_pending(),
        "there is room for two"
    );
    assert!(poll!(running.as_mut()).is_pending());
    abandon.cancel();
    assert!(running.now_or_never().is_some());
    assert!(waiting.now_or_never().unwrap().is_ok());
    assert_eq!(trail.lost(), 5, "each is counted once");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_record_to_be_durable_hears_that_it_is_not() {
    let trail = trail(TrailDelivery::Confirmed, 10);
    let abandon = CancellationToken::new();
    let mut running = pin!(trail.clone().run(CancellationToken::new(), abandon.clone()));
    let mut waiting = pin!(trail.record(vec![audit_record(0)]));
    assert!(poll!(waiting.as_mut()).is_pending());
    assert!(poll!(running.as_mut()).is_pending());
    abandon.cancel();
    assert!(running.now_or_never().is_some());
    assert!(waiting.now_or_never().unwrap().is_err());
    assert_eq!(trail.lost(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_record_of_an_action_hears_when_it_can_be_read_and_of_no_other() {
    let audit = Arc::new(MemoryAudit::default());
    let trail = trail_to(audit.clone(), TrailDelivery::Buffered, 10);
    let [third, fifth] = [3, 5].map(|number| audit_record(number).subject.action_id);
    let (first_wait, second_wait) = (
        trail.written().wait_for(&third),
        trail.written().wait_for(&third),
    );
    let other_wait = trail.written().wait_for(&fifth);
    let running = trail
        .clone()
        .run(CancellationToken::new(), CancellationToken::new());
    let mut running = pin!(running);
    let records = (0..5).map(audit_record).collect();
    trail.record(records).await.unwrap();
    assert!(first_wait.written().now_or_never().is_none());
    assert!(poll!(running.as_mut()).is_pending());
    assert!(first_wait.written().now_or_never().is_some());
    assert!(second_wait.written().now_or_never().is_some());
    assert!(other_wait.written().now_or_never().is_none());
    let found = audit.newest_of(&Scope::everything(), &third).await.unwrap();
    assert!(found.is_some());
}
