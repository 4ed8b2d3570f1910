//! The groups of this process, by key and by due time. `groups/group.rs` has the groups of one key.

mod group;

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use acteon_core::scope::Scope;
use acteon_core::state::{
    Appended, FillLevel, GroupAppend, GroupEnd, GroupFinish, GroupKey, GroupName, GroupPage,
    GroupQuery, GroupStatus, HeldGroup, MemberPage, StoredGroup, TakenGroup, Token,
};
use bytes::Bytes;
use jiff::Timestamp;

use group::{Group, KeyGroups, cost, later};

/// All groups, by key.
pub(crate) struct GroupTable {
    keys: HashMap<GroupKey, KeyGroups>,
    /// Sealed groups, and open ones whose key has no sealed one.
    due: BTreeSet<(Timestamp, GroupKey)>,
    /// The groups that were taken with a token and not finished.
    taken: HashMap<Token, Vec<GroupKey>>,
    /// When closed groups are forgotten.
    closed: BTreeSet<(Timestamp, GroupName)>,
    bytes: usize,
    bytes_max: usize,
    /// How long a closed group is kept.
    closed_for: Duration,
}

/// Who takes groups, until when, and the time.
#[derive(Clone, Copy)]
pub(crate) struct Taker {
    pub(crate) token: Token,
    pub(crate) until: Timestamp,
    pub(crate) now: Timestamp,
}

impl Taker {
    /// A holder with a lease that begins now.
    pub(crate) fn new(token: Token, lease: Duration, now: Timestamp) -> Self {
        let until = later(now, lease);
        Self { token, until, now }
    }
}

impl GroupTable {
    pub(crate) fn new(bytes_max: usize, closed_for: Duration) -> Self {
        Self {
            keys: HashMap::new(),
            due: BTreeSet::new(),
            taken: HashMap::new(),
            closed: BTreeSet::new(),
            bytes: 0,
            bytes_max,
            closed_for,
        }
    }

    /// Adds a member. `None` if there is no room.
    pub(crate) fn append(&mut self, append: &GroupAppend, now: Timestamp) -> Option<Appended> {
        self.forget_closed(now);
        let known = self.keys.get(&append.key);
        if let Some(joined) = known.and_then(|of_key| of_key.joined(&append.member.id)) {
            return Some(joined);
        }
        if self.bytes + cost(append) > self.bytes_max {
            return None;
        }
        let of_key = self.keys.entry(append.key.clone()).or_default();
        let before = of_key.open.as_ref().map_or(0, |open| open.bytes);
        let mut joined = of_key.add(append, now);
        self.bytes += of_key.open.as_ref().map_or(0, |open| open.bytes) - before;
        if of_key.is_due_by_size(now) {
            self.due.remove(&(joined.due_at, append.key.clone()));
            of_key.seal(now);
            joined.due_at = now;
            self.due.insert((now, append.key.clone()));
        } else if of_key.sealed.is_none() {
            self.due.insert((joined.due_at, append.key.clone()));
        }
        Some(joined)
    }

    /// How full it is, after what has expired was forgotten.
    pub(crate) fn level(&mut self, now: Timestamp) -> FillLevel {
        self.forget_closed(now);
        FillLevel::of_groups(self.bytes as u64, self.bytes_max as u64)
    }

    /// What this token has taken and not finished.
    pub(crate) fn taken_with(&self, token: Token) -> Vec<StoredGroup> {
        let keys = self.taken.get(&token).into_iter().flatten();
        let taken = keys.filter_map(|key| self.keys.get(key)?.sealed.as_ref());
        taken.map(|group| group.stored.clone()).collect()
    }

    /// Seals and takes the group that is due first.
    pub(crate) fn take_first(&mut self, taker: Taker) -> Option<StoredGroup> {
        let (_, key) = self.due.first()?.clone();
        self.take(&key, taker)
    }

