//! Actions whose id or dedup key is held by another one. They wait in order of arrival, in one line per key. Only the
//! first of a line asks again: when this process settles the key, and at intervals in case another process does.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use acteon_core::state::{Busy, ReservationEnd, Settlement, StateKey};
use acteon_core::verdict::Verdict;
use acteon_core::{ActionOutcome, Backoff, Parked, Refusal};
use hashbrown::HashMap;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::job::{EndedJob, Job};
use crate::process::Pipeline;
use crate::reserve::ReservingJob;

/// The intervals between two checks of a key that another process may hold.
const CHECKS: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(100));
/// How long a source waits before it resubmits an action that reached its deadline.
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// All waiting actions. Bounded by admission.
#[derive(Default)]
pub(crate) struct KeyWaiters {
    lines: Mutex<Lines>,
    /// The number of keys with a line. Settling skips the lock if it is zero.
    keys: AtomicUsize,
    changed: Notify,
}

#[derive(Default)]
struct Lines {
    by_key: HashMap<StateKey, Line>,
    /// When each line is due, soonest first. The number separates lines due at the same time.
    due: BTreeSet<(Instant, u64)>,
    keys: HashMap<u64, StateKey>,
    next_number: u64,
}

/// The actions waiting for one key, in order of arrival.
struct Line {
    number: u64,
    due: Instant,
    waiting: VecDeque<Parked<ReservingJob>>,
    /// Which of them ask when the line is due.
    asking: Turn,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The first one. The others would find the key held by it.
    First,
    /// All of them. The key was delivered, so they are duplicates.
    All,
}

impl KeyWaiters {
    /// Adds an action to the line of its key: at the end, or at the front if it was first and has asked before.
    pub(crate) fn add(&self, mut asking: ReservingJob, busy: Busy) {
        let interval = CHECKS.step(asking.checks);
        let asked_before = asking.checks > 0;
        asking.checks += 1;
        asking.place = None;
        let asking = Parked::new(asking);
        let due = Instant::now() + interval.min(busy.expires_in);
        let mut lines = self.lines.lock();
        let line = lines.of(busy.key, due);
        if asked_before {
            line.waiting.push_front(asking);
        } else {
            line.waiting.push_back(asking);
        }
        self.keys.store(lines.by_key.len(), SeqCst);
        drop(lines);
        self.changed.notify_one();
    }

    /// Makes the whole line of a key due after the key was found delivered.
    pub(crate) fn delivered(&self, key: &StateKey) {
        if self.keys.load(SeqCst) == 0 {
            return;
        }
        let called = self.lines.lock().call(key, Instant::now(), Turn::All);
        if called {
            self.changed.notify_one();
        }
    }

    /// Makes the lines due whose keys were just settled.
    pub(crate) fn settled(&self, settlements: &[Settlement]) {
        if self.keys.load(SeqCst) == 0 {
            return;
        }
        let mut lines = self.lines.lock();
        let now = Instant::now();
        let mut called = false;
        for settlement in settlements {
            let Some(held) = &settlement.held else {
                continue;
            };
            let turn = match settlement.end {
                ReservationEnd::Confirm => Turn::All,
                ReservationEnd::Release => Turn::First,
            };
            for claim in &held.claims {
                called |= lines.call(&claim.key, now, turn);
            }
            if let Some(lease) = &held.lease {
                called |= lines.call(lease, now, turn);
            }
        }
        drop(lines);
        if called {
            self.changed.notify_one();
        }
    }

    /// Removes and returns all waiting jobs.
    pub(crate) fn take_all(&self) -> Vec<Box<Job>> {
        let lines = std::mem::take(&mut *self.lines.lock());
        self.keys.store(0, SeqCst);
        let waiting = lines.by_key.into_values().flat_map(|line| line.waiting);
        waiting.map(|asking| asking.into_inner().job).collect()
    }

