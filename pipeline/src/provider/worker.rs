//! The task of one provider: handles everything that could not be done inline, and the waits between attempts. It never
//! waits for another provider.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::attempt::{FinishedAttempt, RunningAttempt, attempt};
use super::behind::{AGAIN, Behind, NextBehind, Room};
use super::breaker::Pass;
use super::retry::LONGEST;
use super::sequences::Ahead;
use super::stats::Permission;
use super::{NextStep, Provider, ProviderHandle, QueuedJob, WhenOpen, Work};
use crate::job::EndedJob;
use crate::process::Pipeline;

/// The maximum number of work items taken from the inbox at once.
const TAKEN_MAX: usize = 256;
/// The maximum number of finished attempts handled at once, so that they are settled together.
const FINISHED_MAX: usize = 256;
/// How long a job leaves at most because too many of its sequence are ahead.
const COMES_BACK_MAX: Duration = Duration::from_secs(300);

pub(crate) struct Worker {
    pipeline: Arc<Pipeline>,
    provider: Arc<ProviderHandle>,
    inbox: mpsc::Receiver<Work>,
    queue: VecDeque<QueuedJob>,
    behind: Behind,
    waiting_to_retry: BinaryHeap<Reverse<Due>>,
    /// No queued job may start before this time.
    held_until: Option<Instant>,
    running: FuturesUnordered<RunningAttempt>,
    /// Jobs whose throttle places are stale and requested again. Each keeps its slot for running attempts.
    renewing: Option<BoxFuture<'static, Renewed>>,
    renewing_slots: usize,
    ended: Vec<EndedJob>,
    /// Settling runs alongside the deliveries. Jobs that end meanwhile are settled together in the next run.
    settling: Option<BoxFuture<'static, ()>>,
}

/// The result of requesting stale throttle places again.
struct Renewed {
    granted: Vec<QueuedJob>,
    ended: Vec<EndedJob>,
}

/// A job and its earliest retry.
struct Due {
    at: Instant,
    queued: QueuedJob,
}

impl Worker {
    /// Creates the worker of a provider. `None` if the provider already has one.
    pub(crate) fn new(pipeline: Arc<Pipeline>, provider: Arc<Provider>) -> Option<Self> {
        let inbox = provider.receiver.lock().take()?;
        Some(Self {
            pipeline,
            provider: Arc::new(ProviderHandle(provider)),
            inbox,
            queue: VecDeque::new(),
            behind: Behind::default(),
            waiting_to_retry: BinaryHeap::new(),
            held_until: None,
            running: FuturesUnordered::new(),
            renewing: None,
            renewing_slots: 0,
            ended: Vec::new(),
            settling: None,
        })
    }

    /// Drops the settlement and the renewal that were under way at a panic, which returns their actions to their
    /// sources. Everything else is kept.
    pub(crate) fn recover(&mut self) {
        self.settling = None;
        self.free_renewing();
    }

    /// Works until `closing`.
    pub(crate) async fn run(&mut self, closing: &CancellationToken) {
        let mut taken = Vec::with_capacity(TAKEN_MAX);
        loop {
            self.launch();
            self.settle_next();
            let retry = self.waiting_to_retry.peek().map(|Reverse(next)| next.at);
            let held_until = self.held_until.filter(|_| !self.queue.is_empty());
            let behind_until = self.behind.next_deadline();
            tokio::select! {
                biased;
                () = closing.cancelled() => break,
                Some(finished) = self.running.next(), if !self.running.is_empty() => {
                    self.finished(finished);
                    self.finish_others();
                }
                () = done(&mut self.settling), if self.settling.is_some() => self.settling = None,
                renewed = done(&mut self.renewing), if self.renewing.is_some() => {
                    self.renewed(renewed);
                }
                _ = self.inbox.recv_many(&mut taken, TAKEN_MAX) => {
                    taken.drain(..).for_each(|work| self.take(work));
                }
                () = at(retry), if retry.is_some() => self.take_due(),
                () = at(held_until), if held_until.is_some() => self.held_until = None,
                () = self.provider.slot_free.notified() => self.held_until = None,
                () = self.provider.sequences_changed() => self.advance_changed(),
                () = at(behind_until), if behind_until.is_some() => self.advance_overdue(),
            }
        }
    }