    /// Seals and takes the group that waits under a key.
    pub(crate) fn take_by_hand(&mut self, key: &GroupKey, taker: Taker) -> TakenGroup {
        let sealed = self.keys.get(key).and_then(|of_key| of_key.sealed.as_ref());
        let is_held = sealed.is_some_and(|group| {
            let holder = group.holder.filter(|holder| *holder != taker.token);
            holder.is_some() && group.free_at > taker.now
        });
        if is_held {
            return TakenGroup::Held;
        }
        match self.take(key, taker) {
            Some(taken) => TakenGroup::Taken(taken.into()),
            None => TakenGroup::Absent,
        }
    }

    pub(crate) fn renew(&mut self, held: &HeldGroup, until: Timestamp) -> bool {
        let Some(group) = held_by(&mut self.keys, held) else {
            return false;
        };
        let free_at = std::mem::replace(&mut group.free_at, until);
        self.due.remove(&(free_at, held.name.key.clone()));
        self.due.insert((until, held.name.key.clone()));
        true
    }

    pub(crate) fn note(&mut self, held: &HeldGroup, note: &Bytes) -> bool {
        let Some(group) = held_by(&mut self.keys, held) else {
            return false;
        };
        self.bytes = self.bytes + note.len() - group.stored.note.len();
        group.bytes = group.bytes + note.len() - group.stored.note.len();
        group.stored.note = note.clone();
        true
    }

    pub(crate) fn finish(&mut self, finish: &GroupFinish, now: Timestamp) -> bool {
        let GroupFinish { held, end } = finish;
        let key = &held.name.key;
        if self.was_finished(held) {
            return true;
        }
        if let GroupEnd::Release { note, .. } = end {
            self.note(held, note);
        }
        let Some(group) = held_by(&mut self.keys, held) else {
            return false;
        };
        self.due.remove(&(group.free_at, key.clone()));
        group.holder = None;
        match end {
            GroupEnd::Release { after, .. } => {
                group.released_by = Some(held.token);
                group.stored.due_at = later(now, *after);
                group.free_at = group.stored.due_at;
                self.due.insert((group.free_at, key.clone()));
            }
            GroupEnd::Notified => self.close(held, GroupStatus::Notified, now),
            GroupEnd::Failed => self.close(held, GroupStatus::Failed, now),
        }
        self.let_go(held.token, key);
        true
    }

    pub(crate) fn members(&self, name: &GroupName, from: u32, limit: usize) -> MemberPage {
        let of_key = self.keys.get(&name.key);
        let mut groups = of_key
            .into_iter()
            .flat_map(|of_key| of_key.open.iter().chain(&of_key.sealed));
        let Some(group) = groups.find(|group| group.stored.name == *name) else {
            return MemberPage::default();
        };
        let from = from as usize;
        let page = group.listed.iter().skip(from).take(limit);
        let members: Vec<_> = page.cloned().collect();
        let next = from + members.len();
        let more = next < group.listed.len() && !members.is_empty();
        MemberPage {
            members,
            next: more.then(|| u32::try_from(next).unwrap_or(u32::MAX)),
        }
    }

    pub(crate) fn list(&mut self, query: &GroupQuery, now: Timestamp) -> GroupPage {
        self.forget_closed(now);
        let keys = self.keys.iter().filter(|(key, _)| query.matches(key));
        let mut found: Vec<_> = keys.flat_map(|(_, of_key)| of_key.all()).collect();
        if let Some(after) = &query.after {
            found.retain(|group| group.name.id < *after);
        }
        found.sort_unstable_by(|a, b| b.name.id.cmp(&a.name.id));
        GroupPage {
            more: found.len() > query.limit,
            groups: found.into_iter().take(query.limit).cloned().collect(),
        }
    }

