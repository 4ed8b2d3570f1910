//! Implements the state port: each call is one transaction or a part of one.

mod call;
mod dead_letters;
mod due;
mod event_rows;
mod event_views;
mod events;
mod flushes;
mod group_rows;
mod group_views;
mod grouping;
mod groups;
mod keys;
mod letters;
mod levels;
mod outcomes;
mod reserve;
mod settle;
mod silences;
mod slots;
mod steps;
mod sweep;
mod toggles;

use std::sync::Arc;
use std::time::Duration;

use acteon_core::registry::{BuildError, Factory};
use acteon_core::state::{
    Answer, Capabilities, Failover, FillLevel, Fullness, Gathered, Holds, LimitAnswer, Question,
    RateLimit, Reservation, ReservationAnswer, Settlement, SettlementAnswer, State, StateContext,
    StateError, States, TallyCount, Toggles, Writers,
};
use acteon_core::{Clock, DeadLetterKind, Embedded};
use async_trait::async_trait;
use compact_str::{CompactString, format_compact};
use parking_lot::Mutex;
use rusqlite::Connection;

use self::call::{StateCall, read_counts};
use self::keys::{
    HashedQuestion, HashedQuota, HashedRequest, HashedReservation, HashedSettlement, HashedTally,
};
use self::letters::LetterBounds;
use self::levels::{group_bytes, keys_kept};
use self::settle::Dropped;
use self::sweep::Sweeper;
#[cfg(test)]
pub(crate) use self::{
    due::DUE, event_views::events_page, group_views::page_of, silences::silences_page,
};
use crate::config::SqliteStateOptions;
use crate::error::Error;
use crate::events::StateEvents;
use crate::files::SqliteFiles;
use crate::store::Store;
use crate::time::{duration_of, length_of, nanos_of, time_of};

/// The longest time, in nanoseconds, by which a call may be older than the one before. More is a clock that was set.
const OUT_OF_ORDER: i64 = 10_000_000_000;

/// The state in a file.
pub struct SqliteState {
    store: Arc<Store>,
    shared: Arc<Shared>,
    clock: Clock,
    events: StateEvents,
}

/// What the calls share.
struct Shared {
    keys_max: i64,
    outcomes: OutcomeLimits,
    letters: LetterBounds,
    groups: GroupBounds,
    upkeep: Mutex<Upkeep>,
}

/// What one call leaves to the next.
#[derive(Default)]
struct Upkeep {
    sweeper: Sweeper,
    /// The time of the last call, in nanoseconds since 1970.
    last: i64,
}

impl Upkeep {
    /// Calls read the clock before they wait for each other. In their order, time does not go back by so little.
    fn rising(&mut self, now: i64) -> i64 {
        let is_out_of_order = (0..OUT_OF_ORDER).contains(&self.last.saturating_sub(now));
        self.last = if is_out_of_order { self.last } else { now };
        self.last
    }
}

/// The bounds on groups.
#[derive(Clone, Copy)]
struct GroupBounds {
    bytes_max: i64,
    /// How long a closed group is kept, in nanoseconds.
    closed_for: i64,
}

/// The bounds on remembered outcomes.
#[derive(Clone, Copy)]
struct OutcomeLimits {
    count_max: i64,
    bytes_max: i64,
}

impl SqliteState {
    pub(crate) fn in_store(
        store: Arc<Store>,
        options: &SqliteStateOptions,
        context: &StateContext,
    ) -> Self {
        Self {
            store,
            shared: Arc::new(Shared {
                keys_max: options.max_keys.get().into(),
                outcomes: OutcomeLimits {
                    count_max: options.max_remembered.into(),
                    bytes_max: options.max_remembered_bytes.into(),
                },
                letters: LetterBounds {
                    bounds: context.dead_letters,
                    bytes_max: i64::try_from(options.max_dead_letter_bytes).unwrap_or(i64::MAX),
                },
                groups: GroupBounds {
                    bytes_max: i64::try_from(options.max_group_bytes).unwrap_or(i64::MAX),
                    closed_for: length_of(context.closed_groups),
                },
                upkeep: Mutex::default(),
            }),
            clock: context.clock,
            events: StateEvents::begin(),
        }
    }

