//! Wrappers around the state and the audit backend that measure how long each call takes.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::audit::{AuditError, AuditPage, AuditQuery};
use acteon_core::scope::Scope;
use acteon_core::state::{
    Capabilities, DeadLetterPage, DeadLetterQuery, DeadLetters, DueWork, EventId, EventPage,
    EventQuery, Events, Fullness, Gathered, GroupFinish, GroupKey, GroupName, GroupPage,
    GroupQuery, Groups, HeldGroup, Holds, LimitAnswer, LiveSilences, MemberPage, Question,
    RateLimit, Reservation, ReservationAnswer, Settlement, SettlementAnswer, SilenceAnswer,
    SilencePage, SilenceQuery, SilenceWrite, Silences, StoredEvent, StoredGroup, StoredSilence,
    TakenGroup, Timers, Toggles, Token,
};
use acteon_core::{Audit, AuditRecord, DeadLetter, DeliveryProgress, Embedded, State, StateError};
use async_trait::async_trait;
use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;

use crate::events::{AuditCalls, StateCalls};

/// A state backend whose calls are timed.
pub(crate) struct MeteredState {
    state: Arc<dyn State>,
    calls: StateCalls,
}

impl MeteredState {
    /// Registers the metrics, so the recorder must be installed first.
    pub(crate) fn wrap(state: Arc<dyn State>) -> Arc<dyn State> {
        let calls = StateCalls::new();
        Arc::new(Self { state, calls })
    }
}

#[async_trait]
impl State for MeteredState {
    fn capabilities(&self) -> Capabilities {
        self.state.capabilities()
    }

    fn embedded(&self) -> Option<Arc<dyn Embedded>> {
        self.state.embedded()
    }

    async fn ping(&self) -> Result<Fullness, StateError> {
        self.calls.ping.time(self.state.ping()).await
    }
}

#[async_trait]
impl Holds for MeteredState {
    async fn gather(&self, questions: &[Question]) -> Result<Gathered, StateError> {
        self.calls.gather.time(self.state.gather(questions)).await
    }

    async fn reserve(
        &self,
        reservations: &[Reservation],
        lease: Duration,
    ) -> Result<Vec<ReservationAnswer>, StateError> {
        let call = self.state.reserve(reservations, lease);
        self.calls.reserve.time(call).await
    }

    async fn settle(
        &self,
        settlements: &[Settlement],
    ) -> Result<Vec<SettlementAnswer>, StateError> {
        self.calls.settle.time(self.state.settle(settlements)).await
    }

    async fn renew(
        &self,
        held: &[Arc<Reservation>],
        lease: Duration,
    ) -> Result<Vec<bool>, StateError> {
        self.calls.renew.time(self.state.renew(held, lease)).await
    }

    async fn limit(&self, limits: &[RateLimit]) -> Result<Vec<LimitAnswer>, StateError> {
        self.calls.limit.time(self.state.limit(limits)).await
    }
}

#[async_trait]
impl Events for MeteredState {
    async fn events(&self, query: &EventQuery) -> Result<EventPage, StateError> {
        self.calls.events.time(self.state.events(query)).await
    }

    async fn event(
        &self,
        scope: &Scope,
        event: &EventId,
    ) -> Result<Option<Arc<StoredEvent>>, StateError> {
        self.calls.events.time(self.state.event(scope, event)).await
    }
}

#[async_trait]
impl DeadLetters for MeteredState {
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<DeadLetterPage, StateError> {
        let call = self.state.dead_letters(query);
        self.calls.dead_letters.time(call).await
    }

    async fn dead_letter(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Arc<DeadLetter>>, StateError> {
        let call = self.state.dead_letter(scope, id);
        self.calls.dead_letters.time(call).await
    }

    async fn set_progress(
        &self,
        scope: &Scope,
        id: &str,
        progress: &DeliveryProgress,
    ) -> Result<bool, StateError> {
        let call = self.state.set_progress(scope, id, progress);
        self.calls.dead_letters.time(call).await
    }

    async fn delete_dead_letter(&self, scope: &Scope, id: &str) -> Result<bool, StateError> {
        let call = self.state.delete_dead_letter(scope, id);
        self.calls.dead_letters.time(call).await
    }
}

#[async_trait]
impl Toggles for MeteredState {
    async fn set_rule_enabled(&self, name: &str, enabled: bool) -> Result<(), StateError> {
        let call = self.state.set_rule_enabled(name, enabled);
        self.calls.rule_toggles.time(call).await
    }

