//! The callbacks of the client library. Reports go to the session, which answers a rebalance later: it drains
//! partitions before it gives them up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use crate::client_report::{ClientReport, SessionInbox};
use crate::events::Events;

/// Forwards the client's reports and writes its messages to the log.
pub(crate) struct Context {
    inbox: Arc<SessionInbox>,
    events: Arc<Events>,
    closing: AtomicBool,
}

impl Context {
    pub(crate) fn new(inbox: Arc<SessionInbox>, events: Arc<Events>) -> Self {
        Self {
            inbox,
            events,
            closing: AtomicBool::new(false),
        }
    }

    /// From now on, partitions are given up as soon as the broker asks: the session no longer drains.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.events.client_said(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        match serde_json::from_slice(statistics) {
            Ok(stats) => self.inbox.report(ClientReport::Stats(stats)),
            Err(error) => self.events.stats_unreadable(&error),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.client_failed(&error, reason);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::UnknownTopicOrPartition) {
            self.inbox.report(ClientReport::TopicUnknown);
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let assigned = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Acquire) {
            let answered = match assigned {
                true => take_up(consumer, partitions),
                false => give_up(consumer, partitions),
            };
            self.events.called("rebalance while leaving", &answered);
        } else if assigned {
            self.inbox
                .report(ClientReport::Assigned(partitions.clone()));
        } else {
            self.inbox.report(ClientReport::Revoked(partitions.clone()));
        }
    }
}

/// Answers an assignment: the client starts reading these partitions.
pub(crate) fn take_up<C: Consumer<Context>>(
    consumer: &C,
    partitions: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(partitions),
        _ => consumer.assign(partitions),
    }
}

/// Answers a revocation: the client stops reading these partitions.
pub(crate) fn give_up<C: Consumer<Context>>(
    consumer: &C,
    partitions: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(partitions),
        _ => consumer.unassign(),
    }
}
