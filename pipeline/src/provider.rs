//! A provider: a sink under its configured name, with its own limits, breaker and retry schedule. If it hangs or fails,
//! no other provider is affected. `worker.rs` has the task that handles everything not done inline.

mod attempt;
mod behind;
mod breaker;
mod events;
mod inline;
mod ordered;
mod queue;
mod retry;
mod sequences;
mod stats;
mod worker;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use acteon_core::attempt::EXCERPT_BYTES_MAX;
use acteon_core::health::{BreakerOverride, BreakerState, ProviderHealth};
use acteon_core::redact::HiddenValues;
use acteon_core::sink::SinkErrorClass;
use acteon_core::{
    Action, ActionOutcome, AttemptRecord, Clock, Failure, FailureCode, Parked, Payload,
    ProviderResponse, SinkError,
};
use async_trait::async_trait;
use compact_str::CompactString;
use hashbrown::HashMap;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

pub(crate) use self::attempt::{FinishedAttempt, RunningAttempt};
use self::events::Events;
pub(crate) use self::inline::InlineSlots;
use self::queue::{Bounds, Queue};
pub(crate) use self::queue::{MOMENT, QueuePlace};
pub(crate) use self::retry::LONGEST;
use self::retry::{AfterFailure, after_failure};
pub(crate) use self::sequences::SequencePlace;
use self::sequences::Sequences;
pub(crate) use self::stats::Permission;
use self::stats::{BreakerChange, PauseChange, ProviderStats, SharedStats};
pub(crate) use self::worker::Worker;
use crate::job::{EndedJob, Job, ParkedJob};
use crate::options::ProviderOptions;
use crate::redelivery::PendingRedeliveries;

/// All providers by name.
pub struct Providers {
    named: HashMap<CompactString, Arc<Provider>>,
    any: Option<Arc<Provider>>,
    /// The sequences of those to which order matters.
    sequences: Vec<Arc<Sequences>>,
    pub(crate) redeliveries: Arc<PendingRedeliveries>,
}

/// Two providers have the same name.
#[derive(Debug, Error)]
#[error("there are two providers named `{0}`")]
pub struct DuplicateProvider(pub CompactString);

impl Providers {
    /// The configured providers.
    ///
    /// # Errors
    /// If two have the same name.
    pub fn named(
        options: impl IntoIterator<Item = ProviderOptions>,
        clock: Clock,
    ) -> Result<Self, DuplicateProvider> {
        let mut named = HashMap::new();
        for (options, number) in options.into_iter().zip(0..) {
            let name = options.name.clone();
            let provider = Arc::new(Provider::new(options, number, clock));
            if named.insert(name.clone(), provider).is_some() {
                return Err(DuplicateProvider(name));
            }
        }
        Ok(Self::of(named, None))
    }

    /// One provider for every name, for a server without configured providers.
    pub fn under_any_name(options: ProviderOptions, clock: Clock) -> Self {
        let any = Arc::new(Provider::new(options, 0, clock));
        Self::of(HashMap::new(), Some(any))
    }

    fn of(named: HashMap<CompactString, Arc<Provider>>, any: Option<Arc<Provider>>) -> Self {
        let sequences = named.values().chain(&any);
        let sequences = sequences.filter_map(|provider| provider.sequences.clone());
        Self {
            sequences: sequences.collect(),
            named,
            any,
            redeliveries: Arc::default(),
        }
    }

