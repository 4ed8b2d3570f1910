//! What the client library reports to the session, and the inbox it goes through.

use rdkafka::topic_partition_list::TopicPartitionList;

use crate::stats::ClientStats;

/// A report from the client.
#[derive(Debug)]
pub(crate) enum ClientReport {
    Assigned(TopicPartitionList),
    /// Must be answered with [`give_up`](crate::context::give_up).
    Revoked(TopicPartitionList),
    Stats(ClientStats),
    TopicUnknown,
}

/// Delivers reports and ended loans to the session.
pub(crate) type SessionInbox = acteon_ingest_kit::Inbox<ClientReport>;
