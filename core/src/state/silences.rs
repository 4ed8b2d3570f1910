//! Silences in the state. Every instance keeps a copy of those that may still withhold something.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use compact_str::CompactString;
use jiff::Timestamp;

use super::StateError;
use crate::scope::{Pattern, Scope};
use crate::silence::{EVERY_NAME, Silence};

/// How long an ended silence is listed.
pub const EXPIRED_SILENCE_TTL: Duration = Duration::from_secs(7 * 86_400);

/// Writes and lists silences.
#[async_trait]
pub trait Silences: Send + Sync {
    /// Writes a silence, if it has the expected version.
    /// - The first write expects version 0; each write makes the next version. A conflict answers the present silence.
    ///   Clauses: `a_silence_is_written_and_found`, `a_silence_is_not_written_over_another_write`.
    /// - A new silence of a namespace and tenant that have [`live_max`](SilenceWrite::live_max) which are not finished
    ///   is refused. Clause: `silences_are_bounded_by_namespace_and_tenant`.
    /// - Silences survive a restart of a durable backend. Clause: `silences_survive_where_they_are_durable`.
    async fn write_silence(&self, write: &SilenceWrite) -> Result<SilenceAnswer, StateError>;

    /// Returns all silences that are not finished, unless nothing was written since the revision that the caller knows.
    /// - A write is seen by the next call of every instance. Clauses: `live_silences_are_those_that_are_not_finished`,
    ///   `instances_see_each_others_silences`.
    /// - The silences of a known revision are not sent again. Clause: `a_known_revision_of_silences_is_not_sent_again`.
    async fn live_silences(&self, known: Option<u64>) -> Result<LiveSilences, StateError>;

    /// Lists the silences inside the query's scope, the one created last first. Clauses:
    /// `silences_are_listed_page_by_page_newest_first`, `no_caller_sees_a_silence_outside_their_scope`.
    /// - A silence is forgotten [`EXPIRED_SILENCE_TTL`] after its end. Clause:
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
    /// How many unfinished silences a namespace and tenant may have.
    pub live_max: usize,
}

/// What became of a write.
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

/// The silences that may still withhold something, or whose events must still be told.
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
    /// Continues after this id: the [`SilencePage::next`] of the previous page.
    pub after: Option<CompactString>,
    /// The maximum page length.
    pub limit: usize,
}

impl SilenceQuery {
    /// True if it lists this silence.
    pub fn accepts(&self, silence: &Silence) -> bool {
        let is_of = |wanted: &Option<CompactString>, names: &str| {
            let is = |wanted: &CompactString| names == EVERY_NAME || wanted == names;
            wanted.as_ref().is_none_or(is)
        };
        is_of(&self.namespace, &silence.namespace)
            && is_of(&self.tenant, &silence.tenant)
            && self.scope.shows_silence(silence)
    }
}

/// One page of silences.
#[derive(Clone, Debug, Default)]
pub struct SilencePage {
    /// The one created last first.
    pub silences: Vec<Arc<StoredSilence>>,
    /// The id of the last one, if there are more.
    pub next: Option<CompactString>,
}

impl Scope {
    /// True if the scope shows this silence: it withholds some of the caller's actions.
    pub fn shows_silence(&self, silence: &Silence) -> bool {
        let any = |patterns: &[Pattern], name: &str| {
            name == EVERY_NAME || patterns.iter().any(|pattern| pattern.matches(name))
        };
        let mut grants = self.grants().iter();
        grants.any(|grant| {
            any(&grant.namespaces, &silence.namespace) && any(&grant.tenants, &silence.tenant)
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
                && all(&grant.action_types, silence.action_type().unwrap_or(EVERY_NAME))
        })
    }
}
