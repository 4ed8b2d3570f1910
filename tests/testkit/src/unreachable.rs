//! Wraps a state backend, counts its calls, and cuts it off when a test says so.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use acteon_core::scope::Scope;
use acteon_core::state::{
    Capabilities, DeadLetterPage, DeadLetterQuery, DeadLetters, DueWork, EventId, EventPage,
    EventQuery, Events, Fullness, Gathered, GroupFinish, GroupKey, GroupName, GroupPage,
    GroupQuery, Groups, HeldGroup, Holds, LimitAnswer, LiveSilences, MemberPage, Question,
    RateLimit, Reservation, ReservationAnswer, Settlement, SettlementAnswer, SilenceAnswer,
    SilencePage, SilenceQuery, SilenceWrite, Silences, State, StateError, StoredEvent, StoredGroup,
    StoredSilence, TakenGroup, Timers, Toggles, Token,
};
use acteon_core::{DeadLetter, DeliveryProgress};
use async_trait::async_trait;
use bytes::Bytes;
use compact_str::CompactString;
use parking_lot::Mutex;

/// Whether calls reach the backend behind an [`UnreachableState`], and whether answers reach the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Both.
    #[default]
    Whole,
    /// Neither. The backend sees nothing.
    CutOff,
    /// The call takes effect, but its answer is lost.
    AnswersLost,
    /// Neither, and the caller waits forever.
    Hangs,
    /// Both, except for deletions of dead letters. Of these the backend sees nothing.
    NoDeletions,
}

/// How often each method was called, including failed calls. Calls for groups, silences and due work are not among them:
/// separate tasks make them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct StateCalls {
    pub ping: usize,
    pub reserve: usize,
    pub settle: usize,
    pub renew: usize,
    pub limit: usize,
    pub dead_letters: usize,
    pub dead_letter: usize,
    pub gather: usize,
    pub events: usize,
    pub set_progress: usize,
    pub delete_dead_letter: usize,
    pub toggles: usize,
}

/// Forwards every call to the wrapped state, unless the test has cut it off.
pub struct UnreachableState {
    inner: Arc<dyn State>,
    reach: Mutex<Reach>,
    calls: Mutex<StateCalls>,
    due_calls: AtomicUsize,
}

impl UnreachableState {
    /// Wraps `inner`, initially reachable.
    pub fn before(inner: Arc<dyn State>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            reach: Mutex::default(),
            calls: Mutex::default(),
            due_calls: AtomicUsize::new(0),
        })
    }

    /// Changes the reach from now on.
    pub fn set_reach(&self, reach: Reach) {
        *self.reach.lock() = reach;
    }

    /// The calls so far.
    pub fn calls(&self) -> StateCalls {
        *self.calls.lock()
    }

    /// The calls since the last call of this method.
    pub fn take_calls(&self) -> StateCalls {
        std::mem::take(&mut *self.calls.lock())
    }

    /// The calls for due work since the last call of this method.
    pub fn take_due_calls(&self) -> usize {
        self.due_calls.swap(0, Relaxed)
    }

    async fn pass<T>(
        &self,
        count: impl FnOnce(&mut StateCalls),
        call: impl Future<Output = Result<T, StateError>> + Send,
    ) -> Result<T, StateError> {
        count(&mut self.calls.lock());
        let reach = *self.reach.lock();
        let lost = || StateError::Unavailable("the test cut the state off".into());
        match reach {
            Reach::Whole | Reach::NoDeletions => call.await,
            Reach::CutOff => Err(lost()),
            Reach::Hangs => pending().await,
            Reach::AnswersLost => call.await.and_then(|_| Err(lost())),
        }
    }
}

#[async_trait]
impl State for UnreachableState {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn ping(&self) -> Result<Fullness, StateError> {
        self.pass(|calls| calls.ping += 1, self.inner.ping()).await
    }
}

#[async_trait]
impl Holds for UnreachableState {
    async fn gather(&self, questions: &[Question]) -> Result<Gathered, StateError> {
        self.pass(|calls| calls.gather += 1, self.inner.gather(questions))
            .await
    }

    async fn reserve(
        &self,
        reservations: &[Reservation],
        lease: Duration,
    ) -> Result<Vec<ReservationAnswer>, StateError> {
        self.pass(
            |calls| calls.reserve += 1,
            self.inner.reserve(reservations, lease),
        )
        .await
    }

    async fn settle(
        &self,
        settlements: &[Settlement],
    ) -> Result<Vec<SettlementAnswer>, StateError> {
        self.pass(|calls| calls.settle += 1, self.inner.settle(settlements))
            .await
    }

    async fn renew(
        &self,
        held: &[Arc<Reservation>],
        lease: Duration,
    ) -> Result<Vec<bool>, StateError> {
        self.pass(|calls| calls.renew += 1, self.inner.renew(held, lease))
            .await
    }

    async fn limit(&self, limits: &[RateLimit]) -> Result<Vec<LimitAnswer>, StateError> {
        self.pass(|calls| calls.limit += 1, self.inner.limit(limits))
            .await
    }
}

