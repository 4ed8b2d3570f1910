//! What keeps the group in balance: partitions come and go, are paused and resumed, and their health is reported.

use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::time::Instant;

use crate::assignment::Partition;
use crate::context::{Report, give_up, take_up};
use crate::member::Member;
use crate::session::{Phase, Session};
use crate::stats::Stats;
use crate::topics::all_exist;

/// How long the client may go unpolled for want of room before its partitions are paused. Pausing throws away
/// what was fetched ahead, so a short wait is better borne.
const BLOCKED_PATIENCE: Duration = Duration::from_millis(500);

/// Partitions that the broker has asked for, and that are given up when what is on loan of them has ended.
pub(crate) struct Revoking {
    pub(crate) deadline: Instant,
    places: TopicPartitionList,
}

impl Session<'_> {
    pub(crate) fn reported(&mut self, report: Report, now: Instant) {
        match report {
            Report::Assigned(places) => self.assigned(&places, now),
            Report::Revoked(places) => self.revoked(places, now),
            Report::Stats(stats) => self.heard(&stats, now),
            Report::TopicUnknown => {
                self.topic_unknown = true;
                self.shared
                    .progress
                    .troubled("a topic it reads does not exist");
            }
        }
    }

    fn assigned(&mut self, places: &TopicPartitionList, now: Instant) {
        for place in places.elements() {
            let (topic, number) = (place.topic(), place.partition());
            self.assignment.remove(topic, number);
            self.assignment.add(topic, number);
            self.shared.events.assigned(topic, number);
        }
        let taken = take_up(&**self.consumer, places);
        self.shared.events.called("assign", &taken);
        self.joined = true;
        if !self.topic_unknown {
            self.shared.progress.heard(now, 0);
        }
    }

    /// Stops intake for these partitions and lets what is on loan of them end, below the session's timeout.
    fn revoked(&mut self, places: TopicPartitionList, now: Instant) {
        if let Some(former) = self.revoking.take() {
            self.give_up(&former.places);
        }
        for place in places.elements() {
            if let Some(partition) = self.assignment.find(place.topic(), place.partition()) {
                partition.revoking = true;
            }
        }
        let kept: Vec<u32> = self
            .assignment
            .iter()
            .filter(|p| !p.revoking)
            .map(|p| p.lender.epoch)
            .collect();
        self.waiting.retain(|place| kept.contains(&place.epoch));
        self.tries.retain(|place, _| kept.contains(&place.epoch));
        if let Some(lanes) = &mut self.lanes {
            lanes.retain(|epoch| kept.contains(&epoch));
        }
        // Lost ones belong to others by now: there is nothing to drain for.
        let is_lost = self.consumer.assignment_lost();
        self.joined &= !is_lost;
        let patience = match is_lost {
            true => Duration::ZERO,
            false => self.shared.options.drain_patience(),
        };
        let deadline = now + patience;
        self.revoking = Some(Revoking { deadline, places });
    }

    fn give_up(&mut self, places: &TopicPartitionList) {
        // It reaches the broker before the partitions go.
        self.commit_and_forget();
        for place in places.elements() {
            let (topic, number) = (place.topic(), place.partition());
            if let Some(partition) = self.assignment.remove(topic, number) {
                let unsettled = partition.mark.unsettled();
                self.shared.events.revoked(topic, number, unsettled);
            }
        }
        let given = give_up(&**self.consumer, places);
        self.shared.events.called("unassign", &given);
    }

    /// Answers what the broker still waits for, at the end of the session.
    pub(crate) fn answer_rebalances(&self, reports: &[Report]) {
        let revoking = self.revoking.as_ref().map(|revoking| &revoking.places);
        let mut answers: Vec<_> = revoking
            .map(|places| give_up(&**self.consumer, places))
            .into_iter()
            .collect();
        for report in reports {
            match report {
                Report::Assigned(places) => answers.push(take_up(&**self.consumer, places)),
                Report::Revoked(places) => answers.push(give_up(&**self.consumer, places)),
                _ => {}
            }
        }
        for answer in &answers {
            self.shared.events.called("rebalance while leaving", answer);
        }
    }

    /// Gives up what is drained, and pauses and resumes as there is room.
    pub(crate) fn balance(&mut self, now: Instant) {
        let drained = self
            .assignment
            .iter()
            .all(|p| !p.revoking || p.on_loan == 0);
        if let Some(revoking) = self.revoking.take_if(|r| drained || r.deadline <= now) {
            self.give_up(&revoking.places);
        }
        if self.has_room() {
            self.blocked_since = None;
            self.held_back = false;
        } else if now >= *self.blocked_since.get_or_insert(now) + BLOCKED_PATIENCE {
            self.hold_back();
        }
        self.pause_and_resume();
    }

    /// When partitions are paused for want of room.
    pub(crate) fn patience_end(&self) -> Option<Instant> {
        let since = self.blocked_since.filter(|_| !self.held_back)?;
        Some(since + BLOCKED_PATIENCE)
    }

    pub(crate) fn hold_back(&mut self) {
        if !self.held_back {
            self.held_back = true;
            self.shared.events.held_back();
            self.pause_and_resume();
        }
    }

    /// Pauses what is to be paused. Members stay in their group: the client goes on being polled.
    fn pause_and_resume(&mut self) {
        let undue_max = self.shared.undue_max();
        let is_as_wanted =
            |p: &Partition| p.paused == (self.held_back || p.revoking || p.is_strained(undue_max));
        // Nearly always, and asked every turn.
        if self.assignment.iter().all(is_as_wanted) {
            return;
        }
        let mut pause = TopicPartitionList::new();
        let mut resume = TopicPartitionList::new();
        for partition in self.assignment.iter_mut() {
            let is_strained = partition.is_strained(undue_max);
            let wanted = self.held_back || partition.revoking || is_strained;
            if wanted == partition.paused {
                continue;
            }
            partition.paused = wanted;
            match wanted {
                true => pause.add_partition(&partition.topic, partition.number),
                false => resume.add_partition(&partition.topic, partition.number),
            };
            if wanted && is_strained {
                self.shared
                    .events
                    .partition_paused(&partition.topic, partition.number);
            }
        }
        if pause.count() > 0 {
            self.shared
                .events
                .called("pause", &self.consumer.pause(&pause));
        }
        if resume.count() > 0 {
            self.shared
                .events
                .called("resume", &self.consumer.resume(&resume));
        }
    }

    /// Tells lag and health by what the client knows.
    fn heard(&mut self, stats: &Stats, now: Instant) {
        let mut backlog = 0;
        for partition in self.assignment.iter() {
            let position = partition.mark.position();
            if let Some(lag) = stats.lag(&partition.topic, partition.number, position) {
                self.shared
                    .events
                    .lag(&partition.topic, partition.number, lag);
                backlog += lag;
            }
        }
        // What waits in the retry topic waits for its time, not for us.
        if self.shared.member == Member::OfRetries {
            backlog = 0;
        }
        let progress = &self.shared.progress;
        if !stats.is_connected() {
            progress.troubled(self.shared.events.why_unreachable());
            return;
        }
        self.shared.events.connected();
        if !self.joined {
            progress.troubled("has not joined its group yet");
        } else if self.topic_unknown {
            progress.troubled("a topic it reads does not exist");
            self.look_for_topics();
        } else if self.phase == Phase::Running {
            progress.heard(now, backlog);
        }
    }

    fn look_for_topics(&mut self) {
        if self.looking.is_none() {
            let topics = self.shared.topics();
            self.looking = Some(Box::pin(all_exist(self.consumer.clone(), topics)));
        }
    }
}
