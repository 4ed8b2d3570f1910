//! Silences in the state. Every instance keeps a copy of the ones that are not finished.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use compact_str::CompactString;
use jiff::Timestamp;

use super::StateError;
use crate::scope::{Pattern, Scope};
use crate::silence::{EVERY_NAME, Silence, SilencePhase};

/// How long a finished silence is listed after its end.
pub const EXPIRED_SILENCE_TTL: Duration = Duration::from_secs(7 * 86_400);

/// Writes and lists silences.
#[async_trait]
pub trait Silences: Send + Sync {
    /// Writes a silence, if it has the expected version.
    /// - The first write expects version 0; each write makes the next version. A conflict answers the present silence.
    ///   Clauses: `a_silence_is_written_and_found`, `a_silence_is_not_written_over_another_write`.
    /// - A new silence is refused if its namespace and tenant have [`live_max`](SilenceWrite::live_max) that have not
    ///   ended by the backend's time, or [`unfinished_max`](SilenceWrite::unfinished_max) that are not finished. Of
    ///   finished ones `live_max` are kept. Clauses: `silences_are_bounded_by_namespace_and_tenant`,
    ///   `finished_silences_make_room_for_each_other`,
    ///   `of_64_tasks_at_once_no_more_silences_than_the_bound_are_written`.
    /// - Of writes of the same version, one is made. Clauses: `a_silence_written_twice_is_written_once`,
    ///   `of_64_tasks_that_write_the_same_silence_one_wins`.
    /// - Silences survive a restart of a durable backend, and their revision rises through it. Clause:
    ///   `silences_survive_where_they_are_durable`.
    async fn write_silence(&self, write: &SilenceWrite) -> Result<SilenceAnswer, StateError>;

    /// Returns all silences that are not finished, unless nothing was written since the revision that the caller knows.
    /// - A write is seen by the next call of every instance. Clauses: `live_silences_are_those_that_are_not_finished`,
    ///   `instances_see_each_others_silences`.
    /// - The silences of a known revision are not sent again. Clause: `a_known_revision_of_silences_is_not_sent_again`.
    async fn live_silences(&self, known: Option<u64>) -> Result<LiveSilences, StateError>;

    /// Lists the silences inside the query's scope, the one with the greatest id first: the one created last.
    /// - Pages follow each other without gaps or repetitions while nothing is written. Clause:
    ///   `silences_are_listed_page_by_page_newest_first`.
    /// - Only silences that match the query are listed. Clause: `silences_are_filtered_by_names_and_phase`.
    /// - Callers see what withholds some of their actions. Clause: `no_caller_sees_a_silence_outside_their_scope`.
    /// - A finished silence is forgotten [`EXPIRED_SILENCE_TTL`] after its end. Clause:
    ///   `an_ended_silence_is_listed_for_a_week`.
    async fn silences(&self, query: &SilenceQuery) -> Result<SilencePage, StateError>;

    /// Returns one silence, if it is inside the scope. Clause: `no_caller_sees_a_silence_outside_their_scope`.
    async fn silence(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Arc<StoredSilence>>, StateError>;
}

/// Writes a silence if it was not written meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilenceWrite {
    /// What it becomes.
    pub silence: Silence,
    /// The version that it must have. 0: there must be none of this id.
    pub expected: u64,
    /// How many silences that have not ended a namespace and tenant may have, and how many finished ones are kept of
    /// them: the ones that ended last.
    pub live_max: usize,
}

impl SilenceWrite {
    /// How many unfinished silences a namespace and tenant may have. Those among them that have ended are finished
    /// within seconds, so they take no place of a new one; but there may only be so many.
    pub fn unfinished_max(&self) -> usize {
        self.live_max.saturating_mul(2)
    }
}

/// The outcome of a write of a silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SilenceAnswer {
    /// The silence has this version now.
    Written(u64),
    /// It has another version. `None`: there is none of this id.
    Conflict(Option<Arc<StoredSilence>>),
    /// The namespace and tenant have as many as they may have.
    Full,
}

/// A silence in the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSilence {
    /// Counts its writes, from 1.
    pub version: u64,
    /// The last one.
    pub silence: Silence,
}

impl StoredSilence {
    /// True if it is finished, and ended too long ago to be listed.
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        let age = Duration::try_from(now.duration_since(self.silence.ends_at));
        self.silence.is_finished && age.is_ok_and(|age| age >= EXPIRED_SILENCE_TTL)
    }
}

/// The silences that may still withhold something, or whose withheld notices are not delivered yet.
#[derive(Clone, Debug)]
pub struct LiveSilences {
    /// The backend's time.
    pub now: Timestamp,
    /// Changes with each write.
    pub revision: u64,
    /// `None`: those of the known revision.
    pub silences: Option<Vec<Arc<StoredSilence>>>,
}

/// Selects the silences to list.
#[derive(Clone, Debug)]
pub struct SilenceQuery {
    /// The scope of the caller.
    pub scope: Scope,
    /// Only silences that withhold actions of this namespace.
    pub namespace: Option<CompactString>,
    /// Only silences that withhold actions of this tenant.
    pub tenant: Option<CompactString>,
    /// Only silences that are in this phase by the backend's time.
    pub phase: Option<SilencePhase>,
    /// Continues after this id: the [`SilencePage::next`] of the previous page.
    pub after: Option<CompactString>,
    /// The maximum page length.
    pub limit: usize,
}

impl SilenceQuery {
    /// True if it lists this silence at this time, wherever the page begins.
    pub fn accepts(&self, silence: &Silence, now: Timestamp) -> bool {
        let is_of = |wanted: &Option<CompactString>, names: &str| {
            let is = |wanted: &CompactString| names == EVERY_NAME || wanted == names;
            wanted.as_ref().is_none_or(is)
        };
        is_of(&self.namespace, &silence.namespace)
            && is_of(&self.tenant, &silence.tenant)
            && self.phase.is_none_or(|phase| silence.phase(now) == phase)
            && self.scope.shows_silence(silence)
    }
}

/// One page of silences.
#[derive(Clone, Debug)]
pub struct SilencePage {
    /// The backend's time.
    pub now: Timestamp,
    /// The one created last first.
    pub silences: Vec<Arc<StoredSilence>>,
    /// The id of the last one, if there are more.
    pub next: Option<CompactString>,
}

impl Scope {
    /// True if the scope shows this silence: it withholds some of the caller's actions.
    pub fn shows_silence(&self, silence: &Silence) -> bool {
        let any = |patterns: &[Pattern], name: &str| {
            let mut patterns = patterns.iter();
            patterns.any(|pattern| name == EVERY_NAME || pattern.matches(name))
        };
        let mut grants = self.grants().iter();
        grants.any(|grant| {
            any(&grant.namespaces, &silence.namespace)
                && any(&grant.tenants, &silence.tenant)
                && any(
                    &grant.action_types,
                    silence.action_type().unwrap_or(EVERY_NAME),
                )
        })
    }

    /// True if a caller may create or change this silence: a grant covers everything that it withholds.
    pub fn covers_silence(&self, silence: &Silence) -> bool {
        let all = |patterns: &[Pattern], name: &str| match name {
            EVERY_NAME => patterns.contains(&Pattern::Any),
            name => patterns.iter().any(|pattern| pattern.matches(name)),
        };
        let mut grants = self.grants().iter();
        grants.any(|grant| {
            all(&grant.namespaces, &silence.namespace)
                && all(&grant.tenants, &silence.tenant)
                && all(
                    &grant.action_types,
                    silence.action_type().unwrap_or(EVERY_NAME),
                )
        })
    }
}
