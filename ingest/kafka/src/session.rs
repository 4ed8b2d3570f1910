//! One connection, from joining the group to leaving it: a single task that owns all parts and does one thing at a
//! time. It sleeps until a message arrives, a timer fires or a request comes; then it takes a turn.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{Permit, Settled, Shutdown};
use acteon_ingest_kit::{ConnectionEnd, EpochOffset, InboxReader, Phases, PublishResult};
use futures_util::StreamExt;
use rdkafka::consumer::{MessageStream, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use crate::assignment::Assignment;
use crate::client_report::{ClientReport, SessionInbox};
use crate::committer::{CommitResult, Committer};
use crate::context::Context;
use crate::delayed::{Delayed, LoanStep};
use crate::flow::{Capacity, Flow};
use crate::health::Health;
use crate::loan_queue::LoanQueue;
use crate::member_context::MemberContext;
use crate::publish::Producer;
use crate::reader::{RecordReader, Skipped};
use crate::rebalance::Rebalance;
use crate::seen::ReadFrom;
use crate::start_point::StartPoint;

/// How long to wait for the confirmation of the last commit.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The state of one connection.
pub(crate) struct Session<'a> {
    shared: &'a MemberContext,
    phases: Phases<'a>,
    inbox: InboxReader<ClientReport>,
    assignment: Assignment,
    reader: RecordReader<'a>,
    loans: LoanQueue,
    delayed: Delayed<'a>,
    committer: Committer<'a>,
    rebalance: Rebalance<'a>,
    flow: Flow<'a>,
    health: Health<'a>,
    /// The error that ends the session without a shutdown.
    broken: Option<KafkaError>,
}

