//! Puts the time limit on every call of the state backend, so that one that hangs is treated as one that does not
//! answer.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::scope::Scope;
use acteon_core::state::{
    Capabilities, DeadLetterPage, DeadLetterQuery, DeadLetters, DueWork, EventId, EventPage,
    EventQuery, Events, Fullness, Gathered, GroupFinish, GroupKey, GroupName, GroupPage,
    GroupQuery, Groups, HeldGroup, Holds, LimitAnswer, LiveSilences, MemberPage, Question,
    RateLimit, Reservation, ReservationAnswer, Settlement, SettlementAnswer, SilenceAnswer,
    SilencePage, SilenceQuery, SilenceWrite, Silences, StoredEvent, StoredGroup, StoredSilence,
    TakenGroup, Timers, Toggles, Token,
};
use acteon_core::{DeadLetter, DeliveryProgress, Embedded, State, StateError};
use async_trait::async_trait;
use bytes::Bytes;
use compact_str::CompactString;
use thiserror::Error;
use tokio::time::timeout;

/// A state backend whose calls end in time.
pub struct TimeLimitedState {
    state: Arc<dyn State>,
    time_limit: Duration,
}

/// The call was given up. The backend may have done it or may still do it.
#[derive(Debug, Error)]
#[error("no answer within {0:?}")]
struct NoAnswer(Duration);

impl TimeLimitedState {
    /// Ends every call of `state` after `time_limit`.
    pub fn wrap(state: Arc<dyn State>, time_limit: Duration) -> Arc<dyn State> {
        Arc::new(Self { state, time_limit })
    }

    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, StateError>> + Send,
    ) -> Result<T, StateError> {
        let answer = timeout(self.time_limit, call).await;
        answer.unwrap_or_else(|_| Err(StateError::Unavailable(NoAnswer(self.time_limit).into())))
    }
}

#[async_trait]
impl State for TimeLimitedState {
    fn capabilities(&self) -> Capabilities {
        self.state.capabilities()
    }

    fn embedded(&self) -> Option<Arc<dyn Embedded>> {
        self.state.embedded()
    }

    async fn ping(&self) -> Result<Fullness, StateError> {
        self.in_time(self.state.ping()).await
    }
}

#[async_trait]
impl Holds for TimeLimitedState {
    async fn gather(&self, questions: &[Question]) -> Result<Gathered, StateError> {
        self.in_time(self.state.gather(questions)).await
    }

    async fn reserve(
        &self,
        reservations: &[Reservation],
        lease: Duration,
    ) -> Result<Vec<ReservationAnswer>, StateError> {
        self.in_time(self.state.reserve(reservations, lease)).await
    }

    async fn settle(
        &self,
        settlements: &[Settlement],
    ) -> Result<Vec<SettlementAnswer>, StateError> {
        self.in_time(self.state.settle(settlements)).await
    }

    async fn renew(
        &self,
        held: &[Arc<Reservation>],
        lease: Duration,
    ) -> Result<Vec<bool>, StateError> {
        self.in_time(self.state.renew(held, lease)).await
    }

    async fn limit(&self, limits: &[RateLimit]) -> Result<Vec<LimitAnswer>, StateError> {
        self.in_time(self.state.limit(limits)).await
    }
}

#[async_trait]
impl Events for TimeLimitedState {
    async fn events(&self, query: &EventQuery) -> Result<EventPage, StateError> {
        self.in_time(self.state.events(query)).await
    }

    async fn event(
        &self,
        scope: &Scope,
        event: &EventId,
    ) -> Result<Option<Arc<StoredEvent>>, StateError> {
        self.in_time(self.state.event(scope, event)).await
    }
}

#[async_trait]
impl DeadLetters for TimeLimitedState {
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<DeadLetterPage, StateError> {
        self.in_time(self.state.dead_letters(query)).await
    }

    async fn dead_letter(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Arc<DeadLetter>>, StateError> {
        self.in_time(self.state.dead_letter(scope, id)).await
    }

    async fn set_progress(
        &self,
        scope: &Scope,
        id: &str,
        progress: &DeliveryProgress,
    ) -> Result<bool, StateError> {
        self.in_time(self.state.set_progress(scope, id, progress))
            .await
    }

    async fn delete_dead_letter(&self, scope: &Scope, id: &str) -> Result<bool, StateError> {
        self.in_time(self.state.delete_dead_letter(scope, id)).await
    }
}

#[async_trait]
impl Groups for TimeLimitedState {
    async fn members(
        &self,
        group: &GroupName,
        from: u32,
        limit: usize,
    ) -> Result<MemberPage, StateError> {
        self.in_time(self.state.members(group, from, limit)).await
    }

    async fn take_group(
        &self,
        key: &GroupKey,
        lease: Duration,
        token: Token,
    ) -> Result<TakenGroup, StateError> {
        self.in_time(self.state.take_group(key, lease, token)).await
    }

    async fn renew_groups(
        &self,
        held: &[HeldGroup],
        lease: Duration,
    ) -> Result<Vec<bool>, StateError> {
        self.in_time(self.state.renew_groups(held, lease)).await
    }

    async fn note_groups(&self, notes: &[(HeldGroup, Bytes)]) -> Result<Vec<bool>, StateError> {
        self.in_time(self.state.note_groups(notes)).await
    }

    async fn finish_groups(&self, finished: &[GroupFinish]) -> Result<Vec<bool>, StateError> {
        self.in_time(self.state.finish_groups(finished)).await
    }

    async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, StateError> {
        self.in_time(self.state.groups(query)).await
    }

    async fn groups_of(&self, scope: &Scope, key: &str) -> Result<Vec<StoredGroup>, StateError> {
        self.in_time(self.state.groups_of(scope, key)).await
    }
}

#[async_trait]
impl Timers for TimeLimitedState {
    async fn take_due(
        &self,
        limit: usize,
        lease: Duration,
        token: Token,
    ) -> Result<DueWork, StateError> {
        self.in_time(self.state.take_due(limit, lease, token)).await
    }

    async fn next_due(&self) -> Result<Option<Duration>, StateError> {
        self.in_time(self.state.next_due()).await
    }
}

#[async_trait]
impl Silences for TimeLimitedState {
    async fn write_silence(&self, write: &SilenceWrite) -> Result<SilenceAnswer, StateError> {
        self.in_time(self.state.write_silence(write)).await
    }

    async fn live_silences(&self, known: Option<u64>) -> Result<LiveSilences, StateError> {
        self.in_time(self.state.live_silences(known)).await
    }

    async fn silences(&self, query: &SilenceQuery) -> Result<SilencePage, StateError> {
        self.in_time(self.state.silences(query)).await
    }

    async fn silence(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Arc<StoredSilence>>, StateError> {
        self.in_time(self.state.silence(scope, id)).await
    }
}

#[async_trait]
impl Toggles for TimeLimitedState {
    async fn set_rule_enabled(&self, name: &str, enabled: bool) -> Result<(), StateError> {
        self.in_time(self.state.set_rule_enabled(name, enabled))
            .await
    }

    async fn rule_toggles(&self) -> Result<Vec<(CompactString, bool)>, StateError> {
        self.in_time(self.state.rule_toggles()).await
    }
}
