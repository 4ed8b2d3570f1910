//! Lag and readiness, from the client's view of its group, topics and brokers.

use std::sync::Arc;

use acteon_ingest_kit::Standing;
use futures_util::future::BoxFuture;
use rdkafka::consumer::StreamConsumer;
use tokio::time::Instant;

use crate::assignment::{Assignment, Partition};
use crate::context::Context;
use crate::member::Member;
use crate::source::Shared;
use crate::stats::Stats;
use crate::topics::all_exist;

const TOPIC_UNKNOWN: &str = "a topic it reads does not exist";

/// The health of the source.
pub(crate) struct Health<'a> {
    shared: &'a Shared,
    consumer: &'a Arc<StreamConsumer<Context>>,
    /// It is a member of its group.
    joined: bool,
    /// The client last reported that a topic does not exist.
    topic_unknown: bool,
    /// The check whether the topics exist by now.
    looking: Option<BoxFuture<'static, bool>>,
}

impl<'a> Health<'a> {
    pub(crate) fn new(shared: &'a Shared, consumer: &'a Arc<StreamConsumer<Context>>) -> Self {
        Self {
            shared,
            consumer,
            joined: false,
            topic_unknown: false,
            looking: None,
        }
    }

    /// The group has assigned partitions.
    pub(crate) fn joined(&mut self, now: Instant) {
        self.joined = true;
        if !self.topic_unknown {
            self.shared.progress.connected(now);
        }
    }

    /// The group has continued without this member.
    pub(crate) fn left(&mut self) {
        self.joined = false;
    }

    /// The client reports that a topic does not exist.
    pub(crate) fn topic_is_unknown(&mut self) {
        self.topic_unknown = true;
        self.shared.progress.troubled(TOPIC_UNKNOWN);
    }

    /// Reports lag and health from the client's statistics.
    pub(crate) fn heard(&mut self, stats: &Stats, now: Instant, assignment: &Assignment) {
        let standings = self.standings(stats, assignment);
        let progress = &self.shared.progress;
        if !stats.is_connected() {
            progress.troubled(self.shared.events.why_unreachable());
            return;
        }
        self.shared.events.connected();
        if !self.joined {
            progress.troubled("has not joined its group yet");
        } else if let Some(missing) = self.shared.own_topics.trouble() {
            progress.troubled(missing);
            self.look_for_topics();
        } else if self.topic_unknown {
            progress.troubled(TOPIC_UNKNOWN);
            self.look_for_topics();
        } else {
            progress.heard(now, standings);
        }
    }

    /// The state of each partition. Reports their lag.
    fn standings<'p>(&self, stats: &Stats, assignment: &'p Assignment) -> Vec<Standing<'p>> {
        let standing = |partition: &'p Partition| {
            let lag = stats.lag(partition);
            if let Some(lag) = lag {
                let (topic, number) = (&partition.topic, partition.number);
                self.shared.events.lag(topic, number, lag);
            }
            Standing {
                stream: partition.stream(),
                waiting: match self.shared.member {
                    Member::OfTopics(_) if partition.is_read_on() => lag.unwrap_or(0),
                    // Records taken up wait for their provider; the others wait until they are due or for room.
                    Member::OfTopics(_) | Member::OfRetries => 0,
                },
                moves: partition.mark.moves(),
            }
        };
        assignment.iter().map(standing).collect()
    }

    fn look_for_topics(&mut self) {
        if self.looking.is_some() {
            return;
        }
        let (topics, consumer) = (self.shared.topics(), self.consumer.clone());
        let (own, member) = (self.shared.own_topics.clone(), self.shared.member);
        self.looking = Some(Box::pin(async move {
            if member == Member::OfRetries {
                own.doubt().await;
            }
            own.ensure().await.is_ok() && all_exist(consumer, topics).await
        }));
    }

    /// Whether all topics exist. Pending if no check is running.
    pub(crate) async fn found(&mut self) -> bool {
        match &mut self.looking {
            Some(looking) => {
                let all_exist = looking.await;
                self.looking = None;
                all_exist
            }
            None => std::future::pending().await,
        }
    }

    pub(crate) fn looked(&mut self, all_exist: bool) {
        self.topic_unknown = !all_exist;
    }
}
