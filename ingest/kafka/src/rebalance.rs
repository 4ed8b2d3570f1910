//! Partitions come and go. Those that the broker asks back are drained before they are given up, and every question
//! of the client is answered.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::time::Instant;

use crate::assignment::Assignment;
use crate::context::{Context, Report, give_up, take_up};
use crate::source::Shared;

/// Partitions that the broker has asked for, and that are given up when what is on loan of them has ended.
struct Revoking {
    deadline: Instant,
    places: TopicPartitionList,
}

/// Answers the group.
pub(crate) struct Rebalance<'a> {
    shared: &'a Shared,
    consumer: &'a Arc<StreamConsumer<Context>>,
    revoking: Option<Revoking>,
}

impl<'a> Rebalance<'a> {
    pub(crate) fn new(shared: &'a Shared, consumer: &'a Arc<StreamConsumer<Context>>) -> Self {
        Self {
            shared,
            consumer,
            revoking: None,
        }
    }

    /// These are ours from now on.
    pub(crate) fn take_up(&self, places: &TopicPartitionList, assignment: &mut Assignment) {
        for place in places.elements() {
            let (topic, number) = (place.topic(), place.partition());
            assignment.remove(topic, number);
            assignment.add(topic, number);
            self.shared.events.assigned(topic, number);
        }
        let taken = take_up(&**self.consumer, places);
        self.shared.events.called("assign", &taken);
    }

    /// Reads nothing new of these partitions and lets what is on loan of them end, below the session's timeout. Answers
    /// which assignments are kept.
    pub(crate) fn begin(
        &mut self,
        places: TopicPartitionList,
        now: Instant,
        assignment: &mut Assignment,
    ) -> Vec<u32> {
        for place in places.elements() {
            if let Some(partition) = assignment.find(place.topic(), place.partition()) {
                partition.revoking = true;
            }
        }
        // Lost ones belong to others by now: there is nothing to drain for.
        let patience = match self.is_lost() {
            true => Duration::ZERO,
            false => self.shared.options.drain_patience(),
        };
        let deadline = now + patience;
        self.revoking = Some(Revoking { deadline, places });
        let kept = assignment.iter().filter(|p| !p.revoking);
        kept.map(|p| p.lender.epoch).collect()
    }

    /// True when the group went on without us.
    pub(crate) fn is_lost(&self) -> bool {
        self.consumer.assignment_lost()
    }

    /// What is to be given up now, for it is drained or there is no more time.
    pub(crate) fn drained(
        &mut self,
        now: Instant,
        assignment: &Assignment,
    ) -> Option<TopicPartitionList> {
        let is_drained = assignment.iter().all(|p| !p.revoking || p.on_loan == 0);
        let is_over = |revoking: &mut Revoking| is_drained || revoking.deadline <= now;
        self.revoking.take_if(is_over).map(|r| r.places)
    }

    /// What is still to be given up.
    pub(crate) fn take(&mut self) -> Option<TopicPartitionList> {
        self.revoking.take().map(|revoking| revoking.places)
    }

    /// Until when is drained, if anything is.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.revoking.as_ref().map(|revoking| revoking.deadline)
    }

    /// These are ours no more: what is settled of them from now on is fenced.
    pub(crate) fn give_up(&self, places: &TopicPartitionList, assignment: &mut Assignment) {
        for place in places.elements() {
            let (topic, number) = (place.topic(), place.partition());
            if let Some(partition) = assignment.remove(topic, number) {
                let unsettled = partition.mark.unsettled();
                self.shared.events.revoked(topic, number, unsettled);
            }
        }
        let given = give_up(&**self.consumer, places);
        self.shared.events.called("unassign", &given);
    }

    /// From now on the client answers for itself.
    pub(crate) fn close(&self) {
        self.consumer.context().close();
    }

    /// Answers what the broker still waits for, at the end of the session.
    pub(crate) fn answer(&self, reports: &[Report]) {
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
