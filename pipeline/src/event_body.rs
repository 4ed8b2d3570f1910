//! The body of an event's record, which backends do not read: the record of its machine, the report that its notices
//! deliver, and the notice that waits. One versioned encoding, which later versions read too.

use std::time::Duration;

use acteon_core::action::{Labels, Payload};
use acteon_core::event_admin::TIMEOUTS_SOURCE;
use acteon_core::silence::SilenceSubject;
use acteon_core::state::{EventId, StoredEvent};
use acteon_core::{Action, History};
use acteon_machines::{Lifecycle, Machine, Notice};
use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event_report::StateChange;
use crate::events;
use crate::machines::{added_labels, targets};
use crate::silences::SilenceView;

/// The version that is written.
const VERSION: u8 = 1;
/// How many notices of an event may wait. The oldest becomes a dead letter for another one.
const UNSENT_MAX: usize = 8;
/// How many an event keeps while their dead letters cannot be stored. Then the oldest is lost.
const KEPT_MAX: usize = 64;
/// Longer payloads of reports are replaced by a short one.
const PAYLOAD_BYTES_MAX: usize = 16 << 10;

/// The record of an event.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EventBody {
    version: u8,
    /// The name of its machine.
    pub(crate) machine: CompactString,
    pub(crate) lifecycle: Lifecycle,
    /// The last report that counted. `None`: the event was not reported.
    pub(crate) report: Option<KeptReport>,
    /// The providers that have the notice of the present state, while another one has not accepted it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) accepted_by: Vec<CompactString>,
    /// Notices that wait for their delivery, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unsent: Vec<UnsentNotice>,
}

/// What is kept of a report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeptReport {
    pub(crate) provider: CompactString,
    payload: Box<RawValue>,
    pub(crate) labels: Labels,
}

/// A notice of a timeout or of an operator's transition. It is kept until it is delivered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct UnsentNotice {
    /// The id of the action that delivers it.
    pub(crate) id: CompactString,
    /// The providers that still have to deliver it.
    pub(crate) targets: Vec<CompactString>,
    pub(crate) from: CompactString,
    pub(crate) to: CompactString,
    /// The silence that withholds it. Then it is only recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) silenced_by: Option<CompactString>,
    pub(crate) labels: Vec<(CompactString, CompactString)>,
    /// When it is delivered again. While it is being delivered: when its lease ends.
    pub(crate) next_at: Timestamp,
    /// Where it comes from: the same for each delivery.
    #[serde(default = "timeouts")]
    pub(crate) source: CompactString,
    /// How often a delivery began. Only the last one may say how it goes on.
    pub(crate) deliveries: u32,
    /// The attempts so far.
    pub(crate) history: Option<Box<History>>,
}

fn timeouts() -> CompactString {
    TIMEOUTS_SOURCE.into()
}

/// The first delivery of a notice.
#[derive(Clone, Copy)]
pub(crate) struct FirstDelivery {
    /// Where the notice comes from.
    pub(crate) source: &'static str,
    /// When the notice falls due again if the delivery has not ended by then.
    pub(crate) lease_end: Timestamp,
}

impl EventBody {
    pub(crate) fn new(machine: &str, lifecycle: Lifecycle) -> Self {
        Self {
            version: VERSION,
            machine: machine.into(),
            lifecycle,
            report: None,
            accepted_by: Vec::new(),
            unsent: Vec::new(),
        }
    }

    /// The body after a report. It keeps the notices that wait, and what is known of one that the next report gives.
    pub(crate) fn following(before: Option<&Self>, machine: &str, lifecycle: Lifecycle) -> Self {
        let mut body = Self::new(machine, lifecycle);
        if let Some(before) = before {
            body.unsent.clone_from(&before.unsent);
            if body.lifecycle.is_untold {
                body.accepted_by.clone_from(&before.accepted_by);
            }
        }
        body
    }

    /// The body of a stored event. One that cannot be read begins again in the stored state.
    pub(crate) fn of(stored: &StoredEvent) -> Self {
        let body = &stored.record.body;
        match serde_json::from_slice(body) {
            Ok(read) => read,
            Err(error) => {
                if !body.is_empty() {
                    events::event_unreadable(&error);
                }
                Self::unreported(stored)
            }
        }
    }

    /// For an event that was brought into the state by something else.
    fn unreported(stored: &StoredEvent) -> Self {
        let at = stored.record.updated_at;
        Self::new(
            "",
            Lifecycle {
                state: stored.record.state.clone(),
                entered_at: at,
                last_report_at: at,
                starts_at: None,
                reminders: 0,
                reminded_at: None,
                was_notified: false,
                withheld_by: None,
                is_untold: false,
                history: [].into(),
            },
        )
    }

