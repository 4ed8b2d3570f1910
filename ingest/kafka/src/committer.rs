//! Sends to the broker how far partitions are settled, and again where that failed.
//!
//! Only a commit that is waited for tells how it went, so it is waited for on a thread that may block.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::assignment::Assignment;
use crate::context::Context;
use crate::source::Shared;

/// How long what is settled waits to be committed together with more.
const INTERVAL: Duration = Duration::from_millis(100);
/// How soon a failed commit is repeated.
const AGAIN: Duration = Duration::from_secs(1);

/// How a commit went.
pub(crate) struct Sent {
    places: TopicPartitionList,
    result: KafkaResult<()>,
}

/// Commits, one after another.
pub(crate) struct Committer<'a> {
    shared: &'a Shared,
    consumer: &'a Arc<StreamConsumer<Context>>,
    due: Option<Instant>,
    /// The commit that is on its way.
    sending: Option<BoxFuture<'static, Sent>>,
}

impl<'a> Committer<'a> {
    pub(crate) fn new(shared: &'a Shared, consumer: &'a Arc<StreamConsumer<Context>>) -> Self {
        Self {
            shared,
            consumer,
            due: None,
            sending: None,
        }
    }

    /// There is something to commit. True when there was nothing before.
    pub(crate) fn settled(&mut self, now: Instant) -> bool {
        let is_first = self.due.is_none();
        if is_first {
            self.due = Some(now + INTERVAL);
        }
        is_first
    }

    /// What there is, is committed as soon as may be.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.due = Some(now);
    }

    /// When the next commit is to be sent. While one is on its way, nothing is.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.filter(|_| self.sending.is_none())
    }

    /// Sends what is settled, when it is due.
    pub(crate) fn turn(&mut self, now: Instant, assignment: &mut Assignment) {
        if self.next_due().is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        let places = assignment.take_uncommitted();
        if places.count() > 0 {
            self.sending = Some(Box::pin(commit(self.consumer.clone(), places)));
        }
    }

    /// The end of the commit that is on its way. Pending while there is none.
    pub(crate) async fn answered(&mut self) -> Sent {
        match &mut self.sending {
            Some(sending) => {
                let sent = sending.await;
                self.sending = None;
                sent
            }
            None => std::future::pending().await,
        }
    }

    pub(crate) fn sent(&mut self, sent: &Sent, assignment: &mut Assignment, now: Instant) {
        match &sent.result {
            Ok(()) => {
                let records = assignment.committed(&sent.places);
                self.shared.events.committed(records);
            }
            Err(error) => {
                self.shared.events.commit_failed(error);
                assignment.commit_failed();
                self.due = Some(now + AGAIN);
            }
        }
    }

    /// Sends what is settled when nobody will be there for the answer: should it fail, records come again.
    pub(crate) fn send_and_forget(&self, assignment: &mut Assignment) {
        let places = assignment.take_uncommitted();
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
