//! One connection, from joining the group to leaving it: a single task that owns all parts and does one thing at a
//! time. It sleeps until a message arrives, a timer fires or a request comes; then it takes a turn.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{Permit, Settled, Shutdown};
use acteon_ingest_kit::{Ended, Phases, Place};
use futures_util::StreamExt;
use rdkafka::consumer::{MessageStream, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use crate::assignment::Assignment;
use crate::committer::{Committer, Sent};
use crate::context::{Context, Inbox, Report};
use crate::delayed::{Delayed, Next, Published};
use crate::flow::{Flow, Room};
use crate::health::Health;
use crate::loans::Loans;
use crate::reader::{Passed, Reader};
use crate::rebalance::Rebalance;
use crate::seen::ReadFrom;
use crate::source::Shared;
use crate::starts::Start;

/// How long to wait for the confirmation of the last commit.
const CLOSING_PATIENCE: Duration = Duration::from_secs(5);

type Arrived = acteon_ingest_kit::Arrived<Report>;

/// The state of one connection.
pub(crate) struct Session<'a> {
    shared: &'a Shared,
    phases: Phases<'a>,
    inbox: Arc<Inbox>,
    /// The contents of the inbox; the allocation is reused.
    arrived: Arrived,
    assignment: Assignment,
    reader: Reader<'a>,
    loans: Loans,
    delayed: Delayed<'a>,
    committer: Committer<'a>,
    rebalance: Rebalance<'a>,
    flow: Flow<'a>,
    health: Health<'a>,
    /// The error that ends the session without a shutdown.
    broken: Option<KafkaError>,
}

