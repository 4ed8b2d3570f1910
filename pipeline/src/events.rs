//! The log lines and metrics of the pipeline. A line and its counter are one function.

use std::time::Duration;

use acteon_core::audit::AuditError;
use acteon_core::state::GroupEnd;
use acteon_core::{DeadLetter, DeadLetterKind, Envelope, FailureCode, Policy, Refusal, StateError};
use acteon_groups::{GroupEncodingError, TemplateError};
use compact_str::CompactString;
use hashbrown::HashMap;
use jiff::{SignedDuration, Timestamp};
use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};

use crate::dead_letters::{CIRCUIT_OPEN, THROTTLED, UNDELIVERED};

const ACTION_DURATION: &str = "acteon_action_duration_seconds";
const DEAD_LETTERS: &str = "acteon_dead_letters_total";
const RETURNED: &str = "acteon_returned_total";
const FLUSHES: &str = "acteon_group_flushes_total";
const FLUSH_DELAY: &str = "acteon_group_flush_delay_seconds";
const STATE_FULL: &str = "acteon_state_full_total";
const SILENCES: &str = "acteon_silences";
const STATE_ERRORS: &str = "acteon_state_errors_total";
const AUDIT_ERRORS: &str = "acteon_audit_errors_total";

/// The metrics of ended and returned actions, registered once.
pub(crate) struct EndMetrics {
    /// Indexed by reason.
    returned: [Counter; Refusal::ALL.len()],
    state_full: Counter,
    of_callers: Histogram,
    of_replays: Histogram,
    of_sources: HashMap<CompactString, Histogram>,
}

impl EndMetrics {
    /// Registers the metrics, so the recorder must be installed first.
    pub(crate) fn new(sources: &[CompactString]) -> Self {
        describe();
        begin();
        let of = |source: String| histogram!(ACTION_DURATION, "source" => source);
        let of_source = |name: &CompactString| (name.clone(), of(name.to_string()));
        Self {
            returned: Refusal::ALL.map(|why| counter!(RETURNED, "reason" => why.as_str())),
            state_full: counter!(STATE_FULL),
            of_callers: of("http".to_owned()),
            of_replays: of("replay".to_owned()),
            of_sources: sources.iter().map(of_source).collect(),
        }
    }

    /// The state had no room for a reservation.
    pub(crate) fn state_full(&self) {
        self.state_full.increment(1);
        tracing::debug!("the state backend is full");
    }

    pub(crate) fn returned(&self, refusal: Refusal) {
        self.returned[refusal as usize].increment(1);
    }

    /// Records the durations of ended actions. Neighbours received at the same time are recorded in one step.
    pub(crate) fn settled<'a>(&self, ended: impl Iterator<Item = &'a Envelope>, now: Timestamp) {
        let mut last: Option<(&Envelope, usize)> = None;
        for envelope in ended {
            match &mut last {
                Some((first, count)) if are_together(first, envelope) => *count += 1,
                _ => self.took(last.replace((envelope, 1)), now),
            }
        }
        self.took(last, now);
    }

    fn took(&self, received: Option<(&Envelope, usize)>, now: Timestamp) {
        let Some((envelope, count)) = received else {
            return;
        };
        let took = now.duration_since(envelope.received_at);
        // A clock that was set back gives a negative duration.
        let took = Duration::try_from(took).unwrap_or_default();
        if let Some(durations) = self.durations(envelope) {
            durations.record_many(took, count);
        }
    }

    fn durations(&self, envelope: &Envelope) -> Option<&Histogram> {
        match envelope.policy {
            Policy::Answer => Some(&self.of_callers),
            Policy::Replay => Some(&self.of_replays),
            Policy::Broker { .. } => self.of_sources.get(envelope.caller.id.as_deref()?),
        }
    }
}

fn are_together(one: &Envelope, other: &Envelope) -> bool {
    one.received_at == other.received_at
        && one.policy == other.policy
        && one.caller.id.as_ref().map(|id| id.as_ptr())
            == other.caller.id.as_ref().map(|id| id.as_ptr())
}