    async fn rule_toggles(&self) -> Result<Vec<(CompactString, bool)>, StateError> {
        let call = self.state.rule_toggles();
        self.calls.rule_toggles.time(call).await
    }
}

#[async_trait]
impl Groups for MeteredState {
    async fn members(
        &self,
        group: &GroupName,
        from: u32,
        limit: usize,
    ) -> Result<MemberPage, StateError> {
        let call = self.state.members(group, from, limit);
        self.calls.groups.time(call).await
    }

    async fn take_group(
        &self,
        key: &GroupKey,
        lease: Duration,
        token: Token,
    ) -> Result<TakenGroup, StateError> {
        let call = self.state.take_group(key, lease, token);
        self.calls.groups.time(call).await
    }

    async fn renew_groups(
        &self,
        held: &[HeldGroup],
        lease: Duration,
    ) -> Result<Vec<bool>, StateError> {
        let call = self.state.renew_groups(held, lease);
        self.calls.groups.time(call).await
    }

    async fn note_groups(&self, notes: &[(HeldGroup, Bytes)]) -> Result<Vec<bool>, StateError> {
        let call = self.state.note_groups(notes);
        self.calls.groups.time(call).await
    }

    async fn finish_groups(&self, finished: &[GroupFinish]) -> Result<Vec<bool>, StateError> {
        let call = self.state.finish_groups(finished);
        self.calls.groups.time(call).await
    }

    async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, StateError> {
        let call = self.state.groups(query);
        self.calls.groups.time(call).await
    }

    async fn groups_of(&self, scope: &Scope, key: &str) -> Result<Vec<StoredGroup>, StateError> {
        let call = self.state.groups_of(scope, key);
        self.calls.groups.time(call).await
    }
}

#[async_trait]
impl Timers for MeteredState {
    async fn take_due(
        &self,
        limit: usize,
        lease: Duration,
        token: Token,
    ) -> Result<DueWork, StateError> {
        let call = self.state.take_due(limit, lease, token);
        self.calls.due.time(call).await
    }

    async fn next_due(&self) -> Result<Option<Duration>, StateError> {
        let call = self.state.next_due();
        self.calls.due.time(call).await
    }
}

#[async_trait]
impl Silences for MeteredState {
    async fn write_silence(&self, write: &SilenceWrite) -> Result<SilenceAnswer, StateError> {
        let call = self.state.write_silence(write);
        self.calls.silences.time(call).await
    }

    async fn live_silences(&self, known: Option<u64>) -> Result<LiveSilences, StateError> {
        let call = self.state.live_silences(known);
        self.calls.silences.time(call).await
    }

    async fn silences(&self, query: &SilenceQuery) -> Result<SilencePage, StateError> {
        let call = self.state.silences(query);
        self.calls.silences.time(call).await
    }

    async fn silence(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Arc<StoredSilence>>, StateError> {
        let call = self.state.silence(scope, id);
        self.calls.silences.time(call).await
    }
}

/// An audit backend whose calls are timed.
pub(crate) struct MeteredAudit {
    audit: Arc<dyn Audit>,
    calls: AuditCalls,
}

impl MeteredAudit {
    /// Registers the metrics, so the recorder must be installed first.
    pub(crate) fn wrap(audit: Arc<dyn Audit>) -> Arc<dyn Audit> {
        let calls = AuditCalls::new();
        Arc::new(Self { audit, calls })
    }
}

#[async_trait]
impl Audit for MeteredAudit {
    fn embedded(&self) -> Option<Arc<dyn Embedded>> {
        self.audit.embedded()
    }

    async fn ping(&self) -> Result<(), AuditError> {
        self.calls.ping.time(self.audit.ping()).await
    }

    async fn append(&self, records: &[Arc<AuditRecord>]) -> Result<(), AuditError> {
        self.calls.append.time(self.audit.append(records)).await
    }

    async fn query(&self, query: &AuditQuery) -> Result<AuditPage, AuditError> {
        self.calls.query.time(self.audit.query(query)).await
    }

    async fn newest_of(
        &self,
        scope: &Scope,
        action_id: &str,
    ) -> Result<Option<Arc<AuditRecord>>, AuditError> {
        let call = self.audit.newest_of(scope, action_id);
        self.calls.query.time(call).await
    }

    async fn purge(&self, now: Timestamp, limit: usize) -> Result<usize, AuditError> {
        self.calls.purge.time(self.audit.purge(now, limit)).await
    }
}
