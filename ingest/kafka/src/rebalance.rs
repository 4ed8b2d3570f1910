//! Handles partitions that come and go. It looks up where new ones start before they are read, drains the ones that the
//! broker asks back before giving them up, and answers every callback of the client.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::Instant;

use crate::assignment::{Assignment, Partition};
use crate::context::{Context, Report, give_up, take_up};
use crate::source::Shared;
use crate::starts::{LookUp, Start};

/// Partitions that the broker has asked back, given up when their loans have ended.
struct Revoking {
    deadline: Instant,
    places: TopicPartitionList,
}

/// Answers the group.
pub(crate) struct Rebalance<'a> {
    shared: &'a Shared,
    consumer: &'a Arc<StreamConsumer<Context>>,
    revoking: Option<Revoking>,
    starting: Option<Starting>,
}

/// Partitions that were assigned, while their starts are looked up.
struct Starting {
    places: TopicPartitionList,
    looking: BoxFuture<'static, KafkaResult<Vec<Start>>>,
}

impl<'a> Rebalance<'a> {
    pub(crate) fn new(shared: &'a Shared, consumer: &'a Arc<StreamConsumer<Context>>) -> Self {
        Self {
            shared,
            consumer,
            revoking: None,
            starting: None,
        }
    }

    /// Takes newly assigned partitions and looks up where they start.
    pub(crate) fn look_up(&mut self, places: TopicPartitionList) {
        let look_up = LookUp {
            consumer: self.consumer.clone(),
            places: places.clone(),
            policy: self.shared.options.start_of(self.shared.member),
            remembered: self.shared.remembered.clone(),
            events: self.shared.events.clone(),
        };
        let looking = Box::pin(look_up.run());
        self.starting = Some(Starting { places, looking });
    }

    /// The starts of newly assigned partitions, once looked up. Pending if no lookup is running.
    pub(crate) async fn looked_up(&mut self) -> KafkaResult<Vec<Start>> {
        match &mut self.starting {
            Some(starting) => (&mut starting.looking).await,
            None => std::future::pending().await,
        }
    }

    /// Starts reading these partitions.
    pub(crate) fn take_up(&mut self, starts: &[Start], assignment: &mut Assignment) {
        self.starting = None;
        let mut places = TopicPartitionList::with_capacity(starts.len());
        for start in starts {
            let (topic, number) = (start.topic.as_str(), start.number);
            assignment.remove(topic, number);
            assignment.add(start);
            self.shared.events.assigned(start);
            let offset = i64::try_from(start.fetched_from()).unwrap_or(i64::MAX);
            let added = places.add_partition_offset(topic, number, Offset::Offset(offset));
            self.shared.events.called("assign", &added);
        }
        let taken = take_up(&**self.consumer, &places);
        self.shared.events.called("assign", &taken);
    }

    /// Makes the client read this partition from its first record.
    pub(crate) fn go_back(&self, topic: &str, number: i32) {
        // With a zero timeout, the seek is started and not awaited.
        let sought = self
            .consumer
            .seek(topic, number, Offset::Beginning, Duration::ZERO);
        self.shared.events.called("seek", &sought);
    }

    /// Stops reading these partitions and lets their loans end, within a part of the session timeout. Returns the
    /// epochs that are kept.
    pub(crate) fn begin(
        &mut self,
        places: TopicPartitionList,
        now: Instant,
        assignment: &mut Assignment,
    ) -> Vec<u32> {
        self.answer_start();
        for place in places.elements() {
            if let Some(partition) = assignment.find(place.topic(), place.partition()) {
                partition.revoking = true;
            }
        }
        // Lost partitions belong to others by now: there is nothing to drain for.
        let patience = match self.is_lost() {
            true => Duration::ZERO,
            false => self.shared.options.drain_patience(),
        };
        let deadline = now + patience;
        self.revoking = Some(Revoking { deadline, places });
        let kept = assignment.iter().filter(|p| !p.revoking);
        kept.map(|p| p.lender.epoch).collect()
    }

    /// True if the group has continued without this member.
    pub(crate) fn is_lost(&self) -> bool {
        self.consumer.assignment_lost()
    }

    /// The partitions to give up now, because they are drained or time has run out.
    pub(crate) fn drained(
        &mut self,
        now: Instant,
        assignment: &Assignment,
    ) -> Option<TopicPartitionList> {
        let is_drained = assignment.iter().all(|p| !p.revoking || p.on_loan == 0);
        let is_over = |revoking: &mut Revoking| is_drained || revoking.deadline <= now;
        self.revoking.take_if(is_over).map(|r| r.places)
    }

    /// The partitions still to give up.
    pub(crate) fn take(&mut self) -> Option<TopicPartitionList> {
        self.revoking.take().map(|revoking| revoking.places)
    }

    /// The deadline of the drain, if one is running.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.revoking.as_ref().map(|revoking| revoking.deadline)
    }

    /// Gives up these partitions: settlements that arrive later are fenced.
    pub(crate) fn give_up(&self, places: &TopicPartitionList, assignment: &mut Assignment) {
        for place in places.elements() {
            let (topic, number) = (place.topic(), place.partition());
            if let Some(partition) = assignment.remove(topic, number) {
                self.remember(&partition);
                let unsettled = partition.mark.unsettled();
                self.shared.events.revoked(topic, number, unsettled);
            }
        }
        let given = give_up(&**self.consumer, places);
        self.shared.events.called("unassign", &given);
    }

    /// Keeps the committed extent here in case the broker forgets it.
    pub(crate) fn remember(&self, partition: &Partition) {
        if let Some(settled) = partition.confirmed() {
            let (topic, number) = (&partition.topic, partition.number);
            self.shared.remembered.keep(topic, number, settled.clone());
        }
    }

    /// Answers an assignment whose lookup is no longer needed: the client still waits for the answer.
    fn answer_start(&mut self) {
        if let Some(starting) = self.starting.take() {
            let taken = take_up(&**self.consumer, &starting.places);
            self.shared.events.called("assign", &taken);
        }
    }

    /// From now on the client answers by itself.
    pub(crate) fn close(&self) {
        self.consumer.context().close();
    }

    /// Answers every request that the broker still waits for at the end of the session.
    pub(crate) fn answer(&mut self, reports: &[Report]) {
        self.answer_start();
        let revoking = self.revoking.as_ref().map(|revoking| &revoking.places);
        let mut answers: Vec<_> = revoking
            .map(|places| give_up(&**self.consumer, places))
            .into_iter()
            .collect();
        for report in reports {
            match report {
                Report::Assigned(places) => answers.push(take_up(&**self.consumer, places)),
                Report::Revoked(places) => answers.push(give_up(&**self.consumer, places)),
                Report::Stats(_) | Report::TopicUnknown => {}
            }
        }
        for answer in &answers {
            self.shared.events.called("rebalance while leaving", answer);
        }
    }
}
