//! Where reading of assigned partitions starts: after the group's committed offset. If there is none, `start` decides,
//! and that position is committed before anything is read.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::consumer::{CommitMode, Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::config::Start as Policy;
use crate::context::Context;
use crate::events::Events;
use crate::ranges::Ranges;
use crate::start_point::{Extent, METADATA_BYTES_MAX, StartKind, StartPoint};

/// How long the broker may take for one answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The delay between attempts, and their number, before the connection is recreated.
const RETRY_DELAY: Duration = Duration::from_secs(1);
const ATTEMPTS_MAX: usize = 5;

/// A topic and the number of a partition.
type TopicPartition = (String, i32);

/// How far partitions were settled when they were given up. The broker forgets this when a topic is deleted.
#[derive(Debug, Default)]
pub(crate) struct FormerExtents(Mutex<HashMap<TopicPartition, Extent>>);

impl FormerExtents {
    pub(crate) fn keep(&self, topic: &str, number: i32, settled: Extent) {
        self.0.lock().insert((topic.to_owned(), number), settled);
    }
}

/// Looks up where reading of partitions starts.
pub(crate) struct StartLookUp {
    pub(crate) consumer: Arc<StreamConsumer<Context>>,
    pub(crate) assigned: TopicPartitionList,
    pub(crate) policy: Policy,
    pub(crate) former: Arc<FormerExtents>,
    pub(crate) events: Arc<Events>,
}

impl StartLookUp {
    /// Asks until the broker answers: nothing is guessed.
    ///
    /// # Errors
    /// When the broker did not answer several times.
    pub(crate) async fn run(self) -> KafkaResult<Vec<StartPoint>> {
        let this = Arc::new(self);
        let mut attempts = 1;
        loop {
            let asking = this.clone();
            let asked = spawn_blocking(move || asking.ask()).await;
            match asked.unwrap_or(Err(KafkaError::Canceled)) {
                Ok(starts) => return Ok(starts),
                Err(error) if attempts >= ATTEMPTS_MAX => return Err(error),
                Err(error) => this.events.look_up_failed(&error),
            }
            attempts += 1;
            sleep(RETRY_DELAY).await;
        }
    }

    fn ask(&self) -> KafkaResult<Vec<StartPoint>> {
        let assigned = partitions_of(&self.assigned);
        if assigned.is_empty() {
            return Ok(Vec::new());
        }
        let mut facts = Facts {
            committed: self.committed(&assigned)?,
            former: self.former.0.lock().clone(),
            ..Facts::default()
        };
        let mut partitions = assigned.clone();
        for topic in facts.topics_to_look_at(&assigned) {
            let all = self.partitions_of_topic(&topic)?;
            facts.committed.extend(self.committed(&all)?);
            if self.policy == Policy::Latest && !facts.knows(&topic) {
                // One member commits the start for the whole topic. Otherwise another member would find the topic known
                // to the group, and read the old records as if they had been missed.
                partitions.extend(all.into_iter().filter(|one| !assigned.contains(one)));
            }
        }
        facts.heads = self.offsets(&partitions, Offset::Beginning)?;
        facts.ends = self.offsets(&partitions, Offset::End)?;
        let starts = facts.starts(&partitions, self.policy)?;
        self.commit(&starts, &facts)?;
        let is_assigned =
            |start: &StartPoint| self.assigned.find_partition(&start.topic, start.number);
        Ok(starts
            .into_iter()
            .filter(|start| is_assigned(start).is_some())
            .collect())
    }

    fn committed(
        &self,
        partitions: &[TopicPartition],
    ) -> KafkaResult<HashMap<TopicPartition, Extent>> {
        let list = list_of(partitions, Offset::Invalid)?;
        let list = self.consumer.committed_offsets(list, REQUEST_TIMEOUT)?;
        let mut committed = HashMap::new();
        for element in list.elements() {
            element.error()?;
            let Offset::Offset(offset) = element.offset() else {
                continue;
            };
            let position = u64::try_from(offset).unwrap_or(0);
            let settled = Extent::parse(position, metadata(&element).as_deref());
            committed.insert((element.topic().to_owned(), element.partition()), settled);
        }
        Ok(committed)
    }

    fn offsets(
        &self,
        partitions: &[TopicPartition],
        which: Offset,
    ) -> KafkaResult<HashMap<TopicPartition, u64>> {
        let list = list_of(partitions, which)?;
        let list = self.consumer.offsets_for_times(list, REQUEST_TIMEOUT)?;
        let mut offsets = HashMap::new();
        for element in list.elements() {
            element.error()?;
            if let Offset::Offset(offset) = element.offset() {
                let partition = (element.topic().to_owned(), element.partition());
                offsets.insert(partition, u64::try_from(offset).unwrap_or(0));
            }
        }
        Ok(offsets)
    }

    fn partitions_of_topic(&self, topic: &str) -> KafkaResult<Vec<TopicPartition>> {
        let metadata = self.consumer.fetch_metadata(Some(topic), REQUEST_TIMEOUT)?;
        let found = metadata.topics().iter().flat_map(|topic| {
            let partitions = topic.partitions().iter();
            partitions.map(|partition| (topic.name().to_owned(), partition.id()))
        });
        Ok(found.collect())
    }