    /// Does `work` in a transaction.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut StateCall<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = self.shared.clone();
        let now = nanos_of(self.clock.now());
        let write = move |connection: &Connection| {
            let mut call = StateCall::begin(connection, &shared, now)?;
            let result = work(&mut call)?;
            call.finish()?;
            Ok(result)
        };
        self.store.write(write).await
    }

    /// Reads with the bounds on letters, at this time.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &Shared, i64) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = self.shared.clone();
        let now = nanos_of(self.clock.now());
        let read = move |connection: &Connection| work(connection, &shared, now);
        self.store.read(read).await
    }
}

#[async_trait]
impl State for SqliteState {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            shared: false,
            failover: Failover::Strong,
            writers: Writers::One,
            // SQLite stores no longer value, and a row has a little more.
            value_bytes_max: 999_000_000,
            totals: true,
        }
    }

    fn embedded(&self) -> Option<Arc<dyn Embedded>> {
        Some(self.store.clone())
    }

    async fn ping(&self) -> Result<Fullness, StateError> {
        self.store.probe().await?;
        let level = |connection: &Connection, shared: &Shared, now: i64| {
            let letters = |kind| shared.letters.level(connection, kind, now);
            Ok(Fullness {
                keys: level_of(keys_kept(connection)?, shared.keys_max),
                groups: FillLevel::of_groups(
                    group_bytes(connection)?.unsigned_abs(),
                    shared.groups.bytes_max.unsigned_abs(),
                ),
                poison: letters(DeadLetterKind::Poison)?,
                exhausted: letters(DeadLetterKind::Exhausted)?,
            })
        };
        let fullness = self.read(level).await?;
        if fullness.keys.full.is_none() {
            return Ok(fullness);
        }
        // Keys that have expired are deleted as new ones arrive, and none arrive while there is no room.
        self.call(|call| call.has_room(1)).await?;
        Ok(self.read(level).await?)
    }
}

fn level_of(kept: i64, max: i64) -> FillLevel {
    FillLevel {
        kept: kept.unsigned_abs(),
        full: (kept >= max).then(|| format_compact!("{kept} of {max} keys")),
    }
}

#[async_trait]
impl Holds for SqliteState {
    async fn gather(&self, questions: &[Question]) -> Result<Gathered, StateError> {
        let questions: Vec<_> = questions.iter().map(HashedQuestion::of).collect();
        let gather = move |connection: &Connection, _: &Shared, now: i64| {
            let answers = questions
                .iter()
                .map(|question| answer(connection, question, now));
            Ok(Gathered {
                now: time_of(now),
                answers: answers.collect::<Result<_, _>>()?,
            })
        };
        Ok(self.read(gather).await?)
    }

    async fn reserve(
        &self,
        reservations: &[Reservation],
        lease: Duration,
    ) -> Result<Vec<ReservationAnswer>, StateError> {
        let hashed = reservations.iter().map(HashedRequest::of);
        let hashed: Vec<_> = hashed.collect::<Result<_, _>>().map_err(Error::from)?;
        let lease = length_of(lease);
        let reserve = move |call: &mut StateCall<'_>| call.reserve_all(&hashed, lease);
        let answers = self.call(reserve).await?.into_iter();
        let named = answers.zip(reservations);
        Ok(named.map(|(answer, asked)| answer.answer(asked)).collect())
    }