    /// Takes the actions whose turn it is to ask.
    fn take_due(&self) -> Vec<ReservingJob> {
        let mut lines = self.lines.lock();
        let due = lines.take_due(Instant::now());
        self.keys.store(lines.by_key.len(), SeqCst);
        due
    }

    fn next_due(&self) -> Option<Instant> {
        self.lines.lock().due.first().map(|(due, _)| *due)
    }
}

impl Lines {
    /// The line of a key, due at `due` or sooner.
    fn of(&mut self, key: StateKey, due: Instant) -> &mut Line {
        let Self {
            by_key,
            due: all_due,
            keys,
            next_number,
        } = self;
        let line = by_key.entry(key).or_insert_with_key(|key| {
            *next_number += 1;
            keys.insert(*next_number, key.clone());
            all_due.insert((due, *next_number));
            Line {
                number: *next_number,
                due,
                waiting: VecDeque::new(),
                asking: Turn::First,
            }
        });
        if due < line.due {
            all_due.remove(&(line.due, line.number));
            all_due.insert((due, line.number));
            line.due = due;
        }
        line
    }

    /// Makes the line of `key` due. False if there is none.
    fn call(&mut self, key: &StateKey, now: Instant, turn: Turn) -> bool {
        let Some(line) = self.by_key.get_mut(key) else {
            return false;
        };
        self.due.remove(&(line.due, line.number));
        self.due.insert((now, line.number));
        line.due = now;
        line.asking = turn;
        true
    }

    fn take_due(&mut self, now: Instant) -> Vec<ReservingJob> {
        let mut taken = Vec::new();
        while let Some((due, number)) = self.due.first().copied()
            && due <= now
        {
            self.due.remove(&(due, number));
            let Some(key) = self.keys.remove(&number) else {
                continue;
            };
            let Some(mut line) = self.by_key.remove(&key) else {
                continue;
            };
            if line.asking == Turn::All {
                taken.extend(line.waiting.into_iter().map(Parked::into_inner));
                continue;
            }
            while let Some(asking) = line.waiting.pop_front() {
                let is_overdue = asking.is_overdue(now);
                taken.push(asking.into_inner());
                if !is_overdue {
                    break;
                }
            }
            if !line.waiting.is_empty() {
                line.due = now + CHECKS.longest();
                self.due.insert((line.due, number));
                self.keys.insert(number, key.clone());
                self.by_key.insert(key, line);
            }
        }
        taken
    }
}

impl Pipeline {
    /// Asks again for the actions whose turn has come. Sleeps while the lines are empty. Never returns.
    pub(crate) async fn ask_for_waiting(&self) {
        loop {
            match self.waiting.next_due() {
                None => self.waiting.changed.notified().await,
                Some(due) => {
                    tokio::select! {
                        () = sleep_until(due) => {}
                        () = self.waiting.changed.notified() => {}
                    }
                }
            }
            let due = self.waiting.take_due();
            if !due.is_empty() {
                let now = Instant::now();
                let is_overdue = |asking: &ReservingJob| asking.is_overdue(now);
                let (overdue, asking) = due.into_iter().partition::<Vec<_>, _>(is_overdue);
                let overdue = overdue.into_iter();
                let ended = overdue.map(|asking| asking.job.refused(BUSY_WAIT, Refusal::Busy));
                let ended = self
                    .reserve_and_deliver(asking, Vec::new(), ended.collect(), None)
                    .await;
                self.settle(ended).await;
            }
        }
    }
}

impl ReservingJob {
    fn is_overdue(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}

/// Ends a job whose dedup key was delivered inside its window.
pub(crate) fn duplicate(mut asking: ReservingJob, claim: usize) -> EndedJob {
    if let Some(rule) = asking.gates.claim_rules.get(claim) {
        asking.job.record_rule(Verdict::Deduplicate, rule);
    }
    asking.job.ended(ActionOutcome::Deduplicated(()))
}
