//! Groups as the state keeps them: members are collected under a key until their summary is due. How a summary looks, and
//! what the opaque bytes mean, is left to the pipeline.

use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;

use super::Token;
use crate::scope::Scope;

/// The action type of summaries. It decides which callers see a group.
pub const GROUP_NOTIFICATION: &str = "group_notification";
/// The beginning of the position of a summary; the id of the group follows.
pub const SUMMARY_STREAM: &str = "groups/";
/// The maximum number of bytes of the members of one group. Later members are counted, and their bodies left out.
pub const GROUP_BYTES_MAX: usize = 256 * 1024;
/// How often reaching its size makes a group due within one interval.
pub const EARLY_SEALS_MAX: usize = 10;
/// How long a closed group is listed, and its members are known, by default.
pub const CLOSED_GROUP_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// What the members of a group have in common. At most one open and one sealed group exist under it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKey {
    /// The namespace of all members.
    pub namespace: CompactString,
    /// The tenant of all members.
    pub tenant: CompactString,
    /// The rule that groups them.
    pub rule: CompactString,
    /// The key that clients see. Two rules may share one.
    pub key: CompactString,
}

impl GroupKey {
    /// True if a caller with this scope may see the group.
    pub fn is_inside(&self, scope: &Scope) -> bool {
        scope.covers(&self.namespace, &self.tenant, GROUP_NOTIFICATION)
    }
}

/// One group under its key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupName {
    /// Its key.
    pub key: GroupKey,
    /// Its id.
    pub id: CompactString,
}

/// When a group is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupTiming {
    /// `wait` after its first member, and no sooner than `interval` after the last group of the same key was sealed.
    /// Reaching its size makes it due at once.
    #[allow(missing_docs)]
    Waits { wait: Duration, interval: Duration },
    /// At this time, whatever its size.
    At(Timestamp),
}

/// What is frozen into a group when it opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupTerms {
    /// When it is due.
    pub timing: GroupTiming,
    /// How many members keep their bodies.
    pub size_max: u32,
    /// The pipeline's own settings.
    pub settings: Bytes,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// The id of the action. It joins a group once.
    pub id: CompactString,
    /// The action, encoded by the pipeline.
    pub body: Bytes,
}

/// Adds a member to the open group of a key, or opens one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupAppend {
    /// The key.
    pub key: GroupKey,
    /// The id of the group, if this opens it.
    pub new_id: CompactString,
    /// The terms of the group, if this opens it.
    pub terms: GroupTerms,
    /// The member.
    pub member: GroupMember,
}

/// The group that a member has joined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its id.
    pub group_id: CompactString,
    /// Its number of members.
    pub size: u32,
    /// When it is due.
    pub due_at: Timestamp,
}

/// How far a group has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupStatus {
    /// It takes members.
    Pending,
    /// It is sealed, and its summary is not delivered yet.
    Delivering,
    /// It is closed: its summary was delivered, or no member was left.
    Notified,
    /// It is closed: its summary became a dead letter.
    Failed,
}

/// A group as stored, without its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGroup {
    /// Its name.
    pub name: GroupName,
    /// How far it has come.
    pub status: GroupStatus,
    /// The number of its members.
    pub size: u32,
    /// The number of members that are counted only.
    pub omitted: u32,
    /// When its first member joined.
    pub opened_at: Timestamp,
    /// When its last member joined.
    pub last_at: Timestamp,
    /// When it is due; once it is sealed, when it falls due again; once it is closed, when it was.
    pub due_at: Timestamp,
    /// The pipeline's settings.
    pub settings: Bytes,
    /// What the pipeline has written down about the flush; empty if nothing.
    pub note: Bytes,
}

/// The holder of a taken group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldGroup {
    /// The group.
    pub name: GroupName,
    /// The token that it was taken with.
    pub token: Token,
}

/// Ends the hold of a taken group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupFinish {
    /// The group and its holder.
    pub held: HeldGroup,
    /// What happens to it.
    pub end: GroupEnd,
}

/// What happens to a taken group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupEnd {
    /// It is closed: its summary was delivered, or nothing was left to deliver.
    Notified,
    /// It is closed: its summary became a dead letter.
    Failed,
    /// It falls due again after this time, with this note.
    #[allow(missing_docs)]
    Release { after: Duration, note: Bytes },
}

/// The outcome of taking a group by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenGroup {
    /// It is sealed and held.
    Taken(Box<StoredGroup>),
    /// It is being delivered by another holder.
    Held,
    /// No group waits under the key.
    Absent,
}

/// Selects groups to list.
#[derive(Clone, Debug)]
pub struct GroupQuery {
    /// The scope of the caller.
    pub scope: Scope,
    /// Only this namespace.
    pub namespace: Option<CompactString>,
    /// Only this tenant.
    pub tenant: Option<CompactString>,
    /// Continues after the group of this id: the last one of the previous page.
    pub after: Option<CompactString>,
    /// The maximum page length.
    pub limit: usize,
}

impl GroupQuery {
    /// True if a group is inside the scope and every filter matches.
    pub fn matches(&self, group: &GroupKey) -> bool {
        let is = |filter: &Option<CompactString>, value: &CompactString| {
            filter.as_ref().is_none_or(|wanted| wanted == value)
        };
        is(&self.namespace, &group.namespace)
            && is(&self.tenant, &group.tenant)
            && group.is_inside(&self.scope)
    }
}

/// One page of groups.
#[derive(Clone, Debug, Default)]
pub struct GroupPage {
    /// Those with the greatest id first, which are the newest.
    pub groups: Vec<StoredGroup>,
    /// True if more follow the last one.
    pub more: bool,
}

/// One page of the members of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberPage {
    /// In the order in which they joined.
    pub members: Vec<GroupMember>,
    /// The start of the next page, if there is one.
    pub next: Option<u32>,
}