    /// Commits the starts of partitions for which the broker has no commit or a different one.
    fn commit(&self, starts: &[StartPoint], facts: &Facts) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        for start in starts {
            let settled = &start.settled;
            let partition = (start.topic.clone(), start.number);
            if facts.committed.get(&partition) != Some(settled) {
                add(
                    &mut list,
                    &start.topic,
                    start.number,
                    settled,
                    METADATA_BYTES_MAX,
                )?;
            }
        }
        match list.count() {
            0 => Ok(()),
            _ => self.consumer.commit(&list, CommitMode::Sync),
        }
    }
}

/// Adds the commit of a partition to `list`, with as much metadata as the broker accepts.
///
/// # Errors
/// None in practice: offsets have 63 bits.
pub(crate) fn add(
    list: &mut TopicPartitionList,
    topic: &str,
    number: i32,
    settled: &Extent,
    metadata_bytes_max: usize,
) -> KafkaResult<()> {
    let offset = i64::try_from(settled.position).unwrap_or(i64::MAX);
    let mut element = list.add_partition(topic, number);
    element.set_offset(Offset::Offset(offset))?;
    if let Some(metadata) = settled.metadata(metadata_bytes_max) {
        element.set_metadata(metadata);
    }
    Ok(())
}

/// The metadata committed with an offset. Others may have committed bytes that are not text, on which the library
/// panics.
fn metadata(element: &TopicPartitionListElem<'_>) -> Option<String> {
    catch_unwind(AssertUnwindSafe(|| element.metadata().to_owned())).ok()
}

fn partitions_of(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let elements = list.elements();
    let partition =
        |element: &TopicPartitionListElem<'_>| (element.topic().to_owned(), element.partition());
    elements.iter().map(partition).collect()
}

fn list_of(partitions: &[TopicPartition], offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (topic, number) in partitions {
        list.add_partition(topic, *number).set_offset(offset)?;
    }
    Ok(list)
}

/// The facts that decide where partitions start.
#[derive(Debug, Default)]
struct Facts {
    committed: HashMap<TopicPartition, Extent>,
    former: HashMap<TopicPartition, Extent>,
    /// The position of each partition's first record.
    heads: HashMap<TopicPartition, u64>,
    /// The position that the next record will get.
    ends: HashMap<TopicPartition, u64>,
}

impl Facts {
    /// The topics for which it must be known whether the group ever committed any partition.
    fn topics_to_look_at(&self, assigned: &[TopicPartition]) -> Vec<String> {
        let missing = assigned
            .iter()
            .filter(|partition| self.settled(partition).is_none());
        let mut topics: Vec<String> = missing.map(|(topic, _)| topic.clone()).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    fn settled(&self, partition: &TopicPartition) -> Option<Extent> {
        let former = || self.former.get(partition);
        self.committed.get(partition).or_else(former).cloned()
    }

    /// True if the group has read this topic before.
    fn knows(&self, topic: &str) -> bool {
        let mut known = self.committed.keys().chain(self.former.keys());
        known.any(|(known, _)| known == topic)
    }

    fn starts(
        &self,
        partitions: &[TopicPartition],
        policy: Policy,
    ) -> KafkaResult<Vec<StartPoint>> {
        let unknown = || KafkaError::OffsetFetch(RDKafkaErrorCode::UnknownPartition);
        let start = |partition: &TopicPartition| {
            let head = *self.heads.get(partition).ok_or_else(unknown)?;
            let end = *self.ends.get(partition).ok_or_else(unknown)?;
            let (settled, kind) = self.start(partition, policy, head, end);
            Ok(StartPoint {
                topic: partition.0.clone(),
                number: partition.1,
                settled,
                kind,
            })
        };
        partitions.iter().map(start).collect()
    }

    fn start(
        &self,
        partition: &TopicPartition,
        policy: Policy,
        head: u64,
        end: u64,
    ) -> (Extent, StartKind) {
        let at = Extent::at;
        match self.settled(partition) {
            Some(settled) if end < settled.position => {
                let settled = settled.position;
                (at(head), StartKind::Recreated { settled })
            }
            // The broker has forgotten the commit, most likely with the topic, and nothing shows whether the records
            // are the same.
            Some(settled)
                if settled.landmark.is_none() && !self.committed.contains_key(partition) =>
            {
                let settled = settled.position;
                (at(head), StartKind::Recreated { settled })
            }
            Some(mut settled) => {
                // A landmark that retention has deleted cannot be checked, and without it the ranges beyond the offset
                // are not trusted.
                settled.landmark = settled.landmark.filter(|record| record.offset >= head);
                match settled.landmark {
                    Some(_) => settled.beyond.truncate(end),
                    None => settled.beyond = Ranges::default(),
                }
                (settled, StartKind::AsLeft)
            }
            None if policy == Policy::Latest && !self.knows(&partition.0) => {
                (at(end), StartKind::Fresh)
            }
            None => (at(head), StartKind::Fresh),
        }
    }
}

#[cfg(test)]
mod tests;
