//! Lag and readiness, from the client's view of its group, topics and brokers.

use std::sync::Arc;
use std::time::Duration;

use acteon_ingest_kit::StreamProgress;
use futures_util::future::BoxFuture;
use rdkafka::consumer::{Consumer, StreamConsumer};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::assignment::{Assignment, Partition};
use crate::client_report::ClientStats;
use crate::context::Context;
use crate::member::ConsumerMember;
use crate::member_context::MemberContext;

const TOPIC_UNKNOWN: &str = "a topic it reads does not exist";
/// How long the brokers may take to say whether a topic exists.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// The health of the source.
pub(crate) struct Health<'a> {
    shared: &'a MemberContext,
    consumer: &'a Arc<StreamConsumer<Context>>,
    /// It is a member of its group.
    joined: bool,
    /// The client last reported that a topic does not exist.
    topic_unknown: bool,
    /// The check whether the topics exist by now.
    topic_check: Option<BoxFuture<'static, bool>>,
}

impl<'a> Health<'a> {
    pub(crate) fn new(
        shared: &'a MemberContext,
        consumer: &'a Arc<StreamConsumer<Context>>,
    ) -> Self {
        Self {
            shared,
            consumer,
            joined: false,
            topic_unknown: false,
            topic_check: None,
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
        self.shared.progress.not_ready(TOPIC_UNKNOWN);
    }

    /// Reports lag and health from the client's statistics.
    pub(crate) fn heard(&mut self, stats: &ClientStats, now: Instant, assignment: &Assignment) {
        let streams = self.streams(stats, assignment);
        let progress = &self.shared.progress;
        if !stats.is_connected() {
            progress.not_ready(self.shared.events.why_unreachable());
            return;
        }
        self.shared.events.connected();
        if !self.joined {
            progress.not_ready("has not joined its group yet");
        } else if let Some(missing) = self.shared.own_topics.missing() {
            progress.not_ready(missing);
            self.check_topics();
        } else if self.topic_unknown {
            progress.not_ready(TOPIC_UNKNOWN);
            self.check_topics();
        } else {
            progress.heard(now, streams);
        }
    }

    /// The progress of each partition. Reports their lag.
    fn streams<'p>(
        &self,
        stats: &ClientStats,
        assignment: &'p Assignment,
    ) -> Vec<StreamProgress<'p>> {
        let stream = |partition: &'p Partition| {
            let lag = partition.lag(stats);
            if let Some(lag) = lag {
                let events = &self.shared.events;
                events.lag(&partition.topic, partition.number, lag);
            }
            StreamProgress {
                stream: partition.stream(),
                waiting: match self.shared.member {
                    ConsumerMember::OfTopics(_) if partition.is_read_on() => lag.unwrap_or(0),
                    // Records taken up wait for their provider; the others wait until they are due or for room.
                    ConsumerMember::OfTopics(_) | ConsumerMember::OfRetries => 0,
                },
                moves: partition.mark.moves(),
            }
        };
        assignment.iter().map(stream).collect()
    }

    fn check_topics(&mut self) {
        if self.topic_check.is_some() {
            return;
        }
        let topics = self.shared.topics();
        let consumer = self.consumer.clone();
        let own = self.shared.own_topics.clone();
        let member = self.shared.member;
        self.topic_check = Some(Box::pin(async move {
            if member == ConsumerMember::OfRetries {
                own.recheck().await;
            }
            own.ensure().await.is_ok() && all_exist(consumer, topics).await
        }));
    }

    /// Whether all topics exist. Pending if no check is running.
    pub(crate) async fn topics_checked(&mut self) -> bool {
        match &mut self.topic_check {
            Some(check) => {
                let all_exist = check.await;
                self.topic_check = None;
                all_exist
            }
            None => std::future::pending().await,
        }
    }

    /// Stores whether all topics exist.
    pub(crate) fn set_topics_exist(&mut self, all_exist: bool) {
        self.topic_unknown = !all_exist;
    }
}

/// True if all `topics` exist; false also if no broker answers.
async fn all_exist(consumer: Arc<StreamConsumer<Context>>, topics: Vec<String>) -> bool {
    let checked = spawn_blocking(move || topics.iter().all(|topic| exists(&consumer, topic)));
    checked.await.unwrap_or(false)
}

fn exists(consumer: &StreamConsumer<Context>, topic: &str) -> bool {
    let metadata = consumer.fetch_metadata(Some(topic), METADATA_TIMEOUT);
    metadata.is_ok_and(|metadata| {
        let mut topics = metadata.topics().iter();
        topics.any(|topic| topic.error().is_none())
    })
}
