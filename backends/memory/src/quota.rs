//! One throttle key: the times of its last deliveries, to enforce a maximum count in any window.
//!
//! A sliding log whose entries are groups of deliveries. Up to [`GROUPS`] places, each delivery is its own group and
//! the answer is exact. Above that, `max_count / GROUPS` deliveries share a group that counts until its last one has
//! left the window. The count never exceeds the bound and falls short of it by at most one group.

use smallvec::SmallVec;

use crate::key::HashedKey;
use crate::table::Perishable;

/// The number of groups per window. At most one group is lost, so 97.5 % of the places are always available.
const GROUPS: u32 = 40;
/// Ticks per window. Using less than half of 32 bits keeps the difference of any two live ticks unambiguous.
const WINDOW_TICKS: u64 = 1 << 30;

/// The bound of a key, as the rule defines it now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuotaBound {
    pub(crate) max_count: u32,
    window: u64,
    /// Nanoseconds per tick: a 2^30th of the window, rounded up.
    tick: u64,
}

impl QuotaBound {
    pub(crate) fn new(max_count: u32, window_nanos: u64) -> Self {
        let window = window_nanos.clamp(1, u64::MAX / 4);
        Self {
            max_count,
            window,
            tick: window.div_ceil(WINDOW_TICKS),
        }
    }

    /// The number of deliveries per group.
    fn stride(self) -> u32 {
        self.max_count.div_ceil(GROUPS).max(1)
    }

    /// The low 32 bits. Ticks wrap around.
    #[expect(clippy::cast_possible_truncation, reason = "see WINDOW_TICKS")]
    fn tick_of(self, nanos: u64) -> u32 {
        (nanos / self.tick) as u32
    }

    fn has_left(self, tick: u32, now: u64) -> bool {
        u64::from(self.tick_of(now).wrapping_sub(tick)) >= self.window / self.tick
    }

    /// Nanoseconds from `now` until an event at `tick` leaves the window.
    fn left_in(self, tick: u32, now: u64) -> u64 {
        let age = u64::from(self.tick_of(now).wrapping_sub(tick));
        let leaves = now / self.tick + (self.window / self.tick).saturating_sub(age);
        (leaves * self.tick).saturating_sub(now)
    }
}

/// The deliveries of one key inside the window.
#[derive(Debug)]
pub(crate) struct QuotaLog {
    key: HashedKey,
    /// When the newest delivery leaves the window, in nanoseconds.
    until: u64,
    /// The time of the last delivery in each group, oldest first.
    ticks: SmallVec<[u32; 4]>,
    total: u32,
    /// The size of the newest group. The oldest has any size; those between are full.
    newest: u32,
    stride: u32,
}

impl QuotaLog {
    pub(crate) fn new(key: HashedKey) -> Self {
        Self {
            key,
            until: 0,
            ticks: SmallVec::new(),
            total: 0,
            newest: 0,
            stride: 1,
        }
    }

    #[cfg(test)]
    pub(crate) fn heap_bytes(&self) -> usize {
        if self.ticks.spilled() {
            4 * self.ticks.capacity()
        } else {
            0
        }
    }

    /// Nanoseconds until there is room for one more besides `more` others. `None` if there is room now.
    pub(crate) fn wait(&mut self, bound: QuotaBound, now: u64, more: u32) -> Option<u64> {
        self.catch_up(bound, now);
        let wanted = self.total.saturating_add(more).saturating_add(1);
        if wanted <= bound.max_count {
            return None;
        }
        let mut missing = wanted - bound.max_count;
        for (at, tick) in self.ticks.iter().enumerate() {
            let freed = self.count_of(at);
            if freed >= missing {
                return Some(bound.left_in(*tick, now).max(1));
            }
            missing -= freed;
        }
        Some(bound.window)
    }

    /// How many places are left, and nanoseconds until all are free.
    pub(crate) fn left(&mut self, bound: QuotaBound, now: u64) -> (u32, u64) {
        self.catch_up(bound, now);
        let left = bound.max_count.saturating_sub(self.total);
        (left, self.until.saturating_sub(now))
    }

    /// Takes a place even if there is no room.
    pub(crate) fn charge(&mut self, bound: QuotaBound, now: u64) {
        self.catch_up(bound, now);
        let tick = bound.tick_of(now);
        match self.ticks.last_mut() {
            Some(last) if self.newest < self.stride => *last = tick,
            _ => {
                self.make_room();
                self.ticks.push(tick);
                self.newest = 0;
            }
        }
        self.newest += 1;
        self.total += 1;
        self.until = now + bound.window;
    }

    /// Refunds the place taken at `charged`, if it still counts.
    pub(crate) fn refund(&mut self, bound: QuotaBound, now: u64, charged: u64) {
        self.catch_up(bound, now);
        if self.total == 0 || now >= charged.saturating_add(bound.window) {
            return;
        }
        let tick = bound.tick_of(charged);
        let alone = self.ticks.iter().rposition(|there| *there == tick);
        match alone.filter(|at| self.stride == 1 && self.count_of(*at) == 1) {
            Some(at) => {
                self.ticks.remove(at);
                self.total -= 1;
            }
            None => self.shift_one(),
        }
        if self.ticks.len() == 1 {
            self.newest = self.total;
        }
    }

    /// Grows by half, up to the size of a full log. Doubling would waste a third of all memory.
    fn make_room(&mut self) {
        let length = self.ticks.len();
        if length == self.ticks.capacity() {
            let full = (GROUPS as usize + 2).saturating_sub(length).max(1);
            self.ticks.reserve_exact((length / 2).clamp(1, full));
        }
    }

    /// Removes one from a group of many. The group is refilled from the one before it, whose deliveries leave earlier
    /// than the time of the group, and so on down to the oldest, which loses one. So the bound still holds.
    fn shift_one(&mut self) {
        self.total -= 1;
        if self.total == 0 || (self.ticks.len() > 1 && self.count_of(0) == 0) {
            self.ticks.remove(0);
        }
    }

    fn count_of(&self, group: usize) -> u32 {
        let groups = self.ticks.len();
        let full = u32::try_from(groups.saturating_sub(2)).unwrap_or(u32::MAX);
        match group {
            at if at + 1 == groups => self.newest,
            0 => self.total - self.newest - full * self.stride,
            _ => self.stride,
        }
    }

    /// Drops the deliveries that have left the window.
    fn catch_up(&mut self, bound: QuotaBound, now: u64) {
        if now >= self.until {
            self.ticks.clear();
            self.total = 0;
            self.newest = 0;
        }
        let left = self
            .ticks
            .iter()
            .take_while(|tick| bound.has_left(**tick, now))
            .count();
        self.total -= (0..left).map(|group| self.count_of(group)).sum::<u32>();
        self.ticks.drain(..left);
        if self.stride != bound.stride() {
            self.regroup(bound);
        }
    }

    /// Handles a changed `max_count`: all deliveries are treated as being as recent as the newest, in one group.
    fn regroup(&mut self, bound: QuotaBound) {
        self.stride = bound.stride();
        self.newest = self.total;
        let older = self.ticks.len().saturating_sub(1);
        self.ticks.drain(..older);
    }
}

impl Perishable for QuotaLog {
    fn key(&self) -> HashedKey {
        self.key
    }

    fn is_over(&self, now: u64) -> bool {
        now >= self.until
    }
}

#[cfg(test)]
mod tests;