    pub(crate) fn of_key(&mut self, scope: &Scope, key: &str, now: Timestamp) -> Vec<StoredGroup> {
        self.forget_closed(now);
        let keys = self.keys.iter();
        let of_key = keys.filter(|(name, _)| name.key == key && name.is_inside(scope));
        let mut found: Vec<_> = of_key
            .filter_map(|(_, of_key)| of_key.all().next())
            .collect();
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        found.into_iter().cloned().collect()
    }

    /// When the next group is due.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due_at, _)| *due_at)
    }

    fn take(&mut self, key: &GroupKey, taker: Taker) -> Option<StoredGroup> {
        let of_key = self.keys.get_mut(key)?;
        if of_key.sealed.is_none() {
            let open = of_key.open.as_ref()?;
            self.due.remove(&(open.stored.due_at, key.clone()));
            of_key.seal(taker.now);
        }
        let sealed = of_key.sealed.as_mut()?;
        let before = sealed.holder.replace(taker.token);
        self.due.remove(&(sealed.free_at, key.clone()));
        sealed.free_at = taker.until;
        self.due.insert((taker.until, key.clone()));
        let stored = sealed.stored.clone();
        if let Some(before) = before {
            self.let_go(before, key);
        }
        self.taken.entry(taker.token).or_default().push(key.clone());
        Some(stored)
    }

    fn close(&mut self, held: &HeldGroup, status: GroupStatus, now: Timestamp) {
        let key = &held.name.key;
        let Some(of_key) = self.keys.get_mut(key) else {
            return;
        };
        let before = of_key.sealed.as_ref().map_or(0, |group| group.bytes);
        let kept_until = later(now, self.closed_for);
        let kept_until = of_key.close(status, held.token, kept_until);
        let after = of_key.closed.last().map_or(0, |closed| closed.bytes);
        self.bytes = self.bytes + after - before;
        self.closed.insert((kept_until, held.name.clone()));
        if of_key.is_due_by_size(now) {
            of_key.seal(now);
            self.due.insert((now, key.clone()));
        } else if let Some(open) = &of_key.open {
            self.due.insert((open.stored.due_at, key.clone()));
        }
    }

    /// Whether this holder has finished the group already.
    fn was_finished(&self, held: &HeldGroup) -> bool {
        let Some(of_key) = self.keys.get(&held.name.key) else {
            return false;
        };
        let id = &held.name.id;
        let mut closed = of_key.closed.iter();
        let was_closed = closed.any(|one| one.stored.name.id == *id && one.closed_by == held.token);
        let was_released = of_key.sealed.as_ref().is_some_and(|group: &Group| {
            let is_free = group.holder.is_none() && group.released_by == Some(held.token);
            is_free && group.stored.name.id == *id
        });
        was_closed || was_released
    }

    fn let_go(&mut self, token: Token, key: &GroupKey) {
        if let Some(keys) = self.taken.get_mut(&token) {
            keys.retain(|taken| taken != key);
            if keys.is_empty() {
                self.taken.remove(&token);
            }
        }
    }

    fn forget_closed(&mut self, now: Timestamp) {
        while let Some((kept_until, _)) = self.closed.first() {
            if *kept_until > now {
                return;
            }
            let Some((_, name)) = self.closed.pop_first() else {
                return;
            };
            if let Some(of_key) = self.keys.get_mut(&name.key) {
                self.bytes -= of_key.forget(&name.id);
                if of_key.is_empty() {
                    self.keys.remove(&name.key);
                }
            }
        }
    }
}

/// The end of a lease that begins now.
pub(crate) fn until(now: Timestamp, lease: Duration) -> Timestamp {
    later(now, lease)
}

/// The sealed group that a token holds.
fn held_by<'g>(
    keys: &'g mut HashMap<GroupKey, KeyGroups>,
    held: &HeldGroup,
) -> Option<&'g mut Group> {
    let sealed = keys.get_mut(&held.name.key)?.sealed.as_mut()?;
    let is_held = sealed.stored.name == held.name && sealed.holder == Some(held.token);
    is_held.then_some(sealed)
}
