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
use crate::client_report::ClientReport;
use crate::context::{Context, give_up, take_up};
use crate::member_context::MemberContext;
use crate::start_point::StartPoint;
use crate::starts::StartLookUp;

/// Partitions that the broker has asked back, given up when their loans have ended.
struct Revocation {
    deadline: Instant,
    partitions: TopicPartitionList,
}

/// Answers the group.
pub(crate) struct Rebalance<'a> {
    shared: &'a MemberContext,
    consumer: &'a Arc<StreamConsumer<Context>>,
    revoking: Option<Revocation>,
    starting: Option<PendingStart>,
}

/// Partitions that were assigned, while their starts are looked up.
struct PendingStart {
    partitions: TopicPartitionList,
    look_up: BoxFuture<'static, KafkaResult<Vec<StartPoint>>>,
}

impl<'a> Rebalance<'a> {
    pub(crate) fn new(
        shared: &'a MemberContext,
        consumer: &'a Arc<StreamConsumer<Context>>,
    ) -> Self {
        Self {
            shared,
            consumer,
            revoking: None,
            starting: None,
        }
    }

    /// Takes newly assigned partitions and looks up where they start.
    pub(crate) fn look_up(&mut self, partitions: TopicPartitionList) {
        let look_up = StartLookUp {
            consumer: self.consumer.clone(),
            assigned: partitions.clone(),
            policy: self.shared.options.start_of(self.shared.member),
            former: self.shared.former.clone(),
            events: self.shared.events.clone(),
        };
        let look_up = Box::pin(look_up.run());
        self.starting = Some(PendingStart {
            partitions,
            look_up,
        });
    }

    /// The starts of newly assigned partitions, once looked up. Pending if no lookup is running.
    pub(crate) async fn looked_up(&mut self) -> KafkaResult<Vec<StartPoint>> {
        match &mut self.starting {
            Some(starting) => (&mut starting.look_up).await,
            None => std::future::pending().await,
        }
    }

    /// Starts reading these partitions.
    pub(crate) fn take_up(&mut self, starts: &[StartPoint], assignment: &mut Assignment) {
        self.starting = None;
        let mut partitions = TopicPartitionList::with_capacity(starts.len());
        for start in starts {
            let topic = start.topic.as_str();
            let number = start.number;
            assignment.remove(topic, number);
            assignment.add(start);
            self.shared.events.assigned(start);
            let offset = i64::try_from(start.fetched_from()).unwrap_or(i64::MAX);
            let added = partitions.add_partition_offset(topic, number, Offset::Offset(offset));
            self.shared.events.called("assign", &added);
        }
        let answered = take_up(&**self.consumer, &partitions);
        self.shared.events.called("assign", &answered);
    }

    /// Makes the client read this partition from its first record.
    pub(crate) fn go_back(&self, topic: &str, number: i32) {
        // With a zero timeout, the seek is started and not awaited.
        let seek = self
            .consumer
            .seek(topic, number, Offset::Beginning, Duration::ZERO);
        self.shared.events.called("seek", &seek);
    }

    /// Stops reading these partitions and lets their loans end, within a part of the session timeout. Returns the
    /// epochs that are kept.
    pub(crate) fn begin(
        &mut self,
        partitions: TopicPartitionList,
        now: Instant,
        assignment: &mut Assignment,
    ) -> Vec<u32> {
        self.answer_start();
        for element in partitions.elements() {
            if let Some(partition) = assignment.find(element.topic(), element.partition()) {
                partition.revoking = true;
            }
        }
        // Lost partitions belong to others by now: there is nothing to drain for.
        let timeout = match self.is_lost() {
            true => Duration::ZERO,
            false => self.shared.options.drain_timeout(),
        };
        let deadline = now + timeout;
        self.revoking = Some(Revocation {
            deadline,
            partitions,
        });
        let kept = assignment.iter().filter(|p| !p.revoking);
        kept.map(|p| p.origin.epoch).collect()
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
        let is_over = |revoking: &mut Revocation| is_drained || revoking.deadline <= now;
        self.revoking.take_if(is_over).map(|r| r.partitions)
    }

    /// The partitions still to give up.
    pub(crate) fn take(&mut self) -> Option<TopicPartitionList> {
        self.revoking.take().map(|revoking| revoking.partitions)
    }

    /// The deadline of the drain, if one is running.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.revoking.as_ref().map(|revoking| revoking.deadline)
    }

    /// Gives up these partitions: settlements that arrive later are fenced.
    pub(crate) fn give_up(&self, partitions: &TopicPartitionList, assignment: &mut Assignment) {
        for element in partitions.elements() {
            let topic = element.topic();
            let number = element.partition();
            if let Some(partition) = assignment.remove(topic, number) {
                self.remember(&partition);
                let unsettled = partition.mark.unsettled();
                self.shared.events.revoked(topic, number, unsettled);
            }
        }
        let answered = give_up(&**self.consumer, partitions);
        self.shared.events.called("unassign", &answered);
    }

    /// Keeps the committed extent here in case the broker forgets it.
    pub(crate) fn remember(&self, partition: &Partition) {
        if let Some(settled) = partition.confirmed() {
            let former = &self.shared.former;
            former.keep(&partition.topic, partition.number, settled.clone());
        }
    }

    /// Answers an assignment whose lookup is no longer needed: the client still waits for the answer.
    fn answer_start(&mut self) {
        if let Some(starting) = self.starting.take() {
            let answered = take_up(&**self.consumer, &starting.partitions);
            self.shared.events.called("assign", &answered);
        }
    }

    /// From now on the client answers by itself.
    pub(crate) fn close(&self) {
        self.consumer.context().close();
    }

    /// Answers every request that the broker still waits for at the end of the session.
    pub(crate) fn answer(&mut self, reports: &[ClientReport]) {
        self.answer_start();
        let revoking = self.revoking.as_ref().map(|revoking| &revoking.partitions);
        let mut answers: Vec<_> = revoking
            .map(|partitions| give_up(&**self.consumer, partitions))
            .into_iter()
            .collect();
        for report in reports {
            match report {
                ClientReport::Assigned(partitions) => {
                    answers.push(take_up(&**self.consumer, partitions));
                }
                ClientReport::Revoked(partitions) => {
                    answers.push(give_up(&**self.consumer, partitions));
                }
                ClientReport::Stats(_) | ClientReport::TopicUnknown => {}
            }
        }
        for answer in &answers {
            self.shared.events.called("rebalance while leaving", answer);
        }
    }
}
