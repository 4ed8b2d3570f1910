//! One group with its members, and the groups that share a key.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use acteon_core::state::{
    Appended, EARLY_SEALS_MAX, GROUP_BYTES_MAX, GroupAppend, GroupMember, GroupName, GroupStatus,
    GroupTiming, StoredGroup, Token,
};
use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};

/// What a group takes besides its settings, notes and members, in bytes.
const GROUP_BYTES: usize = 512;
/// What a member takes besides its id and body: its entries in two tables.
const MEMBER_BYTES: usize = 128;

/// A group that is not closed.
pub(super) struct Group {
    pub(super) stored: StoredGroup,
    timing: GroupTiming,
    size_max: u32,
    pub(super) listed: Vec<GroupMember>,
    /// The ids of the members without bodies.
    omitted: Vec<CompactString>,
    /// The bytes of the listed bodies.
    body_bytes: usize,
    /// What it takes of the bound on all groups.
    pub(super) bytes: usize,
    pub(super) holder: Option<Token>,
    /// When it may be taken: when it is due, or when the lease of its holder ends.
    pub(super) free_at: Timestamp,
    /// The last holder, once it has released the group.
    pub(super) released_by: Option<Token>,
}

/// A group that was closed.
pub(super) struct ClosedGroup {
    pub(super) stored: StoredGroup,
    pub(super) closed_by: Token,
    ids: Vec<CompactString>,
    pub(super) bytes: usize,
}

impl Group {
    /// An empty group with the terms of the member that opens it.
    fn opened(append: &GroupAppend, now: Timestamp, quiet_until: Option<Timestamp>) -> Self {
        let due_at = match append.terms.timing {
            GroupTiming::Waits { wait, .. } => later(now, wait).max(quiet_until.unwrap_or(now)),
            GroupTiming::At(time) => time,
        };
        Self {
            stored: StoredGroup {
                name: GroupName {
                    key: append.key.clone(),
                    id: append.new_id.clone(),
                },
                status: GroupStatus::Pending,
                size: 0,
                omitted: 0,
                opened_at: now,
                last_at: now,
                due_at,
                settings: append.terms.settings.clone(),
                note: bytes::Bytes::new(),
            },
            timing: append.terms.timing,
            size_max: append.terms.size_max,
            listed: Vec::new(),
            omitted: Vec::new(),
            body_bytes: 0,
            bytes: GROUP_BYTES + append.terms.settings.len(),
            holder: None,
            free_at: due_at,
            released_by: None,
        }
    }

    fn add(&mut self, member: &GroupMember, now: Timestamp) {
        self.stored.size = self.stored.size.saturating_add(1);
        self.stored.last_at = now;
        self.bytes += member.id.len() + MEMBER_BYTES;
        let has_place = self.listed.len() < self.size_max as usize;
        if has_place && self.body_bytes + member.body.len() <= GROUP_BYTES_MAX {
            self.body_bytes += member.body.len();
            self.bytes += member.body.len();
            self.listed.push(member.clone());
        } else {
            self.stored.omitted = self.stored.omitted.saturating_add(1);
            self.omitted.push(member.id.clone());
        }
    }

    fn ids(&self) -> impl Iterator<Item = &CompactString> {
        let listed = self.listed.iter().map(|member| &member.id);
        listed.chain(&self.omitted)
    }

    fn closed(mut self, status: GroupStatus, closed_by: Token) -> ClosedGroup {
        self.stored.status = status;
        let ids: Vec<_> = self.ids().cloned().collect();
        ClosedGroup {
            bytes: self.bytes - self.body_bytes,
            stored: self.stored,
            closed_by,
            ids,
        }
    }
}

/// What a member takes of the bound on all groups. It may also open a group.
pub(super) fn cost(append: &GroupAppend) -> usize {
    let member = &append.member;
    let opening = GROUP_BYTES + append.terms.settings.len();
    member.id.len() + MEMBER_BYTES + member.body.len() + opening
}

