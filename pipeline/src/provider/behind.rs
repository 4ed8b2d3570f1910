//! The jobs of a provider that wait behind others of their sequences, in the order of each sequence. A job waits here as
//! long as what is ahead of it is here, or comes back soon; otherwise it leaves, too.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::QueuedJob;
use super::sequences::Ahead;

/// How long a job waits here for an action that is away, if a caller waits for its outcome.
const CALLER_WAIT: Duration = Duration::from_secs(2);
/// The same if no caller waits.
const AWAY_WAIT: Duration = Duration::from_secs(30);
/// In a queue with fewer places, all jobs wait for each other.
const PLACES_MIN: usize = 16;
/// The minimum time after which a job that has left comes back.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

/// The waiting jobs by the key of their sequence and their number in it.
#[derive(Default)]
pub(crate) struct Behind {
    jobs: BTreeMap<(u64, u64), JobBehind>,
    /// When jobs have waited long enough for away actions, soonest first, and the keys of their sequences.
    deadlines: BTreeSet<(Instant, u64)>,
}

struct JobBehind {
    queued: QueuedJob,
    /// Set while an away action is ahead.
    deadline: Option<Instant>,
}

/// What the first waiting job of a sequence does next.
pub(crate) enum NextBehind {
    /// It waits, or there is none.
    Wait,
    /// Nothing is ahead of it any more.
    Begin(QueuedJob),
    /// It leaves and comes back at this time.
    Leave(QueuedJob, Instant),
}

/// Whether there is room for jobs that wait for away actions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Ample,
    Scarce,
}

impl Behind {
    /// Adds a job with its place in its sequence.
    pub(crate) fn add(&mut self, key: u64, number: u64, queued: QueuedJob) {
        let job = JobBehind {
            queued,
            deadline: None,
        };
        self.jobs.insert((key, number), job);
    }

    /// True if another job of this sequence would take the room of other sequences: it holds half of the `places` of the
    /// queue, or all sequences together three quarters.
    pub(crate) fn is_crowded(&self, key: u64, places: usize) -> bool {
        let of_one = places / 2;
        let of_all = places - places / 4;
        let of_sequence = self.jobs.range((key, 0)..=(key, u64::MAX));
        let is_full = self.jobs.len() >= of_all || of_sequence.take(of_one).count() >= of_one;
        places >= PLACES_MIN && is_full
    }

    /// Takes the first job of a sequence if it need not wait.
    pub(crate) fn next(&mut self, key: u64, now: Instant, room: Room) -> NextBehind {
        let mut of_sequence = self.jobs.range_mut((key, 0)..=(key, u64::MAX));
        let Some((at, job)) = of_sequence.next() else {
            return NextBehind::Wait;
        };
        let place = job.queued.job.route.sequence.as_ref();
        let ahead = place.map_or(Ahead::Nothing, |place| place.ahead());
        let leaves_until = match ahead {
            Ahead::Nothing => None,
            Ahead::Job => {
                job.deadline = None;
                return NextBehind::Wait;
            }
            Ahead::Away { until } => {
                let wait = match job.queued.job.is_answered() {
                    true => CALLER_WAIT,
                    false => AWAY_WAIT,
                };
                let deadline = job.deadline.unwrap_or(now + wait);
                if room == Room::Ample && now < deadline && until <= deadline {
                    if job.deadline.replace(deadline).is_none() {
                        self.deadlines.insert((deadline, key));
                    }
                    return NextBehind::Wait;
                }
                Some(until.max(now + AGAIN))
            }
        };
        let at = *at;
        match (self.jobs.remove(&at), leaves_until) {
            (Some(job), None) => NextBehind::Begin(job.queued),
            (Some(job), Some(until)) => NextBehind::Leave(job.queued, until),
            (None, _) => NextBehind::Wait,
        }
    }

    /// When the next job has waited long enough for an away action.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The keys of the sequences whose jobs have waited long enough.
    pub(crate) fn take_overdue(&mut self, now: Instant) -> Vec<u64> {
        let later = self.deadlines.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut self.deadlines, later);
        due.into_iter().map(|(_, key)| key).collect()
    }

    /// All jobs, each sequence in its order.
    pub(crate) fn into_jobs(self) -> impl Iterator<Item = QueuedJob> {
        self.jobs.into_values().map(|job| job.queued)
    }
}
