//! Implements the state port with the shards, the dead letters, the silences and the rule toggles of this process.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use acteon_core::registry::{BuildError, Factory};
use acteon_core::scope::Scope;
use acteon_core::state::{
    Capabilities, DeadLetterPage, DeadLetterQuery, DeadLetters, EventId, EventPage, EventQuery,
    Events, Failover, Fullness, Gathered, Holds, LimitAnswer, LiveSilences, Question, RateLimit,
    Reservation, ReservationAnswer, Settlement, SettlementAnswer, SilenceAnswer, SilencePage,
    SilenceQuery, SilenceWrite, Silences, State, StateContext, StateError, States, Step,
    StepAnswer, StoredEvent, StoredSilence, Toggles, Writers,
};
use acteon_core::{DeadLetter, DeadLetterKind, DeliveryProgress};
use async_trait::async_trait;
use compact_str::CompactString;
use parking_lot::Mutex;

use crate::config::StateConfig;
use crate::event_write::Follows;
use crate::events::{self, CountsDropped};
use crate::groups::GroupTable;
use crate::key::Hashing;
use crate::keys::{ReservationKeys, SettlementKeys, take};
use crate::letters::Letters;
use crate::shards::{Locked, Locks, Shards};
use crate::silences::SilenceTable;

/// State in the memory of this process.
pub struct MemoryState {
    pub(crate) shards: Shards,
    letters: Mutex<Letters>,
    pub(crate) groups: Mutex<GroupTable>,
    counts_dropped: CountsDropped,
    pub(crate) silences: Mutex<SilenceTable>,
    toggles: Mutex<BTreeMap<CompactString, bool>>,
}

impl MemoryState {
    /// Empty state with these bounds.
    pub fn new(config: &StateConfig, context: &StateContext) -> Self {
        let now = context.clock.now();
        let bounds = &context.dead_letters;
        let bytes_max = config.max_dead_letter_bytes;
        Self {
            shards: Shards::new(config, now),
            letters: Mutex::new(Letters::new(bounds, bytes_max, now)),
            groups: Mutex::new(GroupTable::new(
                config.max_group_bytes,
                context.closed_groups,
            )),
            counts_dropped: CountsDropped::default(),
            silences: Mutex::default(),
            toggles: Mutex::default(),
        }
    }
}

impl MemoryState {
    /// Stores dead letters. A settlement whose letter does not fit has no room.
    fn store_letters(&self, settlements: &[Settlement]) -> Vec<SettlementAnswer> {
        let mut answers = vec![SettlementAnswer::Applied; settlements.len()];
        if settlements.iter().all(|end| end.dead_letter.is_none()) {
            return answers;
        }
        let stored = self.letters.lock().store(settlements);
        events::dead_letters_evicted(stored.evicted);
        for position in stored.refused {
            answers[position] = SettlementAnswer::NoRoom;
        }
        answers
    }
}

impl MemoryState {
    /// Adds the member of a reservation that was granted to its group. Without room for it, nothing is granted.
    fn with_member(
        &self,
        mut answer: ReservationAnswer,
        asked: &Reservation,
        keys: ReservationKeys<'_>,
        locked: &mut Locked<'_>,
    ) -> ReservationAnswer {
        let (ReservationAnswer::Granted(grant), Some(Step::Append(append))) =
            (&mut answer, &asked.step)
        else {
            return answer;
        };
        match self.groups.lock().append(append, self.shards.now()) {
            Some(joined) => {
                grant.step = Some(StepAnswer::Appended(joined));
                answer
            }
            None => {
                locked.end_hold(&Settlement::default(), asked, keys);
                ReservationAnswer::Full
            }
        }
    }
}

impl Default for MemoryState {
    fn default() -> Self {
        Self::new(&StateConfig::default(), &StateContext::default())
    }
}

#[async_trait]
impl State for MemoryState {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: false,
            shared: false,
            failover: Failover::Strong,
            writers: Writers::One,
            value_bytes_max: usize::MAX,
            totals: true,
        }
    }

    async fn ping(&self) -> Result<Fullness, StateError> {
        let keys = self.shards.level();
        let groups = self.groups.lock().level(self.shards.now());
        let mut letters = self.letters.lock();
        Ok(Fullness {
            keys,
            groups,
            poison: letters.level(DeadLetterKind::Poison),
            exhausted: letters.level(DeadLetterKind::Exhausted),
        })
    }
}

#[async_trait]
impl Holds for MemoryState {
    async fn gather(&self, questions: &[Question]) -> Result<Gathered, StateError> {
        let mut answers = Vec::with_capacity(questions.len());
        self.shards
            .visit(questions, Hashing::question, |locked, question, rest| {
                let own = take(1, rest);
                let time = self.shards.at(locked.now);
                answers.extend(own.iter().map(|key| locked.answer(question, *key, time)));
            });
        let now = self.shards.now();
        Ok(Gathered { now, answers })
    }

    async fn reserve(
        &self,
        reservations: &[Reservation],
        lease: Duration,
    ) -> Result<Vec<ReservationAnswer>, StateError> {
        let mut answers = Vec::with_capacity(reservations.len());
        let writes = |asked: &Reservation| matches!(asked.step, Some(Step::Write(_)));
        let locks = match reservations.iter().any(writes) {
            true => Locks::All,
            false => Locks::Named,
        };
        let names = Hashing::reservation;
        let mut refused = HashSet::new();
        self.shards
            .visit_under(locks, reservations, names, |locked, asked, rest| {
                let keys = ReservationKeys::of(asked, rest);
                let follows = match keys.event.is_some_and(|event| refused.contains(&event)) {
                    true => Follows::Refused,
                    false => Follows::Granted,
                };
                let answer = locked.reserve(asked, keys, lease, follows);
                let answer = self.with_member(answer, asked, keys, locked);
                if !matches!(answer, ReservationAnswer::Granted(_)) {
                    refused.extend(keys.event);
                }
                answers.push(answer);
            });
        Ok(answers)
    }

