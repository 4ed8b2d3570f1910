//! Sends to the broker how far partitions are settled, and again where that failed.
//!
//! Only a commit that is waited for tells how it went, so it is waited for on a thread that may block.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::context::Context;
use crate::session::Session;

/// How soon a failed commit is repeated.
const AGAIN: Duration = Duration::from_secs(1);

/// How a commit went.
pub(crate) struct Sent {
    places: TopicPartitionList,
    result: KafkaResult<()>,
}

impl Session<'_> {
    /// Sends what is settled, one commit at a time.
    pub(crate) fn commit_when_due(&mut self, now: Instant) {
        if self.committing.is_some() || self.commit_due.is_none_or(|due| due > now) {
            return;
        }
        self.commit_due = None;
        let places = self.assignment.take_uncommitted();
        if places.count() > 0 {
            self.committing = Some(Box::pin(commit(self.consumer.clone(), places)));
        }
    }

    pub(crate) fn sent(&mut self, sent: &Sent, now: Instant) {
        self.committing = None;
        match &sent.result {
            Ok(()) => {
                let records = self.assignment.committed(&sent.places);
                self.shared.events.committed(records);
            }
            Err(error) => {
                self.shared.events.commit_failed(error);
                self.assignment.commit_failed();
                self.commit_due = Some(now + AGAIN);
            }
        }
    }

    /// Sends what is settled when nobody will be there for the answer: should it fail, records come again.
    pub(crate) fn commit_and_forget(&mut self) {
        let places = self.assignment.take_uncommitted();
        if places.count() > 0 {
            let sent = self.consumer.commit(&places, CommitMode::Async);
            self.shared.events.called("commit", &sent);
        }
    }
}

async fn commit(consumer: Arc<StreamConsumer<Context>>, places: TopicPartitionList) -> Sent {
    let sent = spawn_blocking(move || {
        let result = consumer.commit(&places, CommitMode::Sync);
        Sent { places, result }
    });
    sent.await.unwrap_or_else(|_| Sent {
        places: TopicPartitionList::new(),
        result: Err(KafkaError::Canceled),
    })
}