#[rustfmt::skip]
fn describe() {
    describe_histogram!(ACTION_DURATION, "The time from the receipt of an action to its end, by its source.");
    describe_counter!(RETURNED, "Actions returned to their source without an outcome, to be submitted again soon.");
    describe_counter!(DEAD_LETTERS, "Dead letters, by kind and code.");
    describe_counter!(STATE_ERRORS, "Failed calls of the state backend.");
    describe_counter!(AUDIT_ERRORS, "Failed calls of the audit backend.");
    describe_counter!(FLUSHES, "Attempts to flush a group, by their result.");
    describe_gauge!(SILENCES, "Silences that have not ended, or whose events are not announced yet.");
    describe_histogram!(FLUSH_DELAY, "How long after its due time the flush of a group began.");
    describe_counter!("acteon_flushes_lost_total", "Groups whose lease expired before their flush ended.");
    describe_counter!("acteon_notices_lost_total", "Notices whose lease expired before their delivery ended.");
    describe_counter!("acteon_template_errors_total", "Summaries sent with the default payload because their template failed.");
    describe_counter!("acteon_task_panics_total", "Tasks of the pipeline that panicked and were restarted.");
    describe_counter!("acteon_dead_letters_refused_total", "Dead letters for which there was no room: their sources wait.");
    describe_counter!("acteon_leases_lost_total", "Ids or keys whose lease expired before their delivery ended.");
    describe_counter!(STATE_FULL, "Reservations refused because the state backend is at its bound.");
    describe_counter!("acteon_unconfirmed_total", "Deliveries that the state backend could not confirm.");
    describe_counter!("acteon_audit_records_lost_total", "Audit records lost at the end of the process.");
}

/// Registers the series whose labels are known, at zero.
fn begin() {
    for code in FailureCode::ALL
        .map(FailureCode::as_str)
        .into_iter()
        .chain([CIRCUIT_OPEN, THROTTLED, UNDELIVERED])
    {
        let kind = DeadLetterKind::Exhausted.as_str();
        counter!(DEAD_LETTERS, "kind" => kind, "code" => code).increment(0);
    }
    let kind = DeadLetterKind::Poison.as_str();
    counter!(DEAD_LETTERS, "kind" => kind, "code" => "INVALID_ACTION").increment(0);
    for result in ["notified", "failed", "released"] {
        counter!(FLUSHES, "result" => result).increment(0);
    }
    for call in [
        "gather",
        "reserve",
        "settle",
        "renew",
        "rule_toggles",
        "due_work",
        "silences",
        "events",
    ] {
        counter!(STATE_ERRORS, "call" => call).increment(0);
    }
    for call in ["append", "purge"] {
        counter!(AUDIT_ERRORS, "call" => call).increment(0);
    }
    for task in ["holds", "dedup", "dead_letters", "scheduler"] {
        counter!("acteon_task_panics_total", "task" => task).increment(0);
    }
    counter!("acteon_dead_letters_refused_total").increment(0);
    counter!("acteon_leases_lost_total").increment(0);
    counter!("acteon_flushes_lost_total").increment(0);
    counter!("acteon_notices_lost_total").increment(0);
    counter!("acteon_template_errors_total").increment(0);
    counter!("acteon_unconfirmed_total").increment(0);
    counter!("acteon_audit_records_lost_total").increment(0);
}

pub(crate) fn task_panicked(task: &str) {
    counter!("acteon_task_panics_total", "task" => task.to_owned()).increment(1);
    tracing::error!(task, "a task panicked and is restarted");
}

pub(crate) fn dead_letters_full(count: usize) {
    if count > 0 {
        counter!("acteon_dead_letters_refused_total").increment(count as u64);
        tracing::warn!(
            count,
            "there is no room for dead letters: their sources wait"
        );
    }
}

pub(crate) fn leases_lost(count: usize) {
    if count > 0 {
        counter!("acteon_leases_lost_total").increment(count as u64);
        tracing::warn!(count, "leases expired before they were settled");
    }
}

