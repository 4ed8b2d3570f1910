//! Notices for two providers: each gets it, whatever happens at the other.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{Caller, Policy, Scope, Settled};
use acteon_testkit::{ActionBuilder, Answer, RecordingSink};
use tokio::time::sleep;

use super::bench::hook;
use super::events::{RULES, moving, report};
use super::{Bench, Provider};
use crate::PipelineOptions;

/// An acknowledged event, which returns to `firing` after 600 s. The notice of that goes to both providers.
async fn acknowledged(sink: &Arc<RecordingSink>, hooked: &Arc<RecordingSink>) -> Bench {
    let providers = [Provider::new("log", sink), Provider::new(&hook(), hooked)];
    let bench = Bench::new(RULES, providers, PipelineOptions::default()).await;
    bench.finish([report("1", "firing")]).await;
    bench.finish([report("2", "acknowledged")]).await;
    bench
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_refuses_a_notice_for_good_keeps_it_from_no_other_one() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = acknowledged(&sink, &hooked).await;
    sink.script([Answer::Permanent]);
    sleep(Duration::from_secs(700)).await;
    assert_eq!((sink.attempts().len(), hooked.attempts().len()), (2, 1));
    assert_eq!(bench.letters().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_notice_waits_for_the_provider_that_is_down_and_the_other_one_has_it_once() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = acknowledged(&sink, &hooked).await;
    sink.script(vec![Answer::Transient(None); 8]);
    sleep(Duration::from_secs(603)).await;
    assert_eq!(hooked.attempts().len(), 1, "it does not wait for the first");
    sleep(Duration::from_secs(600)).await;
    assert_eq!((sink.attempts().len(), hooked.attempts().len()), (10, 1));
    assert_eq!(bench.letters().await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_good_is_kept_while_the_other_provider_is_down() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = acknowledged(&sink, &hooked).await;
    sink.script(vec![Answer::Permanent; 3]);
    hooked.script(vec![Answer::Transient(None); 4]);
    sleep(Duration::from_secs(1200)).await;
    assert_eq!(hooked.attempts().len(), 5);
    assert_eq!(bench.letters().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_redelivered_report_leaves_out_the_provider_that_has_its_notice() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = acknowledged(&sink, &hooked).await;
    hooked.script(vec![Answer::Transient(None); 4]);
    bench.finish([report("3", "firing")]).await;
    let Some((_, Settled::Later { envelope, .. })) = bench.lender.take_ended().pop() else {
        panic!("it is not redelivered");
    };
    let history = *envelope.history.expect("it says who has accepted");
    let again = report("3", "firing").history(history);
    bench.submit([again]).await;
    bench.lender.wait_for_ended(4).await;
    assert_eq!(bench.lender.ends(), ["3: state_changed"]);
    assert_eq!((sink.attempts().len(), hooked.attempts().len()), (2, 5));
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_has_no_place_to_wait_becomes_a_dead_letter() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let providers = [Provider::new("log", &sink), Provider::new(&hook(), &hooked)];
    let bench = Bench::new(RULES, providers, PipelineOptions::default()).await;
    bench.finish([report("1", "firing").fingerprint("f")]).await;
    sink.script(vec![Answer::Transient(None); 1000]);
    let admin = bench.pipeline.event_admin();
    let everything = Scope::everything();
    for to in ["acknowledged", "firing"].repeat(10) {
        let asked = moving(to, None);
        let made = admin.transition(&everything, &asked, Caller::anonymous());
        made.await.unwrap();
        // Until the attempts have failed and the state has heard of it.
        sleep(Duration::from_secs(4)).await;
    }
    assert_eq!(bench.letters().await.len(), 2, "of ten notices, eight wait");
    assert_eq!(hooked.attempts().len(), 10);
}

/// The same report from a caller who waits for the answer.
fn asked(id: &str) -> ActionBuilder {
    report(id, "firing").id_made().policy(Policy::Answer)
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_sends_the_report_again_reaches_only_the_provider_that_failed() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = acknowledged(&sink, &hooked).await;
    hooked.script(vec![Answer::Transient(None); 4]);
    let ends = bench.finish([asked("3")]).await;
    assert_eq!(ends, ["3: failed"]);
    bench.finish([asked("4")]).await;
    assert_eq!((sink.attempts().len(), hooked.attempts().len()), (2, 5));
    bench.finish([asked("5")]).await;
    assert_eq!((sink.attempts().len(), hooked.attempts().len()), (2, 5));
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_provider_fails_has_reached_the_other_one_once() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = acknowledged(&sink, &hooked).await;
    sink.script(vec![Answer::Transient(None); 8]);
    for id in ["3", "4", "5"] {
        bench.finish([asked(id)]).await;
        assert_eq!(hooked.attempts().len(), 1, "{id}");
    }
    assert_eq!(sink.attempts().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn after_a_dead_letter_the_next_report_reaches_the_provider_that_refused() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = acknowledged(&sink, &hooked).await;
    sink.script([Answer::Permanent]);
    bench.finish([report("3", "firing")]).await;
    bench.finish([report("4", "firing")]).await;
    assert_eq!((sink.attempts().len(), hooked.attempts().len()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn all_attempts_of_a_notice_at_a_provider_have_one_idempotency_key() {
    let (sink, hooked) = (RecordingSink::succeeding(), RecordingSink::succeeding());
    let bench = acknowledged(&sink, &hooked).await;
    hooked.script(vec![Answer::Transient(None); 4]);
    sleep(Duration::from_secs(700)).await;
    let attempts = hooked.attempts();
    assert_eq!(attempts.len(), 5);
    let first = &attempts[0].idempotency_key;
    assert!(attempts.iter().all(|seen| seen.idempotency_key == *first));
    drop(bench);
}