/// The reason the session woke.
enum WakeReason<'a> {
    Turn,
    HandedIn,
    Admitted(Permit),
    Published(PublishResult<Producer>),
    Committed(CommitResult),
    TopicsChecked(bool),
    StartsFound(KafkaResult<Vec<StartPoint>>),
    Record(KafkaResult<BorrowedMessage<'a>>),
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        shared: &'a MemberContext,
        consumer: &'a Arc<StreamConsumer<Context>>,
        inbox: Arc<SessionInbox>,
        shutdown: &'a Shutdown,
    ) -> Self {
        Self {
            shared,
            phases: Phases::new(shutdown),
            assignment: Assignment::new(inbox.clone(), shared.span_max()),
            inbox: InboxReader::new(inbox),
            reader: RecordReader::new(shared),
            loans: LoanQueue::new(shared),
            delayed: Delayed::new(shared),
            committer: Committer::new(shared, consumer),
            rebalance: Rebalance::new(shared, consumer),
            flow: Flow::new(shared, consumer),
            health: Health::new(shared, consumer),
            broken: None,
        }
    }

    /// Runs until shutdown, or until the client fails permanently. `records` is the stream of the session's consumer.
    pub(crate) async fn run(
        mut self,
        mut records: MessageStream<'_, Context>,
    ) -> ConnectionEnd<KafkaError> {
        loop {
            let now = Instant::now();
            self.turn(now);
            if self.is_over(now) {
                self.shared.events.stopped(self.assignment.unsettled());
                return match self.broken.take() {
                    Some(error) => ConnectionEnd::Lost(error),
                    None => ConnectionEnd::Stopped,
                };
            }
            self.loans.hand_in();
            match self.wake(&mut records).await {
                WakeReason::Turn => {}
                // Under load another batch is always ready, and other tasks need this thread too.
                WakeReason::HandedIn => yield_now().await,
                WakeReason::Admitted(permit) => self.admitted(permit),
                WakeReason::Published(published) => self.published(published, Instant::now()),
                WakeReason::Committed(result) => self.committed(result, Instant::now()),
                WakeReason::TopicsChecked(all_exist) => self.health.set_topics_exist(all_exist),
                WakeReason::Record(first) => {
                    let read = self.reader.read(
                        first,
                        &mut records,
                        &mut self.assignment,
                        &mut self.delayed,
                    );
                    match read {
                        Ok(Skipped::None) => {}
                        Ok(Skipped::Some) => {
                            self.committer.settled(Instant::now());
                        }
                        Err(error) => return ConnectionEnd::Lost(error),
                    }
                    self.renew(Instant::now());
                }
                WakeReason::StartsFound(Ok(starts)) => {
                    self.rebalance.take_up(&starts, &mut self.assignment);
                    self.health.joined(Instant::now());
                }
                WakeReason::StartsFound(Err(error)) => return ConnectionEnd::Lost(error),
            }
        }
    }

    async fn wake<'r>(&mut self, records: &mut MessageStream<'r, Context>) -> WakeReason<'r> {
        let timer = self.next_timer();
        let may_read = self.may_read();
        tokio::select! {
            biased;
            () = self.phases.signalled() => WakeReason::Turn,
            () = self.loans.handed_in() => WakeReason::HandedIn,
            permit = self.reader.permit() => WakeReason::Admitted(permit),
            published = self.delayed.published() => WakeReason::Published(published),
            result = self.committer.sent() => WakeReason::Committed(result),
            all_exist = self.health.topics_checked() => WakeReason::TopicsChecked(all_exist),
            starts = self.rebalance.looked_up() => WakeReason::StartsFound(starts),
            Some(record) = records.next(), if may_read => WakeReason::Record(record),
            // The inbox comes after the records: each turn empties it, so new entries need not interrupt reading.
            () = self.inbox.arrived() => WakeReason::Turn,
            () = until(timer), if timer.is_some() => WakeReason::Turn,
        }
    }

    /// Does everything that needs no waiting.
    fn turn(&mut self, now: Instant) {
        if self.phases.begins_to_drain() {
            self.begin_draining();
        }
        let mut arrived = self.inbox.take();
        for at in arrived.done.drain(..) {
            self.acknowledge(at, now);
        }
        for (at, settled) in arrived.settled.drain(..) {
            self.settle(at, settled, now);
        }
        for report in arrived.reports.drain(..) {
            self.reported(report, now);
        }
        self.inbox.recycle(arrived);
        self.delayed
            .offer(now, &mut self.assignment, &mut self.loans, &mut self.reader);
        self.admit(now);
        if let Some(partitions) = self.rebalance.drained(now, &self.assignment) {
            self.give_up(&partitions);
        }
        self.flow.turn(now, self.capacity(), &mut self.assignment);
        self.committer.turn(now, &mut self.assignment);
    }

    /// True when the client must be polled: for records while there is room, and for its reports even without room,
    /// once partitions are paused and no records come.
    fn may_read(&self) -> bool {
        self.capacity() == Capacity::Free
            || (self.flow.is_held_back() && self.reader.takes_some_more())
    }

    fn capacity(&self) -> Capacity {
        let is_free = self.phases.is_running()
            && self.reader.takes_more()
            && self.loans.are_handed_in()
            && !self.delayed.is_over_the_bound()
            && self.assignment.in_work() < self.shared.in_flight_max;
        match is_free {
            true => Capacity::Free,
            false => Capacity::Full,
        }
    }

    /// Asks for room for the pending batch when it is time to hand it in.
    fn admit(&mut self, now: Instant) {
        if let Some(permit) = self.reader.admit(now, &self.loans) {
            self.admitted(permit);
        }
    }

    fn admitted(&mut self, permit: Permit) {
        let assignment = &mut self.assignment;
        self.reader.lend(permit, assignment, &mut self.loans);
    }

    fn next_timer(&self) -> Option<Instant> {
        let timers = [
            self.delayed.next_due(),
            self.reader.linger_end(&self.loans),
            self.committer.next_due(),
            self.flow.pause_due(),
            self.rebalance.deadline(),
            self.phases.closing(),
        ];
        timers.into_iter().flatten().min()
    }

    /// Settles the record.
    fn acknowledge(&mut self, at: EpochOffset, now: Instant) {
        let Some(partition) = self.assignment.of(at) else {
            self.shared.events.fenced(at.offset);
            return;
        };
        partition.on_loan -= 1;
        partition.settle(at.offset);
        self.committer.settled(now);
        self.delayed.forget(at);
        self.loans.leave(at, &mut self.assignment);
    }

    fn settle(&mut self, at: EpochOffset, settled: Settled, now: Instant) {
        let next = self.delayed.settled(at, settled, &mut self.assignment, now);
        self.take_step(at, next, now);
    }

    fn published(&mut self, published: PublishResult<Producer>, now: Instant) {
        let at = published.at;
        let next = self.delayed.sent(published, &mut self.assignment, now);
        self.take_step(at, next, now);
    }

    fn take_step(&mut self, at: EpochOffset, next: LoanStep, now: Instant) {
        match next {
            LoanStep::Acknowledge => self.acknowledge(at, now),
            LoanStep::GiveUp(envelope, permit, why) => {
                if let Some(partition) = self.assignment.of(at) {
                    self.loans.give_up(at, envelope, permit, why, partition);
                }
            }
            LoanStep::Wait => {}
        }
    }

    fn reported(&mut self, report: ClientReport, now: Instant) {
        match report {
            ClientReport::Assigned(partitions) => self.rebalance.look_up(partitions),
            ClientReport::Revoked(partitions) => self.revoked(partitions, now),
            ClientReport::Stats(stats) if self.phases.is_running() => {
                self.health.heard(&stats, now, &self.assignment);
                self.committer.check(now, &self.assignment);
            }
            ClientReport::Stats(_) => {}
            ClientReport::TopicUnknown => self.health.topic_is_unknown(),
        }
    }

    /// Stops intake from these partitions and lets their loans end.
    fn revoked(&mut self, partitions: TopicPartitionList, now: Instant) {
        if let Some(former) = self.rebalance.take() {
            self.give_up(&former);
        }
        let kept = self.rebalance.begin(partitions, now, &mut self.assignment);
        self.delayed.drain(&kept);
        let revoking = self.assignment.iter().filter(|p| p.revoking);
        self.loans.drain(revoking);
        if self.rebalance.is_lost() {
            self.health.left();
        }
    }

    fn committed(&mut self, result: CommitResult, now: Instant) {
        let forgotten = self.committer.handle(result, &mut self.assignment, now);
        if !forgotten.is_empty() {
            self.forgotten(&forgotten);
        }
    }

    /// The broker has forgotten the commits of these epochs because their topic was deleted. The client's state does
    /// not fit a new topic of the same name, so the client is recreated once the loans have ended.
    fn forgotten(&mut self, epochs: &[u32]) {
        for epoch in epochs {
            if let Some(partition) = self.assignment.remove_epoch(*epoch) {
                self.rebalance.remember(&partition);
                let events = &self.shared.events;
                events.forgotten(&partition.topic, partition.number);
            }
        }
        self.forget_gone();
        self.broken = Some(KafkaError::OffsetFetch(RDKafkaErrorCode::NoOffset));
        if self.phases.drain() {
            self.begin_draining();
        }
    }

    /// Handles recreated topics: loans from the former topic are fenced.
    fn renew(&mut self, now: Instant) {
        let renewed = self.reader.take_renewed();
        for (topic, number, read_from) in &renewed {
            match read_from {
                ReadFrom::Here => {}
                ReadFrom::Head => self.rebalance.go_back(topic, *number),
            }
        }
        if !renewed.is_empty() {
            self.forget_gone();
            self.committer.settled(now);
        }
    }

    /// Drops everything that waits for assignments that are over.
    fn forget_gone(&mut self) {
        self.delayed.forget_gone(&self.assignment);
        self.loans.forget_gone(&self.assignment);
    }

    fn give_up(&mut self, partitions: &TopicPartitionList) {
        // The commit reaches the broker before the partitions are given up.
        self.committer.send_and_forget(&mut self.assignment);
        self.rebalance.give_up(partitions, &mut self.assignment);
        self.forget_gone();
    }

    /// Drops everything above the last record lent out: the broker delivers it again.
    fn begin_draining(&mut self) {
        self.reader.close();
        self.loans.drain(self.assignment.iter());
        self.delayed.close();
        self.flow.hold_back(&mut self.assignment);
        self.shared.events.stopping(self.assignment.on_loan());
    }

    /// Enters the next phase when the current one is finished. True after the last.
    fn is_over(&mut self, now: Instant) -> bool {
        let on_loan = self.assignment.on_loan();
        if self.phases.begins_to_close(on_loan, now + CLOSE_TIMEOUT) {
            self.committer.hurry(now);
        }
        let Some(deadline) = self.phases.closing() else {
            return false;
        };
        let is_abandoned = self.phases.is_abandoned();
        if is_abandoned {
            self.committer.send_and_forget(&mut self.assignment);
        }
        is_abandoned || now >= deadline || !self.assignment.is_uncommitted()
    }
}

impl Drop for Session<'_> {
    /// The client does not close until every rebalance is answered.
    fn drop(&mut self) {
        self.rebalance.close();
        let arrived = self.inbox.take();
        self.rebalance.answer(&arrived.reports);
    }
}

async fn until(timer: Option<Instant>) {
    if let Some(timer) = timer {
        sleep_until(timer).await;
    }
}