    async fn settle(
        &self,
        settlements: &[Settlement],
    ) -> Result<Vec<SettlementAnswer>, StateError> {
        let answers = self.store_letters(settlements);
        let mut each = answers.iter();
        let mut dropped = 0;
        self.shards
            .visit(settlements, Hashing::settlement, |locked, end, rest| {
                let keys = SettlementKeys::of(end, rest);
                if each.next() == Some(&SettlementAnswer::Applied) {
                    dropped += locked.settle(end, keys);
                }
            });
        self.counts_dropped.add(dropped);
        Ok(answers)
    }

    async fn renew(
        &self,
        held: &[Arc<Reservation>],
        lease: Duration,
    ) -> Result<Vec<bool>, StateError> {
        let mut kept = Vec::with_capacity(held.len());
        self.shards.visit(
            held,
            |hashing, held, into| hashing.reservation(held, into),
            |locked, held, rest| {
                let keys = ReservationKeys::of(held, rest);
                kept.push(locked.renew(held, keys, lease));
            },
        );
        Ok(kept)
    }

    async fn limit(&self, limits: &[RateLimit]) -> Result<Vec<LimitAnswer>, StateError> {
        let mut answers = Vec::with_capacity(limits.len());
        let mut dropped = 0;
        self.shards
            .visit(limits, Hashing::limit, |locked, limit, rest| {
                for key in take(1, rest) {
                    let answer = locked.limit(limit, *key);
                    dropped += usize::from(answer.is_none());
                    answers.push(answer.unwrap_or(uncounted(limit)));
                }
            });
        self.counts_dropped.add(dropped);
        Ok(answers)
    }
}

#[async_trait]
impl Events for MemoryState {
    async fn events(&self, query: &EventQuery) -> Result<EventPage, StateError> {
        Ok(self.shards.events(query))
    }

    async fn event(
        &self,
        scope: &Scope,
        event: &EventId,
    ) -> Result<Option<Arc<StoredEvent>>, StateError> {
        Ok(self.shards.event(scope, event))
    }
}

#[async_trait]
impl Silences for MemoryState {
    async fn write_silence(&self, write: &SilenceWrite) -> Result<SilenceAnswer, StateError> {
        let mut silences = self.silences.lock();
        Ok(silences.write(write, self.shards.now()))
    }

    async fn live_silences(&self, known: Option<u64>) -> Result<LiveSilences, StateError> {
        let silences = self.silences.lock();
        Ok(silences.live(known, self.shards.now()))
    }

    async fn silences(&self, query: &SilenceQuery) -> Result<SilencePage, StateError> {
        let silences = self.silences.lock();
        Ok(silences.list(query, self.shards.now()))
    }

    async fn silence(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Arc<StoredSilence>>, StateError> {
        let silences = self.silences.lock();
        let found = silences.find(id, self.shards.now());
        let shown = found.filter(|found| scope.shows_silence(&found.silence));
        Ok(shown.cloned())
    }
}

#[async_trait]
impl DeadLetters for MemoryState {
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<DeadLetterPage, StateError> {
        Ok(self.letters.lock().list(query))
    }

    async fn dead_letter(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Arc<DeadLetter>>, StateError> {
        Ok(self.letters.lock().find(scope, id))
    }

    async fn set_progress(
        &self,
        scope: &Scope,
        id: &str,
        progress: &DeliveryProgress,
    ) -> Result<bool, StateError> {
        Ok(self.letters.lock().set_progress(scope, id, progress))
    }

    async fn delete_dead_letter(&self, scope: &Scope, id: &str) -> Result<bool, StateError> {
        Ok(self.letters.lock().delete(scope, id))
    }
}

#[async_trait]
impl Toggles for MemoryState {
    async fn set_rule_enabled(&self, name: &str, enabled: bool) -> Result<(), StateError> {
        self.toggles.lock().insert(name.into(), enabled);
        Ok(())
    }

    async fn rule_toggles(&self) -> Result<Vec<(CompactString, bool)>, StateError> {
        let toggles = self.toggles.lock();
        Ok(toggles
            .iter()
            .map(|(name, enabled)| (name.clone(), *enabled))
            .collect())
    }
}

/// The answer under a key for which there is no room.
fn uncounted(limit: &RateLimit) -> LimitAnswer {
    LimitAnswer {
        limit: limit.max_count,
        remaining: limit.max_count,
        reset: Duration::ZERO,
        retry_after: None,
    }
}

/// Builds [`MemoryState`] from `[state]` with `backend = "memory"`.
pub struct MemoryStates;

#[async_trait]
impl Factory<States> for MemoryStates {
    const KIND: &'static str = "memory";
    type Config = StateConfig;

    async fn build(
        &self,
        config: StateConfig,
        context: StateContext,
    ) -> Result<Arc<dyn State>, BuildError> {
        events::begin_state();
        Ok(Arc::new(MemoryState::new(&config, &context)))
    }
}