pub(crate) fn renewal_failed(error: &StateError) {
    counter!(STATE_ERRORS, "call" => "renew").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "leases could not be renewed"
    );
}

pub(crate) fn state_unavailable(error: &StateError, actions: usize) {
    counter!(STATE_ERRORS, "call" => "reserve").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        actions,
        "actions could not be reserved"
    );
}

pub(crate) fn not_gathered(error: &StateError, actions: usize) {
    counter!(STATE_ERRORS, "call" => "gather").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        actions,
        "the state that rules read could not be gathered"
    );
}

pub(crate) fn settling_failed(error: &StateError, actions: usize) {
    counter!(STATE_ERRORS, "call" => "settle").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        actions,
        "actions could not be settled"
    );
}

pub(crate) fn unconfirmed(error: &StateError, delivered: usize, unstored: usize) {
    counter!("acteon_unconfirmed_total").increment(delivered as u64);
    tracing::error!(
        error = error as &dyn std::error::Error,
        delivered,
        unstored,
        "settling was given up: keys expire with their leases, dead letters are retried"
    );
}

pub(crate) fn left_to_expire(error: &StateError, leases: usize) {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        leases,
        "leases could not be released and will expire"
    );
}

/// An action or message became a dead letter.
pub(crate) fn dead_lettered(letter: &DeadLetter) {
    let kind = letter.kind().as_str();
    let code = letter.code.as_str();
    let action = letter.action.as_ref();
    counter!(DEAD_LETTERS, "kind" => kind, "code" => code.to_owned()).increment(1);
    tracing::warn!(
        id = letter.id.as_str(),
        kind,
        action_id = action.map_or("", |action| &action.id),
        provider = action.map_or("", |action| &action.provider),
        code,
        reason = letter.message.as_str(),
        attempts = letter.attempts,
        source = letter.source.as_str(),
        "a dead letter"
    );
}

pub(crate) fn records_lost(records: usize) {
    if records > 0 {
        counter!("acteon_audit_records_lost_total").increment(records as u64);
        tracing::error!(records, "audit records were lost at the end of the process");
    }
}

pub(crate) fn audit_unavailable(error: &AuditError, records: usize) {
    counter!(AUDIT_ERRORS, "call" => "append").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        records,
        "audit records could not be written and are retried"
    );
}

pub(crate) fn purge_failed(error: &AuditError) {
    counter!(AUDIT_ERRORS, "call" => "purge").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "expired audit records could not be deleted"
    );
}

pub(crate) fn due_work_failed(error: &StateError) {
    counter!(STATE_ERRORS, "call" => "due_work").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "what is due could not be taken or finished"
    );
}

/// A flush begins this long after the group was due.
pub(crate) fn flush_began(late: SignedDuration) {
    histogram!(FLUSH_DELAY).record(late.as_secs_f64().max(0.0));
}

pub(crate) fn flushed(end: &GroupEnd) {
    let result = match end {
        GroupEnd::Notified => "notified",
        GroupEnd::Failed => "failed",
        GroupEnd::Release { .. } => "released",
    };
    counter!(FLUSHES, "result" => result).increment(1);
}

pub(crate) fn flushes_lost(count: usize) {
    if count > 0 {
        counter!("acteon_flushes_lost_total").increment(count as u64);
        tracing::warn!(count, "leases of groups expired before their flush ended");
    }
}

pub(crate) fn template_failed(error: &TemplateError) {
    counter!("acteon_template_errors_total").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "the template of a summary failed: the default payload is sent"
    );
}

pub(crate) fn group_unreadable(error: &GroupEncodingError) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "what is stored of a group cannot be read"
    );
}

pub(crate) fn members_unrecorded(error: &AuditError) {
    counter!(AUDIT_ERRORS, "call" => "append").increment(1);
    tracing::error!(
        error = error as &dyn std::error::Error,
        "members that a flush left out could not be recorded"
    );
}

/// The body of a stored event cannot be read. The event begins again in its stored state.
pub(crate) fn event_unreadable(error: &serde_json::Error) {
    let error: &dyn std::error::Error = error;
    tracing::warn!(error, "the stored record of an event could not be read");
}