    /// With these besides.
    ///
    /// # Errors
    /// If two have the same name.
    pub fn with(
        mut self,
        more: impl IntoIterator<Item = ProviderOptions>,
        clock: Clock,
    ) -> Result<Self, DuplicateProvider> {
        let first = u32::try_from(self.named.len() + usize::from(self.any.is_some()));
        for (options, number) in more.into_iter().zip(first.unwrap_or(u32::MAX)..) {
            let name = options.name.clone();
            let provider = Arc::new(Provider::new(options, number, clock));
            self.sequences.extend(provider.sequences.clone());
            if self.named.insert(name.clone(), provider).is_some() {
                return Err(DuplicateProvider(name));
            }
        }
        Ok(self)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Provider>> {
        self.named.get(name).or(self.any.as_ref())
    }

    fn health_of(&self, provider: &Provider) -> ProviderHealth {
        ProviderHealth {
            redelivering: self.redeliveries.of(provider.name()),
            ..provider.health()
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.named.values().chain(&self.any)
    }
}

#[async_trait]
impl acteon_core::health::ProviderAdmin for Providers {
    fn health(&self) -> Vec<ProviderHealth> {
        let mut health: Vec<_> = self.all().map(|one| self.health_of(one)).collect();
        health.sort_by(|a, b| a.name.cmp(&b.name));
        health
    }

    fn set_breaker(&self, name: &str, to: BreakerOverride) -> Option<ProviderHealth> {
        let provider = self.get(name)?;
        provider.observed(|stats| stats.set(to));
        Some(self.health_of(provider))
    }

    async fn test(&self, name: &str, action: &Action) -> Option<Result<ProviderResponse, Failure>> {
        let provider = self.get(name)?;
        Some(attempt::test(provider, action).await)
    }
}

/// One provider, shared by all who start a delivery and by its worker.
pub(crate) struct Provider {
    pub(crate) options: ProviderOptions,
    /// Distinguishes it from the others in a feed.
    pub(crate) number: u32,
    pub(crate) queue: Arc<Queue>,
    /// `None`: order does not matter to it.
    sequences: Option<Arc<Sequences>>,
    pub(crate) events: Events,
    clock: Clock,
    stats: SharedStats,
    /// True while the sink's attempts have to wait. Their actions then need separate memory.
    waits: AtomicBool,
    /// The number of running attempts.
    running: AtomicU32,
    /// Notified if an attempt outside the worker ends while jobs wait.
    slot_free: Notify,
    sender: mpsc::Sender<Work>,
    /// Taken by the worker when it starts.
    receiver: Mutex<Option<mpsc::Receiver<Work>>>,
}

/// The provider as held by one batch or by its worker. Separate handles keep threads from contending for one reference
/// count.
pub(crate) struct ProviderHandle(Arc<Provider>);

impl Deref for ProviderHandle {
    type Target = Provider;

    fn deref(&self) -> &Provider {
        &self.0
    }
}

/// Work for a worker.
pub(crate) enum Work {
    /// Not started; it has a place in the queue.
    Job(QueuedJob),
    /// Started; it holds one of the slots for running attempts.
    Running(RunningAttempt),
    /// Due for a retry at this time.
    Retry(QueuedJob, Instant),
}

/// A job in a provider's queue.
pub(crate) struct QueuedJob {
    pub(crate) job: ParkedJob,
    pub(crate) place: QueuePlace,
    pub(crate) when_open: WhenOpen,
}

impl QueuedJob {
    pub(crate) fn new(job: Box<Job>, place: QueuePlace, when_open: WhenOpen) -> Self {
        Self {
            job: Parked::new(job),
            place,
            when_open,
        }
    }
}

/// The behaviour of a queued job while the breaker is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenOpen {
    /// It waits, because all other actions of its reader would meet the same open breaker.
    Wait,
    /// It is diverted.
    Leave,
}

/// The result of the inline start of a job.
pub(crate) enum InlineStart {
    Finished(FinishedAttempt),
    Running(RunningAttempt),
    /// Jobs wait ahead of it, all slots are taken, or the provider asked for a pause.
    Later(Box<Job>),
    /// The breaker is open.
    Refused(Box<Job>),
}

/// The next step after an attempt.
pub(crate) enum NextStep {
    End(EndedJob),
    Retry(QueuedJob, Duration),
    /// The provider is at fault. Its fallback may deliver.
    Divert(Box<Job>, Failure),
}

impl Provider {
    fn new(options: ProviderOptions, number: u32, clock: Clock) -> Self {
        let beyond = options.max_concurrent.saturating_mul(2).saturating_add(1);
        let (sender, receiver) = mpsc::channel(options.queue.saturating_add(beyond) as usize);
        Self {
            queue: Queue::new(Bounds {
                actions: options.queue,
                bytes: options.queue_bytes,
            }),
            sequences: Self::sequences_of(&*options.sink),
            stats: SharedStats::new(options.breaker),
            events: Events::new(&options.name),
            number,
            clock,
            waits: AtomicBool::new(false),
            running: AtomicU32::new(0),
            slot_free: Notify::new(),
            sender,
            receiver: Mutex::new(Some(receiver)),
            options,
        }
    }

