//! What the client library reports to the session: the partitions of a rebalance, and the few figures used from its
//! statistics, whether a broker answers and where partitions end.

use std::collections::HashMap;

use rdkafka::topic_partition_list::TopicPartitionList;
use serde::Deserialize;

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

/// The statistics the client sends every two seconds.
#[derive(Debug, Deserialize)]
pub(crate) struct ClientStats {
    #[serde(default)]
    brokers: HashMap<String, Broker>,
    #[serde(default)]
    topics: HashMap<String, Topic>,
}

#[derive(Debug, Deserialize)]
struct Broker {
    state: String,
}

#[derive(Debug, Default, Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: HashMap<String, ClientOffsets>,
}

/// The client's offsets in a partition. Negative if unknown.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct ClientOffsets {
    /// The next offset to fetch. This skips offsets without records.
    next_offset: i64,
    /// One past the last record, or transaction marker, that was delivered.
    app_offset: i64,
    /// How many records and messages of all partitions are fetched and not delivered yet.
    fetchq_cnt: u64,
    /// The end of the partition.
    hi_offset: i64,
    /// The start of the first open transaction: nothing beyond it can be read.
    ls_offset: i64,
}

impl ClientStats {
    /// True if a broker connection is up.
    pub(crate) fn is_connected(&self) -> bool {
        self.brokers.values().any(|broker| broker.state == "UP")
    }

    /// The client's offsets in a partition. `None` if the statistics do not contain it.
    pub(crate) fn offsets(&self, topic: &str, number: i32) -> Option<&ClientOffsets> {
        let topic = self.topics.get(topic)?;
        topic.partitions.get(number.to_string().as_str())
    }
}

impl ClientOffsets {
    /// The end of the readable records. `None` while the client does not know it.
    pub(crate) fn readable_end(&self) -> Option<u64> {
        u64::try_from(self.end()).ok()
    }

    fn end(&self) -> i64 {
        match self.ls_offset {
            0.. => self.ls_offset,
            _ => self.hi_offset,
        }
    }

    /// True if everything readable has been delivered. A pause discards records that are fetched and not delivered.
    pub(crate) fn is_all_delivered(&self, is_paused: bool) -> bool {
        let is_fetched = self.end() >= 0 && self.next_offset >= self.end();
        let is_delivered = self.app_offset >= self.next_offset;
        is_fetched && (is_delivered || (self.fetchq_cnt == 0 && !is_paused))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::assignment::Assignment;
    use crate::fingerprint::tests::record;
    use crate::start_point::StartPoint;
    use crate::start_point::tests::start;

    /// The statistics of one partition that was read to its end, with the figures in `changed` replaced.
    fn stats(changed: &serde_json::Value) -> ClientStats {
        let mut ends = json!({
            "next_offset": 100, "app_offset": 100, "fetchq_cnt": 0,
            "hi_offset": 100, "ls_offset": 100, "x": 1,
        });
        for (name, value) in changed.as_object().unwrap() {
            ends[name] = value.clone();
        }
        let brokers = json!({
            "GroupCoordinator": {"state": "INIT", "nodeid": 1}, "h:1/1": {"state": "UP"},
        });
        let topics = json!({"orders": {"age": 3, "partitions": {"0": ends}}});
        serde_json::from_value(json!({"brokers": brokers, "topics": topics})).unwrap()
    }

    /// The lag of a partition in which the `begun` records were read and the `settled` ones settled.
    fn lag(stats: &ClientStats, begun: &[i64], settled: &[u64]) -> Option<u64> {
        let mut assignment = Assignment::new(Arc::default(), 1000);
        assignment.add(&start(0, 40, None));
        let partition = assignment.find("orders", 0).unwrap();
        for offset in begun {
            partition.take_up(&record(*offset, 7, "a"));
        }
        for offset in settled {
            partition.mark.settle(*offset);
        }
        partition.lag(stats)
    }

    #[test]
    fn while_records_are_left_lag_is_counted_in_offsets_from_what_was_settled() {
        let stats = stats(&json!({"next_offset": 95, "app_offset": 90}));
        assert!(stats.is_connected());
        assert_eq!(lag(&stats, &[89], &[89]), Some(10));
        assert_eq!(lag(&stats, &[89, 90], &[]), Some(11));
        assert_eq!(lag(&stats, &[], &[]), Some(60));
    }

    #[test]
    fn offsets_without_a_record_do_not_count() {
        // The last record is 89. Transaction markers and aborted records follow, and the last marker was delivered.
        let delivered = stats(&json!({}));
        assert_eq!(lag(&delivered, &[89], &[89]), Some(0));
        assert_eq!(lag(&delivered, &[88, 89], &[]), Some(2));
        // As after compaction removed the tail: none of it is delivered, but nothing is left in the queue.
        let compacted = stats(&json!({"app_offset": 90}));
        assert_eq!(lag(&compacted, &[89], &[89]), Some(0));
        // An open transaction cannot be read yet.
        let open = stats(&json!({"next_offset": 90, "app_offset": 90, "ls_offset": 90}));
        assert_eq!(lag(&open, &[89], &[89]), Some(0));
    }

    #[test]
    fn records_fetched_and_not_delivered_count() {
        let queued = stats(&json!({"app_offset": 90, "fetchq_cnt": 10}));
        assert_eq!(lag(&queued, &[89], &[89]), Some(10));
    }

    #[test]
    fn records_discarded_by_a_pause_count() {
        let discarded = stats(&json!({"app_offset": 90}));
        let mut assignment = Assignment::new(Arc::default(), 1000);
        assignment.add(&start(0, 40, None));
        let partition = assignment.find("orders", 0).unwrap();
        partition.take_up(&record(89, 7, "a"));
        partition.mark.settle(89);
        partition.paused = true;
        assert_eq!(partition.lag(&discarded), Some(10));
    }

    #[test]
    fn without_an_end_there_is_no_lag() {
        let unknown = stats(&json!({"hi_offset": -1001, "ls_offset": -1001}));
        assert_eq!(lag(&unknown, &[89], &[89]), None);
        let mut assignment = Assignment::new(Arc::default(), 1000);
        assignment.add(&StartPoint::recreated("others", 0, 0));
        let other = assignment.find("others", 0).unwrap();
        assert_eq!(other.lag(&unknown), None);
    }
}