    async fn settle(
        &self,
        settlements: &[Settlement],
    ) -> Result<Vec<SettlementAnswer>, StateError> {
        let hashed: Vec<_> = settlements.iter().map(HashedSettlement::of).collect();
        let settle = move |call: &mut StateCall<'_>| {
            let mut dropped = Dropped::default();
            let answers = hashed.iter().map(|end| call.settle(end, &mut dropped));
            let answers = answers.collect::<Result<Vec<_>, _>>()?;
            Ok((answers, dropped))
        };
        let (answers, dropped) = self.call(settle).await?;
        self.events.counts_dropped(dropped.counts);
        self.events.dead_letters_evicted(dropped.letters);
        Ok(answers)
    }

    async fn renew(
        &self,
        held: &[Arc<Reservation>],
        lease: Duration,
    ) -> Result<Vec<bool>, StateError> {
        let held = held.iter().map(|held| HashedReservation::of(held));
        let held: Vec<_> = held.collect();
        let lease = length_of(lease);
        let renew = move |call: &mut StateCall<'_>| {
            let kept = held.iter().map(|held| call.renew(held, lease));
            kept.collect::<Result<Vec<_>, _>>()
        };
        Ok(self.call(renew).await?)
    }

    async fn limit(&self, limits: &[RateLimit]) -> Result<Vec<LimitAnswer>, StateError> {
        let hashed: Vec<_> = limits.iter().map(HashedQuota::of_limit).collect();
        let limit = move |call: &mut StateCall<'_>| {
            let answers = hashed.iter().map(|limit| call.limit(limit));
            answers.collect::<Result<Vec<_>, _>>()
        };
        let answers = self.call(limit).await?;
        let dropped = answers.iter().filter(|answer| answer.is_none()).count();
        self.events.counts_dropped(dropped);
        let answers = answers.into_iter().zip(limits);
        Ok(answers
            .map(|(answer, limit)| answer.unwrap_or(uncounted(limit)))
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

fn answer(connection: &Connection, question: &HashedQuestion, now: i64) -> Result<Answer, Error> {
    Ok(match question {
        HashedQuestion::Tally(tally) => Answer::Tally(tallied(connection, tally, now)?),
        HashedQuestion::EventState { event, grace } => {
            Answer::EventState(event_views::state_of(connection, (event, *grace), now)?)
        }
        HashedQuestion::Event(key) => Answer::Event(event_views::find(connection, key, now)?),
        HashedQuestion::ActiveEvent { entry, grace } => {
            Answer::ActiveEvent(event_views::is_active(connection, (entry, *grace), now)?)
        }
    })
}

fn tallied(connection: &Connection, tally: &HashedTally, now: i64) -> Result<TallyCount, Error> {
    let mut counts = read_counts(connection, &tally.key)?.unwrap_or_default();
    counts.leave(tally.window, now);
    let last = counts.last();
    Ok(TallyCount {
        count: counts.total(),
        last: last.map(|last| duration_of(now.saturating_sub(last))),
    })
}

#[async_trait]
impl Toggles for SqliteState {
    async fn set_rule_enabled(&self, name: &str, enabled: bool) -> Result<(), StateError> {
        let name = name.to_owned();
        let set = move |connection: &Connection| toggles::set(connection, &name, enabled);
        Ok(self.store.write(set).await?)
    }

    async fn rule_toggles(&self) -> Result<Vec<(CompactString, bool)>, StateError> {
        Ok(self.store.read(toggles::all).await?)
    }
}

/// Builds [`SqliteState`] from `[state]` with `backend = "sqlite"`.
pub struct SqliteStates {
    files: SqliteFiles,
}

impl SqliteStates {
    /// With the files that the audit trail may share.
    pub fn new(files: SqliteFiles) -> Self {
        Self { files }
    }
}

#[async_trait]
impl Factory<States> for SqliteStates {
    const KIND: &'static str = "sqlite";
    type Config = SqliteStateOptions;

    async fn build(
        &self,
        config: SqliteStateOptions,
        context: StateContext,
    ) -> Result<Arc<dyn State>, BuildError> {
        let store = self
            .files
            .at(&context.folder, &config.path, config.synchronous)?;
        Ok(Arc::new(SqliteState::in_store(store, &config, &context)))
    }
}