#[async_trait]
impl Events for UnreachableState {
    async fn events(&self, query: &EventQuery) -> Result<EventPage, StateError> {
        self.pass(|calls| calls.events += 1, self.inner.events(query))
            .await
    }

    async fn event(
        &self,
        scope: &Scope,
        event: &EventId,
    ) -> Result<Option<Arc<StoredEvent>>, StateError> {
        self.pass(|calls| calls.events += 1, self.inner.event(scope, event))
            .await
    }
}

#[async_trait]
impl DeadLetters for UnreachableState {
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<DeadLetterPage, StateError> {
        self.pass(
            |calls| calls.dead_letters += 1,
            self.inner.dead_letters(query),
        )
        .await
    }

    async fn dead_letter(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Arc<DeadLetter>>, StateError> {
        self.pass(
            |calls| calls.dead_letter += 1,
            self.inner.dead_letter(scope, id),
        )
        .await
    }

    async fn set_progress(
        &self,
        scope: &Scope,
        id: &str,
        progress: &DeliveryProgress,
    ) -> Result<bool, StateError> {
        let call = self.inner.set_progress(scope, id, progress);
        self.pass(|calls| calls.set_progress += 1, call).await
    }

    async fn delete_dead_letter(&self, scope: &Scope, id: &str) -> Result<bool, StateError> {
        let call = async {
            match *self.reach.lock() {
                Reach::NoDeletions => Err(StateError::Unavailable("no deletions".into())),
                _ => Ok(()),
            }?;
            self.inner.delete_dead_letter(scope, id).await
        };
        self.pass(|calls| calls.delete_dead_letter += 1, call).await
    }
}

#[async_trait]
impl Groups for UnreachableState {
    async fn members(
        &self,
        group: &GroupName,
        from: u32,
        limit: usize,
    ) -> Result<MemberPage, StateError> {
        let call = self.inner.members(group, from, limit);
        self.pass(|_| {}, call).await
    }

    async fn take_group(
        &self,
        key: &GroupKey,
        lease: Duration,
        token: Token,
    ) -> Result<TakenGroup, StateError> {
        let call = self.inner.take_group(key, lease, token);
        self.pass(|_| {}, call).await
    }

    async fn renew_groups(
        &self,
        held: &[HeldGroup],
        lease: Duration,
    ) -> Result<Vec<bool>, StateError> {
        let call = self.inner.renew_groups(held, lease);
        self.pass(|_| {}, call).await
    }

    async fn note_groups(&self, notes: &[(HeldGroup, Bytes)]) -> Result<Vec<bool>, StateError> {
        let call = self.inner.note_groups(notes);
        self.pass(|_| {}, call).await
    }

    async fn finish_groups(&self, finished: &[GroupFinish]) -> Result<Vec<bool>, StateError> {
        let call = self.inner.finish_groups(finished);
        self.pass(|_| {}, call).await
    }

    async fn groups(&self, query: &GroupQuery) -> Result<GroupPage, StateError> {
        let call = self.inner.groups(query);
        self.pass(|_| {}, call).await
    }

    async fn groups_of(&self, scope: &Scope, key: &str) -> Result<Vec<StoredGroup>, StateError> {
        let call = self.inner.groups_of(scope, key);
        self.pass(|_| {}, call).await
    }
}

#[async_trait]
impl Timers for UnreachableState {
    async fn take_due(
        &self,
        limit: usize,
        lease: Duration,
        token: Token,
    ) -> Result<DueWork, StateError> {
        let call = self.inner.take_due(limit, lease, token);
        self.due_calls.fetch_add(1, Relaxed);
        self.pass(|_| {}, call).await
    }

    async fn next_due(&self) -> Result<Option<Duration>, StateError> {
        let call = self.inner.next_due();
        self.due_calls.fetch_add(1, Relaxed);
        self.pass(|_| {}, call).await
    }
}

#[async_trait]
impl Silences for UnreachableState {
    async fn write_silence(&self, write: &SilenceWrite) -> Result<SilenceAnswer, StateError> {
        self.pass(|_| {}, self.inner.write_silence(write)).await
    }

    async fn live_silences(&self, known: Option<u64>) -> Result<LiveSilences, StateError> {
        self.pass(|_| {}, self.inner.live_silences(known)).await
    }

    async fn silences(&self, query: &SilenceQuery) -> Result<SilencePage, StateError> {
        self.pass(|_| {}, self.inner.silences(query)).await
    }

    async fn silence(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Arc<StoredSilence>>, StateError> {
        self.pass(|_| {}, self.inner.silence(scope, id)).await
    }
}

#[async_trait]
impl Toggles for UnreachableState {
    async fn set_rule_enabled(&self, name: &str, enabled: bool) -> Result<(), StateError> {
        let call = self.inner.set_rule_enabled(name, enabled);
        self.pass(|calls| calls.toggles += 1, call).await
    }

    async fn rule_toggles(&self) -> Result<Vec<(CompactString, bool)>, StateError> {
        self.pass(|calls| calls.toggles += 1, self.inner.rule_toggles())
            .await
    }
}