    pub(crate) fn name(&self) -> &CompactString {
        &self.options.name
    }

    /// Passes work to the worker. Returns it if the worker has ended or its inbox is full. Jobs waiting in the queue
    /// and running attempts alone cannot fill the inbox.
    pub(crate) fn hand(&self, work: Work) -> Result<(), Work> {
        self.sender.try_send(work).map_err(|refused| {
            let (mpsc::error::TrySendError::Full(work) | mpsc::error::TrySendError::Closed(work)) =
                refused;
            work
        })
    }

    /// True if the worker is gone.
    pub(crate) fn has_ended(&self) -> bool {
        self.sender.is_closed()
    }

    /// Whether the sink may be called now.
    pub(crate) fn ask(&self) -> Permission {
        if let Some(pass) = self.stats.free_pass() {
            return Permission::Granted(pass);
        }
        let now = Instant::now();
        self.observed(|stats| stats.ask(now))
    }

    /// True while the breaker is open, or while the provider asks for a longer pause than an action waits here.
    pub(crate) fn is_open(&self) -> bool {
        !self.stats.is_clear() && self.stats.lock().is_open(Instant::now())
    }

    /// When the sink may be called again, if that is in the future.
    pub(crate) fn closed_until(&self) -> Option<Instant> {
        if self.stats.is_clear() {
            return None;
        }
        self.stats.lock().closed_until(Instant::now())
    }

    /// The remaining pause, if the provider asked for one.
    pub(crate) fn paused_for(&self, now: Instant) -> Option<Duration> {
        let until = self.stats.lock().paused_until?;
        Some(until.saturating_duration_since(now))
    }

    /// Decides the next step after an attempt.
    pub(crate) fn finished(&self, finished: FinishedAttempt) -> NextStep {
        let FinishedAttempt {
            mut job,
            place,
            pass,
            took,
            note,
            result,
        } = finished;
        self.events.took(took, 1);
        match result {
            Ok(response) => {
                self.observed(|stats| stats.succeeded(pass, took));
                self.add_attempt(&mut job, took, None, note);
                NextStep::End(job.delivered(response))
            }
            Err(mut error) => {
                let at = self.clock.now();
                let payload = &job.delivery.action.payload;
                let hidden = self.options.redactor.hidden_values(payload);
                if !hidden.is_empty() {
                    error.message = hidden.removed_from(error.message.into()).into();
                }
                self.observed(|stats| stats.failed(pass, took, &error, at));
                self.events.attempt_failed(&job.delivery.action.id, &error);
                let excerpt = self.excerpt(&error, &hidden);
                let excerpt = excerpt.or_else(|| unsent(&error));
                self.add_attempt(&mut job, took, Some(&error), excerpt);
                if let Some(progress) = error.progress.take() {
                    job.history(at).progress = Some(progress);
                }
                self.after_failure(job, place, error)
            }
        }
    }

    /// Adds the attempt to the job's history.
    fn add_attempt(
        &self,
        job: &mut Job,
        took: Duration,
        error: Option<&SinkError>,
        excerpt: Option<CompactString>,
    ) {
        let refusal = error.and_then(|error| error.refusal.as_deref());
        job.add_attempt(AttemptRecord {
            at: self.clock.now(),
            provider: self.name().clone(),
            status: refusal.and_then(|refused| refused.status),
            code: error.map(|error| error.code),
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            excerpt,
        });
    }

