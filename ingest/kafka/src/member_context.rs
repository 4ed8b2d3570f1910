//! What the parts of a session share: the options, the limits of their member, and the state that outlives a session.

use std::sync::Arc;

use acteon_core::source::{SourceContext, SourceError};
use acteon_ingest_kit::{Decoder, OrderingKey, Progress};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use crate::client_report::SessionInbox;
use crate::config::KafkaConfig;
use crate::context::Context;
use crate::events::Events;
use crate::member::{ConsumerMember, Prefetch};
use crate::own_topics::{OwnTopics, RetryTopics};
use crate::starts::FormerExtents;
use crate::undue::UndueRecords;

/// How many bytes of records may wait here until they are due. They are reserved together with the prefetch.
pub(crate) const UNDUE_BYTES: u32 = 2 << 20;
/// How many records a partition may read past an unsettled one, even where fewer may be in flight: a provider that
/// hangs until its time limit must not stop the records behind it. Eight bytes each.
const SPAN_MAX: usize = 200_000;

/// State that all sessions of a member share.
pub(crate) struct MemberContext {
    pub(crate) member: ConsumerMember,
    pub(crate) options: Arc<KafkaConfig>,
    pub(crate) context: SourceContext,
    pub(crate) decoder: Decoder,
    pub(crate) ordering_key: OrderingKey,
    pub(crate) progress: Arc<Progress>,
    pub(crate) events: Arc<Events>,
    pub(crate) own_topics: Arc<OwnTopics>,
    /// How many records may be in work at once: begun, not settled, and not waiting until they are due.
    pub(crate) in_flight_max: usize,
    /// How far partitions were settled when this process gave them up.
    pub(crate) former: Arc<FormerExtents>,
    pub(crate) prefetch: Prefetch,
}

impl MemberContext {
    /// How many records may lie between the first unsettled record of a partition and the last one read.
    pub(crate) fn span_max(&self) -> usize {
        self.in_flight_max.max(SPAN_MAX)
    }

    /// How many records of one delayed path partition may wait here until they are due, when this many partitions are
    /// assigned.
    pub(crate) fn undue_max(&self, partitions: usize) -> UndueRecords {
        let share = partitions.max(1);
        UndueRecords {
            count: (self.in_flight_max / 2 / share).clamp(1, self.context.max_batch),
            bytes: u64::from(UNDUE_BYTES) / share as u64,
        }
    }

    /// Creates the topics that the source writes to before the delayed path is read. The other members need not wait,
    /// since every publication does.
    pub(crate) async fn declare(&self) -> KafkaResult<()> {
        let declares = match self.member {
            ConsumerMember::OfTopics(_) => self.own_topics.retry.is_none(),
            ConsumerMember::OfRetries => true,
        };
        if !declares {
            return Ok(());
        }
        match self.own_topics.ensure().await {
            // Someone else may create them in the meantime.
            Err(KafkaError::AdminOp(RDKafkaErrorCode::UnknownTopicOrPartition)) => Ok(()),
            result => result,
        }
    }

    /// The topics this member reads.
    pub(crate) fn topics(&self) -> Vec<String> {
        match self.member {
            ConsumerMember::OfTopics(_) => self.options.topics.clone(),
            ConsumerMember::OfRetries => {
                let retry = self.own_topics.retry.iter();
                let names = retry.flat_map(RetryTopics::names);
                names.map(|name| name.to_string()).collect()
            }
        }
    }

    pub(crate) fn subscribe(
        &self,
        inbox: &Arc<SessionInbox>,
    ) -> KafkaResult<StreamConsumer<Context>> {
        let context = Context::new(inbox.clone(), self.events.clone());
        let name = &self.context.name;
        let config = self.options.consumer(name, self.member, self.prefetch);
        let consumer: StreamConsumer<Context> = config.create_with_context(context)?;
        let topics = self.topics();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        Ok(consumer)
    }

    /// An error that no retry will fix. The library's own error is left out because it may contain property values.
    pub(crate) fn hopeless(&self, error: &KafkaError) -> SourceError {
        SourceError {
            name: self.context.name.clone(),
            message: self.options.connection.refused(error).to_string(),
            source: None,
        }
    }
}
