use std::time::Duration;

use acteon_core::{ActionOutcome, Attempt, Feed, Intake, Refusal, Sink};

use crate::{Answer, End, FakeIntake, Lender, RecordingSink, action};

#[tokio::test]
async fn an_intake_ends_each_delivery_as_the_test_says() {
    let lender = Lender::new();
    let intake = FakeIntake::settling(|envelope| match envelope.action.id.as_str() {
        "a" => End::Done(ActionOutcome::Deduplicated(())),
        "b" => End::DeadLetter,
        "c" => End::Retry(Duration::from_secs(1), Refusal::Busy),
        _ => End::Hold,
    });
    let batch = ["a", "b", "c", "d"].map(|id| action(id).lent_by(&lender));
    intake.submit(batch.into(), &Feed::default()).await;
    intake
        .dead_letter(vec![lender.lend_poison("p", b"{")])
        .await;
    assert_eq!(lender.on_loan(), 1);
    drop(intake.take_held());
    let expected = [
        "a: deduplicated",
        "b: dead_lettered EXECUTION_FAILED",
        "c: retry Busy",
        "p: dead_lettered INVALID_ACTION",
        "d: retry Abandoned",
    ];
    assert_eq!(lender.ends(), expected);
    assert_eq!(intake.submitted_ids(), ["a", "b", "c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_follows_its_script_and_then_its_closure() {
    let sink = RecordingSink::succeeding();
    let hour = Duration::from_secs(3600);
    sink.script([
        Answer::Transient(Some(hour)),
        Answer::Permanent,
        Answer::SucceedAfter(hour),
    ]);
    let action = action("a").build();
    let mut answers = Vec::new();
    for number in 1..=4 {
        let attempt = Attempt {
            action: &action,
            idempotency_key: "a",
            number,
            progress: None,
        };
        answers.push(
            sink.deliver(attempt)
                .await
                .map(|_| ())
                .map_err(|e| e.is_retryable()),
        );
    }
    assert_eq!(answers, [Err(true), Err(false), Ok(()), Ok(())]);
    let attempts = sink.attempts();
    assert_eq!(attempts[3].at - attempts[2].at, hour);
    assert_eq!((sink.in_flight(), sink.in_flight_max()), (0, 1));
}

/// The names of the clauses defined in these files.
fn clauses(sources: &[&str]) -> Vec<String> {
    let lines = sources.iter().flat_map(|source| source.lines());
    let named = lines.filter_map(|line| {
        let rest = line
            .strip_prefix("pub async fn ")
            .or_else(|| line.strip_prefix("pub fn "))?;
        Some(rest.split(['<', '(']).next()?.to_owned())
    });
    let mut names: Vec<_> = named.collect();
    names.sort();
    names
}

/// The names of the clauses that the macro in this file runs.
fn listed(source: &str) -> Vec<String> {
    let lists = source
        .split(", [")
        .skip(1)
        .filter_map(|rest| rest.split(']').next());
    let mut names: Vec<_> = lists
        .flat_map(str::split_whitespace)
        .map(|name| name.trim().to_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn every_clause_of_the_state_contract_is_run() {
    let sources = [
        include_str!("contract/state/leases.rs"),
        include_str!("contract/state/claims.rs"),
        include_str!("contract/state/quotas.rs"),
        include_str!("contract/state/letters.rs"),
        include_str!("contract/state/letter_bounds.rs"),
        include_str!("contract/state/remembered.rs"),
        include_str!("contract/state/toggles.rs"),
        include_str!("contract/state/interleavings.rs"),
        include_str!("contract/state/throttle.rs"),
        include_str!("contract/state/tallies.rs"),
        include_str!("contract/state/events.rs"),
        include_str!("contract/state/event_writes.rs"),
        include_str!("contract/state/event_listing.rs"),
        include_str!("contract/state/timers.rs"),
        include_str!("contract/state/faults.rs"),
        include_str!("contract/state/limits.rs"),
        include_str!("contract/state/groups.rs"),
        include_str!("contract/state/flushes.rs"),
        include_str!("contract/state/group_model.rs"),
        include_str!("contract/state/group_views.rs"),
        include_str!("contract/state/silences.rs"),
        include_str!("contract/state/silence_listing.rs"),
    ];
    assert_eq!(listed(include_str!("contract/state.rs")), clauses(&sources));
}

#[test]
fn every_clause_of_the_audit_contract_is_run() {
    let sources = [
        include_str!("contract/audit/records.rs"),
        include_str!("contract/audit/listing.rs"),
    ];
    assert_eq!(listed(include_str!("contract/audit.rs")), clauses(&sources));
}
