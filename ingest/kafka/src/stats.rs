//! The few figures that are read of the client's statistics: whether a broker answers, and where partitions end.

use std::collections::HashMap;

use serde::Deserialize;

use crate::assignment::Partition;

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

/// Where the client stands in a partition. Offsets are negative where unknown.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Ends {
    /// What it fetches next: this passes over what holds no record.
    next_offset: i64,
    /// What comes after the last record, or transaction marker, that it has passed on.
    app_offset: i64,
    /// Records and messages of all partitions that are fetched and wait to be passed on.
    fetchq_cnt: u64,
    /// Where the partition ends.
    hi_offset: i64,
    /// Where the first open transaction begins: no further can be read.
    ls_offset: i64,
}

impl Stats {
    /// True when there is a connection to a broker.
    pub(crate) fn is_connected(&self) -> bool {
        self.brokers.values().any(|broker| broker.state == "UP")
    }

    /// How many records of `partition` are not settled: exactly where all that can be read has been, else as many as
    /// offsets are left. `None` as long as the client does not know the end.
    pub(crate) fn lag(&self, partition: &Partition) -> Option<u64> {
        let topic = self.topics.get(&*partition.topic)?;
        let number = partition.number.to_string();
        let ends = topic.partitions.get(number.as_str())?;
        if ends.is_passed(partition.paused) {
            return Some(partition.mark.unsettled() as u64);
        }
        let end = u64::try_from(ends.end()).ok()?;
        Some(end.saturating_sub(partition.mark.position()?))
    }
}

impl Ends {
    fn end(&self) -> i64 {
        match self.ls_offset {
            0.. => self.ls_offset,
            _ => self.hi_offset,
        }
    }

    /// True when nothing is left that can be read and was not passed on. What is fetched and not passed on is thrown away
    /// when a partition is paused.
    fn is_passed(&self, is_paused: bool) -> bool {
        let is_fetched = self.end() >= 0 && self.next_offset >= self.end();
        let is_passed_on = self.app_offset >= self.next_offset;
        is_fetched && (is_passed_on || (self.fetchq_cnt == 0 && !is_paused))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::assignment::Assignment;
    use crate::fingerprint::tests::record;
    use crate::starts::Start;
    use crate::starts::tests::start;

    /// The statistics of one partition, of which these figures are other ones than of a partition that was read to its end.
    fn stats(changed: &serde_json::Value) -> Stats {
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

    /// The lag of a partition of which these records are begun and those are settled.
    fn lag(stats: &Stats, begun: &[i64], settled: &[u64]) -> Option<u64> {
        let mut assignment = Assignment::new(Arc::default(), 1000);
        assignment.add(&start(0, 40, None));
        let partition = assignment.find("orders", 0).unwrap();
        for offset in begun {
            partition.take_up(&record(*offset, 7, "a"));
        }
        for offset in settled {
            partition.mark.settle(*offset);
        }
        stats.lag(partition)
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
    fn what_holds_no_record_does_not_count() {
        // The last record is 89; transaction markers and aborted records follow, of which the last marker was passed on.
        let passed_on = stats(&json!({}));
        assert_eq!(lag(&passed_on, &[89], &[89]), Some(0));
        assert_eq!(lag(&passed_on, &[88, 89], &[]), Some(2));
        // As after a tail that was compacted away: nothing of it is passed on, but nothing is left in the queue.
        let compacted = stats(&json!({"app_offset": 90}));
        assert_eq!(lag(&compacted, &[89], &[89]), Some(0));
        // An open transaction cannot be read yet.
        let open = stats(&json!({"next_offset": 90, "app_offset": 90, "ls_offset": 90}));
        assert_eq!(lag(&open, &[89], &[89]), Some(0));
    }

    #[test]
    fn what_is_fetched_and_not_passed_on_counts() {
        let queued = stats(&json!({"app_offset": 90, "fetchq_cnt": 10}));
        assert_eq!(lag(&queued, &[89], &[89]), Some(10));
    }

    #[test]
    fn what_a_pause_has_thrown_away_counts() {
        let thrown_away = stats(&json!({"app_offset": 90}));
        let mut assignment = Assignment::new(Arc::default(), 1000);
        assignment.add(&start(0, 40, None));
        let partition = assignment.find("orders", 0).unwrap();
        partition.take_up(&record(89, 7, "a"));
        partition.mark.settle(89);
        partition.paused = true;
        assert_eq!(thrown_away.lag(partition), Some(10));
    }

    #[test]
    fn without_an_end_there_is_no_lag() {
        let unknown = stats(&json!({"hi_offset": -1001, "ls_offset": -1001}));
        assert_eq!(lag(&unknown, &[89], &[89]), None);
        let mut assignment = Assignment::new(Arc::default(), 1000);
        assignment.add(&Start::anew("others", 0, 0));
        let other = assignment.find("others", 0).unwrap();
        assert_eq!(unknown.lag(other), None);
    }
}
