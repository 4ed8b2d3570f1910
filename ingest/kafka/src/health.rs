//! Lag and readiness, by what the client knows of its group, its topics and its brokers.

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

/// What is known of the source's health.
pub(crate) struct Health<'a> {
    shared: &'a Shared,
    consumer: &'a Arc<StreamConsumer<Context>>,
    /// It is a member of its group.
    joined: bool,
    /// A topic did not exist when the client last said so.
    topic_unknown: bool,
    /// Asks whether that has changed.
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

    /// The group has given us partitions.
    pub(crate) fn joined(&mut self, now: Instant) {
        self.joined = true;
        if !self.topic_unknown {
            self.shared.progress.connected(now);
        }
    }

    /// The group has gone on without us.
    pub(crate) fn left(&mut self) {
        self.joined = false;
    }

    /// The client says that a topic does not exist.
    pub(crate) fn topic_is_unknown(&mut self) {
        self.topic_unknown = true;
        self.shared.progress.troubled(TOPIC_UNKNOWN);
    }

    /// Tells lag and health by what the client knows.
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
                    // What is taken up waits for its provider, what is not for its time or for room.
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

    /// Whether all topics exist, once that was asked for. Pending while it was not.
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