    pub(crate) fn encoded(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The notice of a change. One that goes to a provider is kept until it is delivered.
    pub(crate) fn add_notice(
        &mut self,
        id: CompactString,
        change: StateChange,
        notice: Option<&Notice>,
        delivery: FirstDelivery,
    ) -> UnsentNotice {
        let provider = self.report.as_ref().map(|report| report.provider.as_str());
        let targets = notice.map(|notice| targets(notice, provider.unwrap_or_default()));
        let unsent = UnsentNotice {
            id,
            targets: targets.unwrap_or_default(),
            labels: notice.map(added_labels).unwrap_or_default(),
            from: change.from,
            to: change.to,
            silenced_by: change.silenced_by,
            next_at: delivery.lease_end,
            source: delivery.source.into(),
            deliveries: 1,
            history: None,
        };
        if !unsent.targets.is_empty() {
            self.add_unsent(unsent.clone());
        }
        unsent
    }

    /// The silence that withholds notices of the event.
    pub(crate) fn silence(
        &self,
        id: &EventId,
        event_type: &str,
        silences: &SilenceView,
    ) -> Option<CompactString> {
        if silences.is_empty() {
            return None;
        }
        let report = self.report.as_ref();
        let nothing = Labels::default();
        silences.find(&SilenceSubject {
            namespace: &id.namespace,
            tenant: &id.tenant,
            provider: report.map_or("", |report| report.provider.as_str()),
            action_type: event_type,
            labels: report.map_or(&nothing, |report| &report.labels),
        })
    }

    fn add_unsent(&mut self, notice: UnsentNotice) {
        if self.unsent.len() == KEPT_MAX {
            let dropped = self.unsent.remove(0);
            events::notice_dropped(&dropped.id);
        }
        self.unsent.push(notice);
    }

    /// Takes out the notices that wait and are not delivered any more, to be recorded: the event has ended since, and its
    /// end is announced, or a silence matches now. The state that it withholds is announced after it.
    pub(crate) fn leave_out(
        &mut self,
        machine: &Machine,
        silence: Option<&CompactString>,
        waits: impl Fn(&UnsentNotice) -> bool,
    ) -> Vec<UnsentNotice> {
        let is_end = |state: &str| machine.is_terminal(state) == Some(true);
        let lifecycle = &mut self.lifecycle;
        let is_over =
            is_end(&lifecycle.state) && lifecycle.history.back().is_some_and(|last| last.notified);
        let mut left_out = Vec::new();
        self.unsent.retain_mut(|notice| {
            let is_outdated = is_over && notice.to != lifecycle.state;
            let silence = silence.filter(|_| !is_end(&notice.to));
            if !waits(notice) || (!is_outdated && silence.is_none()) {
                return true;
            }
            let is_present = notice.to == lifecycle.state && notice.from != notice.to;
            if is_present && let Some(silence) = silence {
                machine.withhold(lifecycle, silence);
            }
            left_out.push(UnsentNotice {
                targets: Vec::new(),
                silenced_by: silence.cloned(),
                ..notice.clone()
            });
            false
        });
        left_out
    }

    /// The oldest notice that is not being delivered, if more wait than may. It stays here, under a lease, until its dead
    /// letter is stored.
    pub(crate) fn give_up_oldest(
        &mut self,
        is_running: impl Fn(&CompactString) -> bool,
        lease_end: Timestamp,
    ) -> Option<UnsentNotice> {
        if self.unsent.len() <= UNSENT_MAX {
            return None;
        }
        let mut waiting = self.unsent.iter_mut();
        let oldest = waiting.find(|notice| !is_running(&notice.id))?;
        oldest.next_at = lease_end;
        oldest.deliveries += 1;
        Some(oldest.clone())
    }

    /// The action that delivers a notice.
    pub(crate) fn notice_action(
        &self,
        notice: &UnsentNotice,
        id: &EventId,
        event_type: &str,
        now: Timestamp,
    ) -> Action {
        let report = self.report.as_ref();
        let own = report.map(|report| report.provider.clone());
        Action {
            id: notice.id.clone(),
            namespace: id.namespace.clone(),
            tenant: id.tenant.clone(),
            // The same for all providers of the notice, because the idempotency key depends on it.
            provider: own.or(notice.targets.first().cloned()).unwrap_or_default(),
            action_type: event_type.into(),
            payload: report
                .and_then(KeptReport::payload)
                .unwrap_or_else(Payload::null),
            labels: report
                .map(|report| report.labels.clone())
                .unwrap_or_default(),
            dedup_key: None,
            status: Some(notice.to.clone()),
            fingerprint: Some(id.fingerprint.clone()),
            starts_at: self.lifecycle.starts_at.map(Into::into),
            ends_at: None,
            created_at: now.into(),
            trace_context: Labels::default(),
        }
    }
}

impl KeptReport {
    pub(crate) fn of(action: &Action, provider: &str) -> Self {
        let payload = action.payload.as_bytes();
        let text = match payload.len() <= PAYLOAD_BYTES_MAX {
            true => String::from_utf8_lossy(payload).into_owned(),
            false => r#"{"truncated":true}"#.to_owned(),
        };
        let payload = RawValue::from_string(text);
        Self {
            provider: provider.into(),
            payload: payload.unwrap_or_else(|_| RawValue::NULL.to_owned()),
            labels: action.labels.clone(),
        }
    }

    fn payload(&self) -> Option<Payload> {
        Payload::from_value(&self.payload).ok()
    }
}

/// A time after `now`.
pub(crate) fn later(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}
