//! A provider: a sink under its configured name, with its own bounds, breaker and retry schedule. What hangs or
//! fails here is felt nowhere else. The task that works off what cannot be done at once is in `lane.rs`.

mod backoff;
mod breaker;
mod flight;
mod lane;
mod visit;
mod vitals;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use acteon_core::health::{BreakerState, ProviderHealth};
use acteon_core::sink::SinkErrorClass;
use acteon_core::{ActionOutcome, Clock, Failure, SinkError};
use compact_str::CompactString;
use hashbrown::HashMap;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::{Instant, timeout};

pub(crate) use self::breaker::Pass;
pub(crate) use self::flight::{Flight, Landed};
pub(crate) use self::lane::Lane;
pub(crate) use self::visit::Visits;
use self::vitals::Vitals;
use crate::events;
use crate::job::{Ended, Job};
use crate::options::ProviderOptions;

/// How long a caller that nobody waits for stands at a full queue that does not move.
const STALL_PATIENCE: Duration = Duration::from_millis(100);

/// All providers by name.
pub struct Providers {
    named: HashMap<CompactString, Arc<Provider>>,
    any: Option<Arc<Provider>>,
}

/// Two providers have one name.
#[derive(Debug, Error)]
#[error("there are two providers named `{0}`")]
pub struct DuplicateProvider(pub CompactString);

impl Providers {
    /// The configured providers.
    ///
    /// # Errors
    /// When two have the same name.
    pub fn named(
        options: impl IntoIterator<Item = ProviderOptions>,
        clock: Clock,
    ) -> Result<Self, DuplicateProvider> {
        let mut named = HashMap::new();
        for options in options {
            let name = options.name.clone();
            let provider = Arc::new(Provider::new(options, clock));
            if named.insert(name.clone(), provider).is_some() {
                return Err(DuplicateProvider(name));
            }
        }
        Ok(Self { named, any: None })
    }

