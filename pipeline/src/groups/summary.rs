//! Builds the summary of a group: an action on loan from the running flushes, which goes straight to its provider.

use std::sync::Arc;

use acteon_core::action::Labels;
use acteon_core::delivery::{Origin, Position};
use acteon_core::disposition::ThrottledPolicy;
use acteon_core::state::{GROUP_NOTIFICATION, SUMMARY_STREAM, StoredGroup};
use acteon_core::{
    Action, Caller, Delivery, Envelope, Memory, Payload, Permit, Policy, Receipt, Verdict,
};
use acteon_groups::{GroupFacts, GroupSettings, Member, Summary};
use jiff::Timestamp;
use tokio::task::{JoinError, spawn_blocking};

use super::running::FlushStart;
use crate::events;
use crate::job::Job;
use crate::process::Pipeline;

/// The content of a summary: a group, and its listed members.
pub(super) struct SummaryParts {
    pub(super) group: StoredGroup,
    pub(super) settings: GroupSettings,
    pub(super) members: Vec<Member>,
    /// The number of members that are counted only.
    pub(super) omitted: u64,
    pub(super) now: Timestamp,
}

/// The payload of a summary, and the one to send if that is too large for its sink.
struct Payloads {
    whole: Payload,
    shortened: Option<Payload>,
}

impl SummaryParts {
    /// Renders the payloads, on a thread for blocking work if there is a template.
    async fn payloads(&self) -> Payloads {
        let name = &self.group.name;
        let facts = GroupFacts {
            group_id: name.id.clone(),
            group_key: name.key.key.clone(),
            rule: name.key.rule.clone(),
            labels: self.settings.labels.clone(),
            first_at: self.group.opened_at,
            last_at: self.group.last_at,
            flushed_at: self.now,
        };
        let events = self
            .members
            .iter()
            .map(|member| member.action.payload.clone());
        let summary = Summary::new(facts, events.collect(), self.omitted);
        let template = self.settings.template.clone();
        let render = move || {
            let (whole, error) = summary.payload(template.as_ref());
            if let Some(error) = &error {
                events::template_failed(error);
            }
            let shortened = summary.shortened();
            let shortened = shortened.map(|summary| summary.payload(template.as_ref()).0);
            Payloads { whole, shortened }
        };
        if self.settings.template.is_none() {
            return render();
        }
        match spawn_blocking(render).await {
            Ok(payloads) => payloads,
            Err(ended) => std::panic::resume_unwind(JoinError::into_panic(ended)),
        }
    }

    fn action(&self, payload: Payload) -> Action {
        let name = &self.group.name;
        Action {
            id: name.id.clone(),
            namespace: name.key.namespace.clone(),
            tenant: name.key.tenant.clone(),
            provider: self.settings.provider.clone(),
            action_type: GROUP_NOTIFICATION.into(),
            payload,
            labels: self.settings.labels.clone(),
            dedup_key: None,
            status: None,
            fingerprint: None,
            starts_at: None,
            ends_at: None,
            created_at: self.group.opened_at.into(),
            trace_context: Labels::default(),
        }
    }
}

/// Where a summary is on loan from.
pub(super) struct SummaryLoan {
    pub(super) start: FlushStart,
    pub(super) permit: Permit,
    pub(super) caller: Caller,
}

impl Pipeline {
    /// The job that delivers a summary. Rules do not see it.
    pub(super) async fn summary_job(&self, parts: &SummaryParts, loan: SummaryLoan) -> Box<Job> {
        let Payloads { whole, shortened } = parts.payloads().await;
        let action = parts.action(whole);
        let raw = serde_json::to_vec(&action).unwrap_or_default();
        let stream = format!("{SUMMARY_STREAM}{}", parts.group.name.id);
        let envelope = Envelope {
            action,
            id_given: false,
            position: Position::from(stream.as_str()),
            caller: loan.caller,
            received_at: parts.now,
            raw: raw.into(),
            key: None,
            memory: Memory::Own,
            history: loan.start.note.history.clone(),
            policy: Policy::Broker {
                throttled: ThrottledPolicy::Retry,
            },
        };
        let origin: Arc<dyn Origin> = self.flushes.clone();
        // From here on the loan ends the flush, whatever happens to it.
        let token = self.flushes.begin(loan.start);
        let receipt = Receipt::new(origin, token);
        let delivery = Delivery::new(envelope, receipt, loan.permit);
        self.parts.providers.redeliveries.remove(&delivery);
        let mut job = Job::new(delivery, self.parts.rules.generation().stamp);
        job.record_rule(Verdict::Group, &parts.group.name.key.rule);
        job.shortened = shortened;
        job
    }
}
