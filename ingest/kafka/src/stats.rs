//! The few figures that are read of the client's statistics: whether a broker answers, and where partitions end.

use std::collections::HashMap;

use serde::Deserialize;

/// The statistics the client sends every two seconds.
#[derive(Debug, Deserialize)]
pub(crate) struct Stats {
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
    partitions: HashMap<String, Ends>,
}

/// Where a partition stands. Negative where unknown.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Ends {
    hi_offset: i64,
    committed_offset: i64,
    lo_offset: i64,
}

impl Stats {
    /// True when there is a connection to a broker.
    pub(crate) fn is_connected(&self) -> bool {
        self.brokers.values().any(|broker| broker.state == "UP")
    }

    /// How many records of a partition lie at or after `position`; without one, after what the group committed.
    /// `None` as long as the client does not know the end.
    pub(crate) fn lag(&self, topic: &str, partition: i32, position: Option<u64>) -> Option<u64> {
        let topic = self.topics.get(topic)?;
        let ends = topic.partitions.get(partition.to_string().as_str())?;
        let known = |offset: i64| u64::try_from(offset).ok();
        let begin = position
            .or(known(ends.committed_offset))
            .or(known(ends.lo_offset))?;
        Some(known(ends.hi_offset)?.saturating_sub(begin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATS: &str = r#"{"brokers": {
            "GroupCoordinator": {"state": "INIT", "nodeid": 1}, "h:1/1": {"state": "UP"}},
        "topics": {"orders": {"age": 3, "partitions": {
            "0": {"hi_offset": 100, "committed_offset": 40, "lo_offset": 10, "x": 1},
            "1": {"hi_offset": -1001, "committed_offset": -1001, "lo_offset": -1001}}}}}"#;

    #[test]
    fn lag_is_counted_from_what_was_settled_else_from_what_was_committed() {
        let stats: Stats = serde_json::from_str(STATS).unwrap();
        assert!(stats.is_connected());
        assert_eq!(stats.lag("orders", 0, Some(90)), Some(10));
        assert_eq!(stats.lag("orders", 0, Some(110)), Some(0));
        assert_eq!(stats.lag("orders", 0, None), Some(60));
        assert_eq!(stats.lag("orders", 1, None), None);
        assert_eq!(stats.lag("others", 0, None), None);
    }
}