    /// One provider that answers to every name, for a server on which none is configured.
    pub fn under_any_name(options: ProviderOptions, clock: Clock) -> Self {
        Self {
            named: HashMap::new(),
            any: Some(Arc::new(Provider::new(options, clock))),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Provider>> {
        self.named.get(name).or(self.any.as_ref())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.named.values().chain(&self.any)
    }
}

impl acteon_core::health::Providers for Providers {
    fn health(&self) -> Vec<ProviderHealth> {
        let mut health: Vec<_> = self.all().map(|provider| provider.health()).collect();
        health.sort_by(|a, b| a.name.cmp(&b.name));
        health
    }
}

/// One provider. Shared by whoever begins a delivery and by its lane.
pub(crate) struct Provider {
    pub(crate) options: ProviderOptions,
    clock: Clock,
    vitals: Mutex<Vitals>,
    /// What the breaker of the vitals is, to be read by all without the lock.
    breaker_closed: AtomicBool,
    /// Attempts running now.
    running: AtomicU32,
    /// Jobs that wait in the lane for their turn.
    waiting: AtomicU32,
    /// Places for jobs that wait: for their turn, or to be tried again. Running attempts need none.
    room: Semaphore,
    /// Places beyond the room, taken by attempts that failed when it was full: at most as many as run side by side.
    overdrawn: AtomicU32,
    /// Set when the room was full and nothing moved; cleared when something does.
    stalled: AtomicBool,
    /// Rung when an attempt outside the lane ends while jobs wait in it.
    slot_free: Notify,
    sender: mpsc::Sender<Work>,
    /// Taken by the lane when it starts.
    receiver: Mutex<Option<mpsc::Receiver<Work>>>,
}

/// What is handed to a lane.
pub(crate) enum Work {
    /// Not begun; it has a place.
    Job(Box<Job>),
    /// Begun, and holding one of the places of running attempts.
    Flight(Flight),
    /// To be tried again; it has a place.
    Again(Box<Job>, Instant),
}

/// How far a job came at the first go.
pub(crate) enum Begun {
    Landed(Landed),
    Flying(Flight),
    /// Others are before it, or all places are taken.
    Later(Box<Job>),
    /// The breaker is open.
    Refused(Box<Job>),
}

/// What follows an attempt.
pub(crate) enum Next {
    Ended(Ended),
    Again(Box<Job>, Duration),
}

impl Provider {
    fn new(options: ProviderOptions, clock: Clock) -> Self {
        let overdraft = options.max_concurrent.saturating_mul(2);
        let (sender, receiver) =
            mpsc::channel(options.queue.saturating_add(overdraft).max(1) as usize);
        Self {
            vitals: Mutex::new(Vitals::new(options.breaker)),
            breaker_closed: AtomicBool::new(true),
            clock,
            running: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            room: Semaphore::new(options.queue as usize),
            overdrawn: AtomicU32::new(0),
            stalled: AtomicBool::new(false),
            slot_free: Notify::new(),
            sender,
            receiver: Mutex::new(Some(receiver)),
            options,
        }
    }

    pub(crate) fn name(&self) -> &CompactString {
        &self.options.name
    }

    /// Takes a place for a job that is not finished at once. When there is none: a caller who waits for an answer is
    /// told so at once; the others wait as long as the queue moves.
    pub(crate) async fn enter(&self, answered: Answered) -> bool {
        if self.try_enter() {
            return true;
        }
        if answered == Answered::Yes || self.stalled.load(Relaxed) {
            return false;
        }
        match timeout(STALL_PATIENCE, self.room.acquire()).await {
            Ok(Ok(place)) => {
                place.forget();
                true
            }
            _ => {
                self.stalled.store(true, Relaxed);
                events::stalled(self.name());
                false
            }
        }
    }

    /// Takes a place if there is one now.
    pub(crate) fn try_enter(&self) -> bool {
        self.room.try_acquire().is_ok_and(|place| {
            place.forget();
            true
        })
    }

    /// Takes a place for an attempt that has failed and is to be made again, be there one or not.
    pub(crate) fn enter_again(&self) {
        if !self.try_enter() {
            self.overdrawn.fetch_add(1, Relaxed);
        }
    }

    /// Gives a place back.
    fn leave(&self) {
        let owed = |overdrawn: u32| overdrawn.checked_sub(1);
        if self.overdrawn.fetch_update(Relaxed, Relaxed, owed).is_err() {
            self.room.add_permits(1);
        }
    }

    /// An attempt has ended, so the queue will move.
    fn free_slot(&self) {
        self.running.fetch_sub(1, Relaxed);
        if self.stalled.load(Relaxed) {
            self.stalled.store(false, Relaxed);
        }
    }

    /// Hands work to the lane. It comes back when the lane has ended: the channel holds all that can have a place or
    /// run.
    pub(crate) fn hand(&self, work: Work) -> Result<(), Work> {
        let waits = u32::from(matches!(work, Work::Job(_)));
        self.waiting.fetch_add(waits, Relaxed);
        self.sender.try_send(work).map_err(|refused| {
            self.waiting.fetch_sub(waits, Relaxed);
            let (mpsc::error::TrySendError::Full(work) | mpsc::error::TrySendError::Closed(work)) =
                refused;
            work
        })
    }

    /// What follows from how an attempt ended.
    pub(crate) fn landed(&self, landed: Landed) -> Next {
        let Landed {
            job,
            pass,
            took,
            result,
        } = landed;
        match result {
            Ok(response) => {
                self.observed(|vitals| vitals.succeeded(pass, took));
                Next::Ended(job.delivered(response))
            }
            Err(error) => {
                let at = self.clock.now();
                self.observed(|vitals| vitals.failed(pass, took, &error, at));
                events::attempt_failed(self.name(), &job.delivery.action.id, &error);
                self.after_failure(job, error)
            }
        }
    }

    fn after_failure(&self, job: Box<Job>, error: SinkError) -> Next {
        if let SinkErrorClass::Transient { retry_after } = error.class
            && job.attempts_at_target <= self.options.max_retries
        {
            let chance = rand::random::<f64>();
            let wait = backoff::wait_after(job.attempts_at_target, retry_after, chance);
            return Next::Again(job, wait);
        }
        let failure = Failure {
            code: error.code,
            retryable: error.is_retryable(),
            message: error.message,
            attempts: job.attempts,
        };
        Next::Ended(job.ended(ActionOutcome::Failed(failure)))
    }

    fn ask_breaker(&self) -> Option<Pass> {
        if self.breaker_closed.load(Relaxed) {
            return Some(Pass::Free);
        }
        self.vitals.lock().breaker.ask(Instant::now)
    }

    /// Notes something, and says so when the breaker moves by it.
    fn observed(&self, note: impl FnOnce(&mut Vitals)) {
        let mut vitals = self.vitals.lock();
        let before = vitals.breaker_state();
        note(&mut vitals);
        let after = vitals.breaker_state();
        if before != after {
            let closed = after == BreakerState::Closed;
            self.breaker_closed.store(closed, Relaxed);
        }
        drop(vitals);
        if before != after {
            events::breaker_moved(self.name(), after);
        }
    }

    fn take_slot(&self) -> bool {
        let max = self.options.max_concurrent.max(1);
        self.running
            .fetch_update(Relaxed, Relaxed, |running| {
                (running < max).then_some(running + 1)
            })
            .is_ok()
    }

    fn health(&self) -> ProviderHealth {
        let vitals = self.vitals.lock();
        let in_flight = self.running.load(Relaxed) as usize;
        ProviderHealth {
            name: self.name().clone(),
            breaker: vitals.breaker_state(),
            queued: (self.options.queue as usize).saturating_sub(self.room.available_permits())
                + self.overdrawn.load(Relaxed) as usize,
            in_flight,
            deliveries: vitals.deliveries,
            failures: vitals.failures,
            success_rate: vitals.recent.success_rate(),
            latency_p50_ms: vitals.latency_ms(0.5),
            latency_p95_ms: vitals.latency_ms(0.95),
            latency_p99_ms: vitals.latency_ms(0.99),
            last_error: vitals.last_error.clone(),
        }
    }
}

/// Whether somebody waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    Yes,
    No,
}
