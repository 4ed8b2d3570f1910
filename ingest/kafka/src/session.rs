//! One connection, from joining the group to leaving it: a single task that owns all state and does one thing
//! after another. It sleeps until something arrives, is due or is asked for; then it takes a turn.
//!
//! `reading` brings records in, `settling` takes their ends, `balance` keeps partitions, commits and health.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{Permit, Shutdown};
use acteon_ingest_kit::{Backoff, Copies, Decoder, Ended};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use hashbrown::HashMap;
use rdkafka::consumer::{Consumer, MessageStream, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use crate::assignment::Assignment;
use crate::balance::Revoking;
use crate::commits::Sent;
use crate::context::Context;
use crate::handing::{self, Handing};
use crate::held::Waiting;
use crate::inbox::{Arrived, Inbox, Place};
use crate::lanes::Lanes;
use crate::publish::{Published, Publisher};
use crate::reading::Gathered;
use crate::ready::Ready;
use crate::source::Shared;

/// How long the confirmation of the last commit is waited for.
const CLOSING_PATIENCE: Duration = Duration::from_secs(5);

/// The state of one connection.
pub(crate) struct Session<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) consumer: &'a Arc<StreamConsumer<Context>>,
    pub(crate) assignment: Assignment,
    pub(crate) decoder: Decoder,
    pub(crate) copies: Copies,
    /// Read, and not yet admitted.
    pub(crate) gathered: Gathered,
    /// Waits for room for what is gathered.
    pub(crate) admitting: Option<BoxFuture<'static, Permit>>,
    /// On loan, and not yet handed in.
    pub(crate) ready: Ready,
    pub(crate) handing: Option<Handing>,
    /// Set while keys go one after another.
    pub(crate) lanes: Option<Lanes>,
    pub(crate) waiting: Waiting,
    /// How often a record was offered again.
    pub(crate) tries: HashMap<Place, u32>,
    pub(crate) retry_backoff: Backoff,
    pub(crate) publisher: Publisher,
    pub(crate) revoking: Option<Revoking>,
    pub(crate) commit_due: Option<Instant>,
    pub(crate) committing: Option<BoxFuture<'static, Sent>>,
    /// Since when there is no room to read on.
    pub(crate) blocked_since: Option<Instant>,
    /// All partitions are paused, so that polling brings no records.
    pub(crate) held_back: bool,
    pub(crate) joined: bool,
    /// A topic did not exist when the client last said so.
    pub(crate) topic_unknown: bool,
    /// Asks whether that has changed.
    pub(crate) looking: Option<BoxFuture<'static, bool>>,
    pub(crate) phase: Phase,
    shutdown: &'a Shutdown,
    inbox: Arc<Inbox>,
    arrived: Arrived,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// Nothing new is read; what is on loan comes to its end.
    Draining,
    /// Everything is settled; the last commit is on its way, waited for until then.
    Closing(Instant),
}