/// Silences could not be read. The last ones that were read count.
pub(crate) fn silences_unknown(error: &StateError) {
    counter!(STATE_ERRORS, "call" => "silences").increment(1);
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "silences could not be read"
    );
}

/// Silences that have not ended, or whose events are not announced yet.
pub(crate) fn silences_in_force(count: usize) {
    gauge!(SILENCES).set(count as f64);
}

pub(crate) fn silence_unreadable(id: &str) {
    tracing::warn!(
        silence = id,
        "a stored silence could not be compiled, and withholds nothing"
    );
}

/// The event counts as announced, although the notice of its report failed.
pub(crate) fn untold_unwritten(fingerprint: &str, error: &StateError) {
    counter!(STATE_ERRORS, "call" => "events").increment(1);
    tracing::warn!(
        fingerprint,
        error = error as &dyn std::error::Error,
        "an event could not be written whose notice failed"
    );
}

/// Too many notices of one event wait.
pub(crate) fn notice_dropped(id: &str) {
    tracing::warn!(
        notice = id,
        "a notice was dropped, because newer ones of its event wait"
    );
}

/// The timer of an event whose machine is not configured was due.
pub(crate) fn machine_unknown(fingerprint: &str) {
    tracing::warn!(
        fingerprint,
        "an event has ended, because its state machine is not configured"
    );
}

/// A notice was dropped from its event, or another delivery of it has begun, before this one ended.
pub(crate) fn notice_lost(id: &str) {
    counter!("acteon_notices_lost_total").increment(1);
    tracing::warn!(
        notice = id,
        "the lease of a notice expired before its delivery ended"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use acteon_core::Caller;
    use acteon_core::disposition::ThrottledPolicy;
    use acteon_testkit::{action, epoch};
    use jiff::SignedDuration;
    use metrics::HistogramFn;
    use parking_lot::Mutex;

    use super::*;

    #[derive(Default)]
    struct Recorded(Mutex<Vec<(f64, usize)>>);

    impl HistogramFn for Recorded {
        fn record(&self, value: f64) {
            self.record_many(value, 1);
        }

        fn record_many(&self, value: f64, count: usize) {
            self.0.lock().push((value, count));
        }
    }

    #[test]
    fn actions_that_were_received_together_are_recorded_together_under_their_source() {
        let of = [(); 3].map(|()| Arc::<Recorded>::default());
        let [of_callers, of_replays, of_orders] = of.clone().map(Histogram::from_arc);
        let ends = EndMetrics {
            returned: Refusal::ALL.map(|_| Counter::noop()),
            state_full: Counter::noop(),
            of_callers,
            of_replays,
            of_sources: [("orders".into(), of_orders)].into_iter().collect(),
        };
        let orders: Arc<str> = "orders".into();
        let throttled = ThrottledPolicy::Retry;
        let read = |second| {
            let read = action("read").policy(Policy::Broker { throttled });
            let at = epoch() + SignedDuration::from_secs(second);
            read.caller(Caller::source(orders.clone()))
                .received_at(at)
                .envelope()
        };
        let replayed = action("replayed").policy(Policy::Replay).envelope();
        let asked = action("asked").envelope();
        let ended = [read(0), read(0), read(2), asked, replayed, read(2), read(9)];
        ends.settled(ended.iter(), epoch() + SignedDuration::from_secs(4));
        let recorded = of.map(|recorded| std::mem::take(&mut *recorded.0.lock()));
        assert_eq!(recorded[0], [(4.0, 1)]);
        assert_eq!(recorded[1], [(4.0, 1)]);
        // The last one has a time of receipt after `now`, as when the clock was set back.
        assert_eq!(recorded[2], [(4.0, 2), (2.0, 1), (2.0, 1), (0.0, 1)]);
    }

    #[test]
    fn counters_of_returned_actions_are_in_the_order_of_the_reasons() {
        for (at, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, at);
        }
    }
}
