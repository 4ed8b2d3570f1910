//! Commits how far partitions are settled, and retries commits that failed.
//!
//! Only a synchronous commit reports its result, so it runs on a thread that may block.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::assignment::{Assignment, PartitionCommit};
use crate::context::Context;
use crate::member_context::MemberContext;
use crate::start_point::METADATA_BYTES_MAX;
use crate::starts;

/// How long a settled record waits to be committed together with others.
const INTERVAL: Duration = Duration::from_millis(100);
/// The delay before a failed commit is repeated.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How long the broker may take to return its committed offsets.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the committed offsets are fetched while there is nothing to commit.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The result of a commit.
pub(crate) struct CommitResult {
    commits: Vec<PartitionCommit>,
    result: Result<(), CommitError>,
}

/// Why a commit failed.
enum CommitError {
    Failed(KafkaError),
    /// These epochs were committed, but the broker has no offset for them any more.
    Forgotten(Vec<u32>),
}

/// Sends commits, one after another.
pub(crate) struct Committer<'a> {
    shared: &'a MemberContext,
    consumer: &'a Arc<StreamConsumer<Context>>,
    due: Option<Instant>,
    /// When the broker last got a commit or a request for its offsets.
    last_request_at: Instant,
    /// The commit on its way.
    sending: Option<BoxFuture<'static, CommitResult>>,
    /// How much metadata the broker accepts.
    metadata_bytes_max: usize,
}

impl<'a> Committer<'a> {
    pub(crate) fn new(
        shared: &'a MemberContext,
        consumer: &'a Arc<StreamConsumer<Context>>,
    ) -> Self {
        Self {
            shared,
            consumer,
            due: None,
            last_request_at: Instant::now(),
            sending: None,
            metadata_bytes_max: METADATA_BYTES_MAX,
        }
    }

    /// Schedules a commit.
    pub(crate) fn settled(&mut self, now: Instant) {
        self.due.get_or_insert(now + INTERVAL);
    }

    /// Makes the next commit due now.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.due = Some(now);
    }

    /// When the next commit is due. `None` while one is on its way.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.filter(|_| self.sending.is_none())
    }

    /// Commits the settled extents when due.
    pub(crate) fn turn(&mut self, now: Instant, assignment: &mut Assignment) {
        if self.next_due().is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        let commits = assignment.take_uncommitted();
        if !commits.is_empty() {
            self.send(commits, now);
        }
    }

    /// Checks now and then, while there is nothing else to send, that the broker still knows the commits.
    pub(crate) fn check(&mut self, now: Instant, assignment: &Assignment) {
        let is_idle = self.sending.is_none() && self.due.is_none();
        if is_idle && now >= self.last_request_at + CHECK_INTERVAL {
            self.send(assignment.committed(), now);
        }
    }

    fn send(&mut self, commits: Vec<PartitionCommit>, now: Instant) {
        self.last_request_at = now;
        let consumer = self.consumer.clone();
        let metadata_bytes_max = self.metadata_bytes_max;
        self.sending = Some(Box::pin(async move {
            let sent = spawn_blocking(move || {
                let result = commit(&consumer, &commits, metadata_bytes_max);
                CommitResult { commits, result }
            });
            sent.await.unwrap_or_else(|_| CommitResult {
                commits: Vec::new(),
                result: Err(CommitError::Failed(KafkaError::Canceled)),
            })
        }));
    }

    /// The result of the commit on its way. Pending if there is none.
    pub(crate) async fn sent(&mut self) -> CommitResult {
        match &mut self.sending {
            Some(sending) => {
                let sent = sending.await;
                self.sending = None;
                sent
            }
            None => std::future::pending().await,
        }
    }

    /// Handles the result of a commit. Returns the epochs whose commits the broker has forgotten.
    pub(crate) fn handle(
        &mut self,
        sent: CommitResult,
        assignment: &mut Assignment,
        now: Instant,
    ) -> Vec<u32> {
        match sent.result {
            Ok(()) => {
                let records = assignment.confirm(&sent.commits);
                self.shared.events.committed(records);
                return Vec::new();
            }
            Err(CommitError::Failed(error)) => {
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::OffsetMetadataTooLarge) {
                    self.metadata_bytes_max = 0;
                }
                self.shared.events.commit_failed(&error);
            }
            Err(CommitError::Forgotten(epochs)) => return epochs,
        }
        assignment.commit_failed();
        self.due = Some(now + RETRY_DELAY);
        Vec::new()
    }

    /// Commits without waiting for the result, when the session ends or gives up partitions. If the commit fails,
    /// records are delivered again.
    pub(crate) fn send_and_forget(&self, assignment: &mut Assignment) {
        let commits = assignment.take_uncommitted();
        if !commits.is_empty() {
            let list = list_of(&commits, self.metadata_bytes_max);
            let sent = list.and_then(|list| self.consumer.commit(&list, CommitMode::Async));
            self.shared.events.called("commit", &sent);
        }
    }
}

/// Commits, unless the broker has forgotten an earlier commit: it does so when a topic is deleted, and a recreated
/// topic must not get the offsets of the former one.
fn commit(
    consumer: &StreamConsumer<Context>,
    commits: &[PartitionCommit],
    metadata_bytes_max: usize,
) -> Result<(), CommitError> {
    let forgotten = forgotten(consumer, commits).map_err(CommitError::Failed)?;
    if !forgotten.is_empty() {
        return Err(CommitError::Forgotten(forgotten));
    }
    let is_new = |commit: &&PartitionCommit| commit.confirmed.as_ref() != Some(&commit.settled);
    let list = list_of(commits.iter().filter(is_new), metadata_bytes_max);
    let sent = list.and_then(|list| match list.count() {
        0 => Ok(()),
        _ => consumer.commit(&list, CommitMode::Sync),
    });
    sent.map_err(CommitError::Failed)
}

/// The epochs for which the broker should have a commit and has none.
fn forgotten(
    consumer: &StreamConsumer<Context>,
    commits: &[PartitionCommit],
) -> KafkaResult<Vec<u32>> {
    let mut list = TopicPartitionList::new();
    let known: Vec<&PartitionCommit> = commits.iter().filter(|p| p.confirmed.is_some()).collect();
    for commit in &known {
        list.add_partition(&commit.topic, commit.number);
    }
    if known.is_empty() {
        return Ok(Vec::new());
    }
    let list = consumer.committed_offsets(list, REQUEST_TIMEOUT)?;
    let is_gone = |commit: &&PartitionCommit| {
        let element = list.find_partition(&commit.topic, commit.number);
        element.is_none_or(|element| element.error().is_ok() && element.offset() == Offset::Invalid)
    };
    Ok(known.into_iter().filter(is_gone).map(|p| p.epoch).collect())
}

fn list_of<'p>(
    commits: impl IntoIterator<Item = &'p PartitionCommit>,
    metadata_bytes_max: usize,
) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for commit in commits {
        let settled = &commit.settled;
        starts::add(
            &mut list,
            &commit.topic,
            commit.number,
            settled,
            metadata_bytes_max,
        )?;
    }
    Ok(list)
}