/// The reason the session woke.
enum Woken<'a> {
    Turn,
    HandedIn,
    Admitted(Permit),
    Published(Published),
    Sent(Sent),
    Looked(bool),
    LookedUp(KafkaResult<Vec<Start>>),
    Record(KafkaResult<BorrowedMessage<'a>>),
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        shared: &'a Shared,
        consumer: &'a Arc<StreamConsumer<Context>>,
        inbox: Arc<Inbox>,
        shutdown: &'a Shutdown,
    ) -> Self {
        Self {
            shared,
            phases: Phases::new(shutdown),
            assignment: Assignment::new(inbox.clone(), shared.span_max()),
            inbox,
            arrived: Arrived::default(),
            reader: Reader::new(shared),
            loans: Loans::new(shared),
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
    ) -> Ended<KafkaError> {
        loop {
            let now = Instant::now();
            self.turn(now);
            if self.is_over(now) {
                self.shared.events.stopped(self.assignment.unsettled());
                return match self.broken.take() {
                    Some(error) => Ended::Lost(error),
                    None => Ended::Stopped,
                };
            }
            self.loans.hand_in();
            match self.woken(&mut records).await {
                Woken::Turn => {}
                // Under load another batch is always ready, and other tasks need this thread too.
                Woken::HandedIn => yield_now().await,
                Woken::Admitted(permit) => self.admitted(permit),
                Woken::Published(published) => self.published(published, Instant::now()),
                Woken::Sent(sent) => self.sent(sent, Instant::now()),
                Woken::Looked(all_exist) => self.health.looked(all_exist),
                Woken::Record(first) => {
                    let read = self.reader.read(
                        first,
                        &mut records,
                        &mut self.assignment,
                        &mut self.delayed,
                    );
                    match read {
                        Ok(Passed::None) => {}
                        Ok(Passed::Some) => {
                            self.committer.settled(Instant::now());
                        }
                        Err(error) => return Ended::Lost(error),
                    }
                    self.renew(Instant::now());
                }
                Woken::LookedUp(Ok(starts)) => {
                    self.rebalance.take_up(&starts, &mut self.assignment);
                    self.health.joined(Instant::now());
                }
                Woken::LookedUp(Err(error)) => return Ended::Lost(error),
            }
        }
    }

    async fn woken<'r>(&mut self, records: &mut MessageStream<'r, Context>) -> Woken<'r> {
        let (timer, may_read) = (self.next_timer(), self.may_read());
        tokio::select! {
            biased;
            () = self.phases.told() => Woken::Turn,
            () = self.loans.handed_in() => Woken::HandedIn,
            permit = self.reader.permit() => Woken::Admitted(permit),
            published = self.delayed.published() => Woken::Published(published),
            sent = self.committer.answered() => Woken::Sent(sent),
            all_exist = self.health.found() => Woken::Looked(all_exist),
            starts = self.rebalance.looked_up() => Woken::LookedUp(starts),
            Some(record) = records.next(), if may_read => Woken::Record(record),
            // The inbox comes after the records: each turn empties it, so new entries need not interrupt reading.
            () = self.inbox.arrived() => Woken::Turn,
            () = until(timer), if timer.is_some() => Woken::Turn,
        }
    }

    /// Does everything that needs no waiting.
    fn turn(&mut self, now: Instant) {
        if self.phases.begins_to_drain() {
            self.begin_draining();
        }
        let mut arrived = std::mem::take(&mut self.arrived);
        self.inbox.take(&mut arrived);
        for place in arrived.done.drain(..) {
            self.acknowledge(place, now);
        }
        for (place, settled) in arrived.settled.drain(..) {
            self.settle(place, settled, now);
        }
        for report in arrived.reports.drain(..) {
            self.reported(report, now);
        }
        self.arrived = arrived;
        self.delayed
            .offer(now, &mut self.assignment, &mut self.loans, &mut self.reader);
        self.admit(now);
        if let Some(places) = self.rebalance.drained(now, &self.assignment) {
            self.give_up(&places);
        }
        self.flow.turn(now, self.room(), &mut self.assignment);
        self.committer.turn(now, &mut self.assignment);
    }

    /// True when the client must be polled: for records while there is room, and for its reports even without room,
    /// once partitions are paused and no records come.
    fn may_read(&self) -> bool {
        self.room() == Room::Some || (self.flow.is_held_back() && self.reader.takes_some_more())
    }

    fn room(&self) -> Room {
        let is_there = self.phases.is_running()
            && self.reader.takes_more()
            && self.loans.are_handed_in()
            && !self.delayed.is_over_the_bound()
            && self.assignment.in_work() < self.shared.in_flight_max;
        match is_there {
            true => Room::Some,
            false => Room::None,
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
            self.flow.patience_end(),
            self.rebalance.deadline(),
            self.phases.closing(),
        ];
        timers.into_iter().flatten().min()
    }

    /// Settles the record.
    fn acknowledge(&mut self, place: Place, now: Instant) {
        let Some(partition) = self.assignment.of(place) else {
            self.shared.events.fenced(place.offset);
            return;
        };
        partition.on_loan -= 1;
        partition.settle(place.offset);
        self.committer.settled(now);
        self.delayed.forget(place);
        self.loans.leave(place, &mut self.assignment);
    }

    fn settle(&mut self, place: Place, settled: Settled, now: Instant) {
        let next = self
            .delayed
            .settled(place, settled, &mut self.assignment, now);
        self.go_on(place, next, now);
    }

    fn published(&mut self, published: Published, now: Instant) {
        let place = published.place;
        let next = self.delayed.sent(published, &mut self.assignment, now);
        self.go_on(place, next, now);
    }

    fn go_on(&mut self, place: Place, next: Next, now: Instant) {
        match next {
            Next::Acknowledge => self.acknowledge(place, now),
            Next::GiveUp(envelope, permit, why) => {
                if let Some(partition) = self.assignment.of(place) {
                    self.loans
                        .give_up((place, envelope, permit), why, partition);
                }
            }
            Next::Wait => {}
        }
    }

    fn reported(&mut self, report: Report, now: Instant) {
        match report {
            Report::Assigned(places) => self.rebalance.look_up(places),
            Report::Revoked(places) => self.revoked(places, now),
            Report::Stats(stats) if self.phases.is_running() => {
                self.health.heard(&stats, now, &self.assignment);
                self.committer.ask(now, &self.assignment);
            }
            Report::Stats(_) => {}
            Report::TopicUnknown => self.health.topic_is_unknown(),
        }
    }

    /// Stops intake from these partitions and lets their loans end.
    fn revoked(&mut self, places: TopicPartitionList, now: Instant) {
        if let Some(former) = self.rebalance.take() {
            self.give_up(&former);
        }
        let kept = self.rebalance.begin(places, now, &mut self.assignment);
        self.delayed.drain(&kept);
        let revoking = self.assignment.iter().filter(|p| p.revoking);
        self.loans.drain(revoking);
        if self.rebalance.is_lost() {
            self.health.left();
        }
    }

    fn sent(&mut self, sent: Sent, now: Instant) {
        let forgotten = self.committer.sent(sent, &mut self.assignment, now);
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
                let (topic, number) = (&partition.topic, partition.number);
                self.shared.events.forgotten(topic, number);
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

    fn give_up(&mut self, places: &TopicPartitionList) {
        // The commit reaches the broker before the partitions are given up.
        self.committer.send_and_forget(&mut self.assignment);
        self.rebalance.give_up(places, &mut self.assignment);
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
        if self.phases.begins_to_close(on_loan, now + CLOSING_PATIENCE) {
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
        self.inbox.take(&mut self.arrived);
        self.rebalance.answer(&self.arrived.reports);
    }
}

async fn until(timer: Option<Instant>) {
    if let Some(timer) = timer {
        sleep_until(timer).await;
    }
}
