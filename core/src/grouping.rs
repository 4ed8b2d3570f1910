//! What operators see of groups, and do with them. Implemented by the pipeline, which knows what is stored in a group.

use async_trait::async_trait;
use compact_str::CompactString;
use thiserror::Error;

use crate::action::{Labels, Payload};
use crate::delivery::Caller;
use crate::scope::Scope;
use crate::state::{GroupKey, GroupQuery, StateError, StoredGroup};

/// A group as operators see it.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// The group as stored.
    pub group: StoredGroup,
    /// The provider of its summary.
    pub provider: CompactString,
    /// The fields that its members have in common, with their values.
    pub labels: Labels,
}

/// One page of groups.
#[derive(Clone, Debug, Default)]
pub struct GroupViews {
    /// The newest first.
    pub groups: Vec<GroupView>,
    /// True if more follow the last one.
    pub more: bool,
}

/// A group that was flushed by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlushedGroup {
    /// Its id.
    pub group_id: CompactString,
    /// The number of its members.
    pub event_count: u32,
    /// True if its summary was delivered.
    pub notified: bool,
}

/// Why a group was not flushed.
#[derive(Debug, Error)]
pub enum FlushError {
    /// No group waits under the key.
    #[error("no group waits under this key")]
    Absent,
    /// Its summary is being delivered.
    #[error("the group is being delivered")]
    Delivering,
    /// The state backend did not answer.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Shows groups, and flushes them by hand.
#[async_trait]
pub trait GroupAdmin: Send + Sync {
    /// The groups that match the query.
    async fn list(&self, query: &GroupQuery) -> Result<GroupViews, StateError>;

    /// The current group of each rule under a key.
    async fn find(&self, scope: &Scope, key: &str) -> Result<Vec<GroupView>, StateError>;

    /// The payloads of the members that are listed, while the group is not closed.
    async fn events(&self, view: &GroupView) -> Result<Vec<Payload>, StateError>;

    /// Flushes the group that waits under a key, and waits for the end of its delivery.
    async fn flush(&self, key: &GroupKey, caller: Caller) -> Result<FlushedGroup, FlushError>;
}
