//! Back-pressure: pauses partitions while there is no room for their records, and resumes them.
//!
//! The client is still polled in the meantime, so the member stays in its group.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::time::Instant;

use crate::assignment::{Assignment, Partition};
use crate::context::Context;
use crate::member_context::MemberContext;

/// How long the client may go unpolled for lack of room before its partitions are paused. A pause discards the
/// prefetch, so a short wait is cheaper.
const PAUSE_DELAY: Duration = Duration::from_millis(500);

/// Whether there is room to read more records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capacity {
    Free,
    Full,
}

/// Pauses and resumes partitions.
pub(crate) struct Flow<'a> {
    shared: &'a MemberContext,
    consumer: &'a Arc<StreamConsumer<Context>>,
    /// When the room to read ran out.
    blocked_since: Option<Instant>,
    /// All partitions are paused, so polling returns no records.
    held_back: bool,
}

impl<'a> Flow<'a> {
    pub(crate) fn new(
        shared: &'a MemberContext,
        consumer: &'a Arc<StreamConsumer<Context>>,
    ) -> Self {
        Self {
            shared,
            consumer,
            blocked_since: None,
            held_back: false,
        }
    }

    /// Pauses or resumes partitions, depending on whether there is room.
    pub(crate) fn turn(&mut self, now: Instant, capacity: Capacity, assignment: &mut Assignment) {
        match capacity {
            Capacity::Free => {
                self.blocked_since = None;
                self.held_back = false;
            }
            Capacity::Full => {
                let since = *self.blocked_since.get_or_insert(now);
                if now >= since + PAUSE_DELAY {
                    self.hold_back(assignment);
                }
            }
        }
        self.pause_and_resume(assignment);
    }

    /// True while all partitions are paused.
    pub(crate) fn is_held_back(&self) -> bool {
        self.held_back
    }

    /// When partitions will be paused for lack of room.
    pub(crate) fn pause_due(&self) -> Option<Instant> {
        let since = self.blocked_since.filter(|_| !self.held_back)?;
        Some(since + PAUSE_DELAY)
    }

    /// Pauses all partitions.
    pub(crate) fn hold_back(&mut self, assignment: &mut Assignment) {
        if !self.held_back {
            self.held_back = true;
            self.shared.events.held_back();
            self.pause_and_resume(assignment);
        }
    }

    fn pause_and_resume(&self, assignment: &mut Assignment) {
        let undue_max = self.shared.undue_max(assignment.len());
        let is_as_wanted =
            |p: &Partition| p.paused == (self.held_back || p.revoking || p.is_strained(undue_max));
        // Checked on every turn, and nearly always true.
        if assignment.iter().all(is_as_wanted) {
            return;
        }
        let mut pause = TopicPartitionList::new();
        let mut resume = TopicPartitionList::new();
        for partition in assignment.iter_mut() {
            let is_strained = partition.is_strained(undue_max);
            let wanted = self.held_back || partition.revoking || is_strained;
            if wanted == partition.paused {
                continue;
            }
            partition.paused = wanted;
            let topic = &partition.topic;
            let number = partition.number;
            match wanted {
                true => pause.add_partition(topic, number),
                false => resume.add_partition(topic, number),
            };
            if wanted && is_strained {
                self.shared.events.partition_paused(topic, number);
            }
        }
        let events = &self.shared.events;
        if pause.count() > 0 {
            events.called("pause", &self.consumer.pause(&pause));
        }
        if resume.count() > 0 {
            events.called("resume", &self.consumer.resume(&resume));
        }
    }
}