    /// Settles ended jobs and returns the rest to their sources.
    pub(crate) async fn close(mut self) {
        self.inbox.close();
        while let Ok(work) = self.inbox.try_recv() {
            self.take(work);
        }
        if let Some(settling) = self.settling.take() {
            settling.await;
        }
        let retries = self.waiting_to_retry.into_iter();
        let queued = retries.map(|Reverse(due)| due.queued).chain(self.queue);
        let queued = queued.chain(self.behind.into_jobs());
        let unfinished = queued.map(|queued| Pipeline::shutting_down(queued.job.into_inner()));
        self.ended.extend(unfinished);
        self.pipeline.settle(self.ended).await;
    }

    fn take(&mut self, work: Work) {
        match work {
            Work::Job(queued) => self.take_job(queued),
            Work::Running(attempt) => self.running.push(attempt),
            Work::Retry(queued, at) => {
                self.waiting_to_retry.push(Reverse(Due { at, queued }));
            }
        }
    }

    /// Queues a job, behind the others of its sequence if it belongs to one.
    fn take_job(&mut self, queued: QueuedJob) {
        let place = queued.job.route.sequence.as_ref();
        if let Some((key, number)) = place.and_then(|place| place.entered()) {
            match self.comes_back_at(key, &queued) {
                Some(until) => self.leave(queued, until),
                None => self.behind.add(key, number, queued),
            }
            self.advance(key);
        } else if self.held_until.is_some() {
            self.hold_back(queued);
        } else {
            self.queue.push_back(queued);
        }
    }

    /// When a job comes back that would wait behind so many of its sequence that other sequences would find no place:
    /// about when its turn comes. `None`: it waits here, or need not wait.
    fn comes_back_at(&self, key: u64, queued: &QueuedJob) -> Option<Instant> {
        let places = self.provider.options.queue as usize;
        let place = queued.job.route.sequence.as_ref()?;
        if !self.behind.is_crowded(key, places) || place.ahead() == Ahead::Nothing {
            return None;
        }
        let ahead = u32::try_from(place.ahead_count()).unwrap_or(u32::MAX);
        let wait = self.provider.attempt_time().saturating_mul(ahead);
        Some(Instant::now() + wait.clamp(AGAIN, COMES_BACK_MAX))
    }

    fn leave(&mut self, queued: QueuedJob, until: Instant) {
        let job = queued.job.into_inner();
        self.pipeline.leave_behind(job, until, &mut self.ended);
    }

    /// Lets the jobs of a sequence go on as far as they can.
    fn advance(&mut self, key: u64) {
        loop {
            let room = match self.provider.queue.is_half_free() {
                true => Room::Ample,
                false => Room::Scarce,
            };
            match self.behind.next(key, Instant::now(), room) {
                NextBehind::Wait => return,
                NextBehind::Begin(queued) => self.hold_back(queued),
                NextBehind::Leave(queued, until) => self.leave(queued, until),
            }
        }
    }

    fn advance_changed(&mut self) {
        for key in self.provider.changed_sequences() {
            self.advance(key);
        }
    }

    fn advance_overdue(&mut self) {
        for key in self.behind.take_overdue(Instant::now()) {
            self.advance(key);
        }
    }

    /// Queues a job that cannot start now, or diverts it if the breaker is open and the job does not wait for it.
    fn hold_back(&mut self, queued: QueuedJob) {
        if self.leaves(&queued) {
            self.divert(queued);
        } else {
            self.queue.push_back(queued);
        }
    }

    fn take_due(&mut self) {
        let now = Instant::now();
        while let Some(Reverse(next)) = self.waiting_to_retry.peek()
            && next.at <= now
        {
            if let Some(Reverse(due)) = self.waiting_to_retry.pop() {
                self.take_retry(due.queued);
            }
        }
    }

    /// Puts a job that is due for a retry at the front. At an open breaker it is diverted instead of waiting for the
    /// probe.
    fn take_retry(&mut self, queued: QueuedJob) {
        if self.leaves(&queued) {
            self.divert(queued);
        } else {
            self.queue.push_front(queued);
        }
    }

    fn leaves(&self, queued: &QueuedJob) -> bool {
        queued.when_open == WhenOpen::Leave && self.provider.is_open()
    }