/// What the session was woken by.
enum Woken<'a> {
    Turn,
    HandedIn,
    Admitted(Permit),
    Published(Published),
    Sent(Sent),
    Looked(bool),
    Record(KafkaResult<BorrowedMessage<'a>>),
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        shared: &'a Shared,
        consumer: &'a Arc<StreamConsumer<Context>>,
        inbox: Arc<Inbox>,
        shutdown: &'a Shutdown,
    ) -> Self {
        let options = &shared.options;
        Self {
            shared,
            consumer,
            decoder: shared.decoder.clone(),
            copies: Copies::default(),
            assignment: Assignment::new(inbox.clone(), shared.in_flight_max),
            gathered: Gathered::default(),
            admitting: None,
            ready: Ready::default(),
            handing: None,
            lanes: options.ordered.then(Lanes::default),
            waiting: Waiting::default(),
            tries: HashMap::new(),
            retry_backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(10)),
            publisher: Publisher::new(options.producer(&shared.context.name)),
            revoking: None,
            commit_due: None,
            committing: None,
            blocked_since: None,
            held_back: false,
            joined: false,
            topic_unknown: false,
            looking: None,
            phase: Phase::Running,
            shutdown,
            inbox,
            arrived: Arrived::default(),
        }
    }

    /// Runs until it is told to stop, or the client breaks for good.
    pub(crate) async fn run(mut self) -> Ended<KafkaError> {
        let mut records = self.consumer.stream();
        loop {
            let now = Instant::now();
            self.turn(now);
            if self.is_over(now) {
                self.shared.events.stopped(self.assignment.unsettled());
                return Ended::Stopped;
            }
            self.hand_in();
            match self.woken(&mut records).await {
                Woken::Turn => {}
                Woken::HandedIn => {
                    self.handing = None;
                    // Under load there is always a next batch, and others want this thread, too.
                    yield_now().await;
                }
                Woken::Admitted(permit) => self.admitted(permit),
                Woken::Published(published) => self.published(published, Instant::now()),
                Woken::Sent(sent) => self.sent(&sent, Instant::now()),
                Woken::Looked(all_exist) => {
                    self.looking = None;
                    self.topic_unknown = !all_exist;
                }
                Woken::Record(first) => {
                    if let Err(error) = self.read(first, &mut records) {
                        return Ended::Lost(error);
                    }
                }
            }
        }
    }

    async fn woken<'r>(&mut self, records: &mut MessageStream<'r, Context>) -> Woken<'r> {
        let (timer, may_read) = (self.next_timer(), self.may_read());
        let is_running = self.phase == Phase::Running;
        tokio::select! {
            biased;
            () = self.shutdown.abandon.cancelled() => Woken::Turn,
            () = self.shutdown.stop.cancelled(), if is_running => Woken::Turn,
            () = ended(&mut self.handing) => Woken::HandedIn,
            permit = ended(&mut self.admitting) => Woken::Admitted(permit),
            published = self.publisher.next() => Woken::Published(published),
            sent = ended(&mut self.committing) => Woken::Sent(sent),
            all_exist = ended(&mut self.looking) => Woken::Looked(all_exist),
            Some(record) = records.next(), if may_read => Woken::Record(record),
            // After the records: each turn empties the inbox, so what is in it is no reason to interrupt the reading.
            () = self.inbox.arrived() => Woken::Turn,
            () = until(timer), if timer.is_some() => Woken::Turn,
        }
    }

    /// Everything that can be done without waiting.
    fn turn(&mut self, now: Instant) {
        if self.phase == Phase::Running && self.is_told_to_stop() {
            self.begin_draining();
        }
        let mut arrived = std::mem::take(&mut self.arrived);
        self.inbox.take(&mut arrived);
        self.settle_all(&mut arrived, now);
        for report in arrived.reports.drain(..) {
            self.reported(report, now);
        }
        self.arrived = arrived;
        self.offer_what_is_due(now);
        self.admit(now);
        self.balance(now);
        self.commit_when_due(now);
    }

    /// Begins to hand in what is ready, once the batch before it is through.
    fn hand_in(&mut self) {
        if self.handing.is_none() && !self.ready.is_empty() {
            let batch = self.ready.take(self.shared.context.max_batch);
            self.handing = Some(handing::begin(self.shared, batch));
        }
    }

    fn next_timer(&self) -> Option<Instant> {
        let revoking = self.revoking.as_ref().map(|revoking| revoking.deadline);
        let closing = match self.phase {
            Phase::Closing(deadline) => Some(deadline),
            _ => None,
        };
        let timers = [
            self.waiting.next_due(),
            self.linger_end(),
            self.commit_due.filter(|_| self.committing.is_none()),
            self.patience_end(),
            revoking,
            closing,
        ];
        timers.into_iter().flatten().min()
    }

    fn is_told_to_stop(&self) -> bool {
        self.shutdown.stop.is_cancelled() || self.shutdown.abandon.is_cancelled()
    }

    /// Drops what is not on loan yet: it comes back from the broker.
    fn begin_draining(&mut self) {
        self.phase = Phase::Draining;
        self.admitting = None;
        self.gathered = Gathered::default();
        self.ready = Ready::default();
        self.waiting.retain(|_| false);
        self.lanes = self.lanes.as_ref().map(|_| Lanes::default());
        self.hold_back();
        self.shared.events.stopping(self.assignment.on_loan());
    }

    /// Goes on to the next phase where this one is at its end; true after the last.
    fn is_over(&mut self, now: Instant) -> bool {
        let is_abandoned = self.shutdown.abandon.is_cancelled();
        if self.phase == Phase::Draining && (self.assignment.on_loan() == 0 || is_abandoned) {
            let deadline = now + CLOSING_PATIENCE;
            self.phase = Phase::Closing(deadline);
            self.commit_due = Some(now);
        }
        let Phase::Closing(deadline) = self.phase else {
            return false;
        };
        if is_abandoned {
            self.commit_and_forget();
        }
        is_abandoned || now >= deadline || !self.assignment.is_uncommitted()
    }
}

impl Drop for Session<'_> {
    /// The client does not close before every rebalance is answered.
    fn drop(&mut self) {
        self.consumer.context().close();
        self.inbox.take(&mut self.arrived);
        self.answer_rebalances(&self.arrived.reports);
    }
}

/// The end of `future`; never, where there is none.
async fn ended<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

async fn until(timer: Option<Instant>) {
    if let Some(timer) = timer {
        sleep_until(timer).await;
    }
}