    /// The job in the queue again, for another attempt.
    fn again(&self, job: Box<Job>, mut place: QueuePlace) -> QueuedJob {
        place.wait_again();
        QueuedJob::new(job, place, WhenOpen::Leave)
    }

    /// The beginning of the provider's refusal, without the fields to hide and their values in this payload.
    fn excerpt(&self, error: &SinkError, hidden: &HiddenValues) -> Option<CompactString> {
        let refusal = error.refusal.as_deref()?;
        let redactor = &self.options.redactor;
        redactor.excerpt(&refusal.body, hidden, EXCERPT_BYTES_MAX)
    }

    fn after_failure(
        &self,
        mut job: Box<Job>,
        place: Option<QueuePlace>,
        error: SinkError,
    ) -> NextStep {
        if let Some(shortened) = shortened_for(&mut job, &error) {
            job.modify(shortened);
            let place = place.unwrap_or_else(|| self.queue.enter_running(job.bytes()));
            return NextStep::Retry(self.again(job, place), Duration::ZERO);
        }
        let chance = rand::random::<f64>();
        let attempts = job.route.attempts_at_target;
        let after = after_failure(error.class, attempts, self.options.max_retries, chance);
        if let AfterFailure::Retry(wait) = after {
            let place = place.unwrap_or_else(|| self.queue.enter_running(job.bytes()));
            return NextStep::Retry(self.again(job, place), wait);
        }
        if let SinkErrorClass::Transient { retry_after } = error.class {
            job.retry_after = retry_after;
        }
        // A caller who sent the action again would have it delivered twice.
        let is_final = job.is_answered() && job.delivery.is_partly_delivered();
        let failure = Failure {
            code: error.code,
            retryable: error.is_retryable() && !is_final,
            message: error.message,
            attempts: job.attempts(),
        };
        match after {
            AfterFailure::ProviderFault => NextStep::Divert(job, failure),
            AfterFailure::UsedUp | AfterFailure::Permanent | AfterFailure::Retry(_) => {
                NextStep::End(job.ended(ActionOutcome::Failed(failure)))
            }
        }
    }

    /// Updates the statistics, and reports a state change of the breaker.
    fn observed<T>(&self, change: impl FnOnce(&mut ProviderStats) -> T) -> T {
        let BreakerChange {
            result,
            before,
            after,
            pause,
        } = self.stats.change(change);
        match pause {
            PauseChange::Start(left) => self.events.paused(left),
            PauseChange::End => self.slot_free.notify_one(),
            PauseChange::Unchanged => {}
        }
        if before != after {
            self.events.breaker_moved(before, after);
            if after == BreakerState::Closed {
                self.slot_free.notify_one();
            }
        }
        result
    }

    fn take_slot(&self) -> bool {
        let max = self.options.max_concurrent.max(1);
        let one_more = |running: u32| (running < max).then_some(running + 1);
        self.running.fetch_update(SeqCst, SeqCst, one_more).is_ok()
    }

    fn free_slot(&self) {
        self.running.fetch_sub(1, SeqCst);
    }

    fn health(&self) -> ProviderHealth {
        let stats = self.stats.lock();
        ProviderHealth {
            name: self.name().clone(),
            breaker: stats.breaker_state(),
            queued: self.queue.waiting() as usize,
            in_flight: self.running.load(SeqCst) as usize,
            redelivering: 0,
            deliveries: stats.deliveries,
            failures: stats.failures,
            success_rate: stats.recent.success_rate(),
            latency: stats.latency(),
            last_error: stats.shown_error(),
        }
    }
}

/// What is wrong with an action that could not be written for the provider. Such a message has no values of the action.
fn unsent(error: &SinkError) -> Option<CompactString> {
    let is_unsent = error.code == FailureCode::Serialization && error.refusal.is_none();
    is_unsent.then(|| error.message.clone())
}

/// The payload to send once more, if the sink has refused this one as too large.
fn shortened_for(job: &mut Job, error: &SinkError) -> Option<Payload> {
    match error.is_too_large {
        true => job.shortened.take(),
        false => None,
    }
}