    fn divert(&mut self, queued: QueuedJob) {
        let job = queued.job.into_inner();
        self.pipeline.divert(job, None, &mut self.ended);
    }

    /// Starts attempts while there are free slots.
    fn launch(&mut self) {
        let now = Instant::now();
        let mut stale = Vec::new();
        while self.held_until.is_none() && !self.queue.is_empty() && self.provider.take_slot() {
            let Some(queued) = self.queue.pop_front() else {
                self.provider.free_slot();
                break;
            };
            if queued.job.is_stale(now) {
                stale.push(queued);
                continue;
            }
            match self.provider.ask() {
                Permission::Granted(pass) => self.begin(queued, pass),
                Permission::Paused { until } if until <= now + LONGEST => {
                    self.hold_queue_until(queued, until);
                }
                Permission::Paused { until } | Permission::Open { until } => {
                    self.hold_queue_until(queued, until);
                    self.divert_leaving();
                }
            }
        }
        if !stale.is_empty() {
            self.renew(stale);
        }
    }

    fn begin(&mut self, queued: QueuedJob, pass: Pass) {
        let QueuedJob { job, mut place, .. } = queued;
        place.begin();
        let next = attempt(self.provider.clone(), job.into_inner(), Some(place), pass);
        self.running.push(RunningAttempt::new(next));
    }

    /// Puts a job back and holds the queue until the given time.
    fn hold_queue_until(&mut self, queued: QueuedJob, until: Instant) {
        self.provider.free_slot();
        self.queue.push_front(queued);
        self.held_until = Some(until);
    }

    /// Diverts the jobs that do not wait for a breaker.
    fn divert_leaving(&mut self) {
        for queued in std::mem::take(&mut self.queue) {
            match queued.when_open {
                WhenOpen::Wait => self.queue.push_back(queued),
                WhenOpen::Leave => self.divert(queued),
            }
        }
    }

    /// Handles the other attempts that have finished by now.
    fn finish_others(&mut self) {
        for _ in 1..FINISHED_MAX {
            let Some(Some(finished)) = self.running.next().now_or_never() else {
                return;
            };
            self.finished(finished);
        }
    }

    fn finished(&mut self, finished: FinishedAttempt) {
        self.provider.free_slot();
        match self.provider.finished(finished) {
            NextStep::End(ended) => self.pipeline.end(ended, &mut self.ended),
            NextStep::Retry(queued, wait) => {
                let at = Instant::now() + wait;
                self.waiting_to_retry.push(Reverse(Due { at, queued }));
            }
            NextStep::Divert(job, failure) => {
                self.pipeline.divert(job, Some(failure), &mut self.ended);
            }
        }
    }

    /// Requests stale throttle places again. Only one call runs at a time.
    fn renew(&mut self, stale: Vec<QueuedJob>) {
        if self.renewing.is_some() {
            for queued in stale.into_iter().rev() {
                self.provider.free_slot();
                self.queue.push_front(queued);
            }
            return;
        }
        let pipeline = self.pipeline.clone();
        self.renewing_slots = stale.len();
        self.renewing = Some(Box::pin(async move {
            let mut ended = Vec::new();
            let granted = pipeline.ask_again(stale, &mut ended).await;
            Renewed { granted, ended }
        }));
    }

    fn renewed(&mut self, renewed: Renewed) {
        self.free_renewing();
        for ended in renewed.ended {
            self.pipeline.end(ended, &mut self.ended);
        }
        for queued in renewed.granted.into_iter().rev() {
            self.queue.push_front(queued);
        }
        self.launch();
    }

    /// Releases the slots of the jobs being renewed.
    fn free_renewing(&mut self) {
        self.renewing = None;
        for _ in 0..std::mem::take(&mut self.renewing_slots) {
            self.provider.free_slot();
        }
    }

    fn settle_next(&mut self) {
        if self.settling.is_none() && !self.ended.is_empty() {
            let pipeline = self.pipeline.clone();
            let ended = std::mem::take(&mut self.ended);
            self.settling = Some(Box::pin(async move { pipeline.settle(ended).await }));
        }
    }
}

/// The result of `future`. Never returns if there is none.
async fn done<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn at(due: Option<Instant>) {
    if let Some(due) = due {
        sleep_until(due).await;
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}