/// The groups that share a key.
#[derive(Default)]
pub(super) struct KeyGroups {
    pub(super) open: Option<Group>,
    pub(super) sealed: Option<Group>,
    /// In the order in which they were closed.
    pub(super) closed: Vec<ClosedGroup>,
    /// The group of each known member.
    members: HashMap<CompactString, CompactString>,
    /// The next group is not due before this.
    quiet_until: Option<Timestamp>,
    /// When groups were sealed because they had reached their size.
    early_seals: VecDeque<Timestamp>,
}

impl KeyGroups {
    /// What a member that is known here has joined.
    pub(super) fn joined(&self, member: &str) -> Option<Appended> {
        let id = self.members.get(member)?;
        self.all()
            .find(|stored| stored.name.id == *id)
            .map(appended)
    }

    /// Adds a member that is not known yet.
    pub(super) fn add(&mut self, append: &GroupAppend, now: Timestamp) -> Appended {
        let quiet_until = self.quiet_until;
        let opened = || Group::opened(append, now, quiet_until);
        let open = self.open.get_or_insert_with(opened);
        open.add(&append.member, now);
        let joined = appended(&open.stored);
        let known = (append.member.id.clone(), joined.group_id.clone());
        self.members.insert(known.0, known.1);
        joined
    }

    /// Whether the open group has reached its size and may be sealed for that.
    pub(super) fn is_due_by_size(&mut self, now: Timestamp) -> bool {
        let (None, Some(open)) = (&self.sealed, &self.open) else {
            return false;
        };
        let GroupTiming::Waits { interval, .. } = open.timing else {
            return false;
        };
        if open.stored.size < open.size_max {
            return false;
        }
        while self
            .early_seals
            .front()
            .is_some_and(|seal| later(*seal, interval) <= now)
        {
            self.early_seals.pop_front();
        }
        if self.early_seals.len() >= EARLY_SEALS_MAX {
            return false;
        }
        self.early_seals.push_back(now);
        true
    }

    /// Seals the open group: it takes no more members and is due at once.
    pub(super) fn seal(&mut self, now: Timestamp) {
        let Some(mut open) = self.open.take() else {
            return;
        };
        open.stored.status = GroupStatus::Delivering;
        open.stored.due_at = open.stored.due_at.min(now);
        open.free_at = now;
        if let GroupTiming::Waits { interval, .. } = open.timing {
            self.quiet_until = Some(later(now, interval));
        }
        self.sealed = Some(open);
    }

    /// Closes the sealed group. Returns until when it is kept: while its key rests, and at least until `least`.
    pub(super) fn close(
        &mut self,
        status: GroupStatus,
        closed_by: Token,
        least: Timestamp,
    ) -> Timestamp {
        let sealed = self.sealed.take();
        self.closed
            .extend(sealed.map(|sealed| sealed.closed(status, closed_by)));
        self.quiet_until.map_or(least, |quiet| quiet.max(least))
    }

    /// Forgets a closed group. Returns its bytes.
    pub(super) fn forget(&mut self, id: &str) -> usize {
        let found = self.closed.iter().position(|one| one.stored.name.id == id);
        let Some(at) = found else {
            return 0;
        };
        let closed = self.closed.remove(at);
        for member in &closed.ids {
            self.members.remove(member);
        }
        closed.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_none() && self.sealed.is_none() && self.closed.is_empty()
    }

    /// The open group, else the sealed one, else the one closed last, comes first.
    pub(super) fn all(&self) -> impl Iterator<Item = &StoredGroup> {
        let open = self
            .open
            .iter()
            .chain(&self.sealed)
            .map(|group| &group.stored);
        open.chain(self.closed.iter().rev().map(|closed| &closed.stored))
    }
}

fn appended(stored: &StoredGroup) -> Appended {
    Appended {
        group_id: stored.name.id.clone(),
        size: stored.size,
        due_at: stored.due_at,
    }
}

pub(super) fn later(time: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}
