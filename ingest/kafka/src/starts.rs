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
use crate::fingerprint::Fingerprint;
use crate::ranges::Ranges;

/// How long the broker may take for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The delay between attempts, and their number, before the connection is recreated.
const AGAIN: Duration = Duration::from_secs(1);
const TRIES: usize = 5;
/// Brokers accept 4,096 bytes of metadata for a partition by default (`offset.metadata.max.bytes`).
pub(crate) const METADATA_BYTES_MAX: usize = 4096;

type Place = (String, i32);

/// The settled part of a partition: everything below `position`, and the ranges `beyond` it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) position: u64,
    /// A record that identifies the topic: the last settled one that has a fingerprint, or else the first one read.
    pub(crate) landmark: Option<Fingerprint>,
    pub(crate) beyond: Ranges,
}

impl Extent {
    /// Everything below `position` is settled, and no record is known that identifies the topic.
    pub(crate) fn at(position: u64) -> Self {
        Self {
            position,
            ..Self::default()
        }
    }

    /// True if the same offsets are settled, whatever the landmarks.
    pub(crate) fn is_as_far_as(&self, other: &Self) -> bool {
        (self.position, &self.beyond) == (other.position, &other.beyond)
    }

    /// The metadata committed with the position: the landmark, a space, and as many of the ranges beyond as fit. The
    /// landmark is included even if it does not fit by itself.
    pub(crate) fn metadata(&self, bytes_max: usize) -> Option<String> {
        let landmark = self.landmark?.to_string();
        let room = bytes_max.saturating_sub(landmark.len() + 1);
        let beyond = self.beyond.to_text(self.position, room);
        Some(format!("{landmark} {beyond}").trim_end().to_owned())
    }

    /// Parses a commit. Metadata written by others is ignored.
    fn parse(position: u64, metadata: Option<&str>) -> Self {
        let landmark = metadata.and_then(Fingerprint::parse);
        let Some(landmark) = landmark.filter(|landmark| landmark.offset <= position) else {
            return Self::at(position);
        };
        let beyond = metadata.and_then(|text| text.split(' ').nth(4));
        let beyond = beyond.and_then(|text| Ranges::parse(text, position));
        Self {
            position,
            landmark: Some(landmark),
            beyond: beyond.unwrap_or_default(),
        }
    }
}

/// Where reading of a partition starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) topic: String,
    pub(crate) number: i32,
    pub(crate) settled: Extent,
    pub(crate) found: Found,
}

/// The state in which a partition was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It still ends at or after the settled position.
    AsLeft,
    /// None of it was ever settled.
    Fresh,
    /// The topic was recreated: it ends before the settled offset, or nothing shows that its records are the same.
    Recreated { settled: u64 },
}

impl Start {
    /// The start of a recreated topic, from `position` on.
    pub(crate) fn recreated(topic: &str, number: i32, position: u64) -> Self {
        Self {
            topic: topic.to_owned(),
            number,
            settled: Extent::at(position),
            found: Found::Fresh,
        }
    }

    /// The first offset to fetch: the landmark's, to check that the record is still there.
    pub(crate) fn fetched_from(&self) -> u64 {
        let Extent {
            position, landmark, ..
        } = self.settled;
        landmark.map_or(position, |landmark| landmark.offset)
    }
}

/// How far partitions were settled when they were given up. The broker forgets this when a topic is deleted.
#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<HashMap<Place, Extent>>);

impl Remembered {
    pub(crate) fn keep(&self, topic: &str, number: i32, settled: Extent) {
        self.0.lock().insert((topic.to_owned(), number), settled);
    }
}

/// Looks up where reading of partitions starts.
pub(crate) struct LookUp {
    pub(crate) consumer: Arc<StreamConsumer<Context>>,
    pub(crate) places: TopicPartitionList,
    pub(crate) policy: Policy,
    pub(crate) remembered: Arc<Remembered>,
    pub(crate) events: Arc<Events>,
}

impl LookUp {
    /// Asks until the broker answers: nothing is guessed.
    ///
    /// # Errors
    /// When the broker did not answer several times.
    pub(crate) async fn run(self) -> KafkaResult<Vec<Start>> {
        let this = Arc::new(self);
        let mut tries = 1;
        loop {
            let asking = this.clone();
            let asked = spawn_blocking(move || asking.ask()).await;
            match asked.unwrap_or(Err(KafkaError::Canceled)) {
                Ok(starts) => return Ok(starts),
                Err(error) if tries >= TRIES => return Err(error),
                Err(error) => this.events.look_up_failed(&error),
            }
            tries += 1;
            sleep(AGAIN).await;
        }
    }

    fn ask(&self) -> KafkaResult<Vec<Start>> {
        let assigned = places_of(&self.places);
        if assigned.is_empty() {
            return Ok(Vec::new());
        }
        let mut facts = Facts {
            committed: self.committed(&assigned)?,
            remembered: self.remembered.0.lock().clone(),
            ..Facts::default()
        };
        let mut places = assigned.clone();
        for topic in facts.topics_to_look_at(&assigned) {
            let all = self.partitions(&topic)?;
            facts.committed.extend(self.committed(&all)?);
            if self.policy == Policy::Latest && !facts.knows(&topic) {
                // One member commits the start for the whole topic. Otherwise another member would find the topic known
                // to the group, and read the old records as if they had been missed.
                places.extend(all.into_iter().filter(|place| !assigned.contains(place)));
            }
        }
        facts.heads = self.offsets(&places, Offset::Beginning)?;
        facts.ends = self.offsets(&places, Offset::End)?;
        let starts = facts.starts(&places, self.policy)?;
        self.write_down(&starts, &facts)?;
        let is_assigned = |start: &Start| self.places.find_partition(&start.topic, start.number);
        Ok(starts
            .into_iter()
            .filter(|start| is_assigned(start).is_some())
            .collect())
    }

    fn committed(&self, places: &[Place]) -> KafkaResult<HashMap<Place, Extent>> {
        let list = list_of(places, Offset::Invalid)?;
        let list = self.consumer.committed_offsets(list, PATIENCE)?;
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

    fn offsets(&self, places: &[Place], which: Offset) -> KafkaResult<HashMap<Place, u64>> {
        let list = list_of(places, which)?;
        let list = self.consumer.offsets_for_times(list, PATIENCE)?;
        let mut offsets = HashMap::new();
        for element in list.elements() {
            element.error()?;
            if let Offset::Offset(offset) = element.offset() {
                let place = (element.topic().to_owned(), element.partition());
                offsets.insert(place, u64::try_from(offset).unwrap_or(0));
            }
        }
        Ok(offsets)
    }

    fn partitions(&self, topic: &str) -> KafkaResult<Vec<Place>> {
        let metadata = self.consumer.fetch_metadata(Some(topic), PATIENCE)?;
        let found = metadata.topics().iter().flat_map(|topic| {
            let partitions = topic.partitions().iter();
            partitions.map(|partition| (topic.name().to_owned(), partition.id()))
        });
        Ok(found.collect())
    }

    /// Commits the starts of partitions for which the broker has no commit or a different one.
    fn write_down(&self, starts: &[Start], facts: &Facts) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        for start in starts {
            let (place, settled) = ((start.topic.clone(), start.number), &start.settled);
            if facts.committed.get(&place) != Some(settled) {
                let metadata = settled.metadata(METADATA_BYTES_MAX);
                let place = (start.topic.as_str(), start.number);
                add(&mut list, place, settled.position, metadata)?;
            }
        }
        match list.count() {
            0 => Ok(()),
            _ => self.consumer.commit(&list, CommitMode::Sync),
        }
    }
}

/// Adds the commit of a partition to `list`.
///
/// # Errors
/// None in practice: offsets have 63 bits.
pub(crate) fn add(
    list: &mut TopicPartitionList,
    (topic, number): (&str, i32),
    position: u64,
    metadata: Option<String>,
) -> KafkaResult<()> {
    let offset = i64::try_from(position).unwrap_or(i64::MAX);
    let mut element = list.add_partition(topic, number);
    element.set_offset(Offset::Offset(offset))?;
    if let Some(metadata) = metadata {
        element.set_metadata(metadata);
    }
    Ok(())
}

/// The metadata committed with an offset. Others may have committed bytes that are not text, on which the library
/// panics.
fn metadata(element: &TopicPartitionListElem<'_>) -> Option<String> {
    catch_unwind(AssertUnwindSafe(|| element.metadata().to_owned())).ok()
}

fn places_of(list: &TopicPartitionList) -> Vec<Place> {
    let elements = list.elements();
    let place =
        |element: &TopicPartitionListElem<'_>| (element.topic().to_owned(), element.partition());
    elements.iter().map(place).collect()
}

fn list_of(places: &[Place], offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (topic, number) in places {
        list.add_partition(topic, *number).set_offset(offset)?;
    }
    Ok(list)
}

/// The facts that decide where partitions start.
#[derive(Debug, Default)]
struct Facts {
    committed: HashMap<Place, Extent>,
    remembered: HashMap<Place, Extent>,
    /// The position of each partition's first record.
    heads: HashMap<Place, u64>,
    /// The position that the next record will get.
    ends: HashMap<Place, u64>,
}

impl Facts {
    /// The topics for which it must be known whether the group ever committed any partition.
    fn topics_to_look_at(&self, assigned: &[Place]) -> Vec<String> {
        let missing = assigned
            .iter()
            .filter(|place| self.settled(place).is_none());
        let mut topics: Vec<String> = missing.map(|(topic, _)| topic.clone()).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    fn settled(&self, place: &Place) -> Option<Extent> {
        let remembered = || self.remembered.get(place);
        self.committed.get(place).or_else(remembered).cloned()
    }

    /// True if the group has read this topic before.
    fn knows(&self, topic: &str) -> bool {
        let mut known = self.committed.keys().chain(self.remembered.keys());
        known.any(|(known, _)| known == topic)
    }

    fn starts(&self, places: &[Place], policy: Policy) -> KafkaResult<Vec<Start>> {
        let start = |place: &Place| {
            let (Some(head), Some(end)) = (self.heads.get(place), self.ends.get(place)) else {
                let unknown = RDKafkaErrorCode::UnknownPartition;
                return Err(KafkaError::OffsetFetch(unknown));
            };
            let (settled, found) = self.begin(place, policy, (*head, *end));
            Ok(Start {
                topic: place.0.clone(),
                number: place.1,
                settled,
                found,
            })
        };
        places.iter().map(start).collect()
    }

    fn begin(&self, place: &Place, policy: Policy, (head, end): (u64, u64)) -> (Extent, Found) {
        let at = Extent::at;
        match self.settled(place) {
            Some(settled) if end < settled.position => {
                let settled = settled.position;
                (at(head), Found::Recreated { settled })
            }
            // The broker has forgotten the commit, most likely with the topic, and nothing shows whether the records
            // are the same.
            Some(settled) if settled.landmark.is_none() && !self.committed.contains_key(place) => {
                let settled = settled.position;
                (at(head), Found::Recreated { settled })
            }
            Some(mut settled) => {
                // A landmark that retention has deleted cannot be checked, and without it the ranges beyond the offset
                // are not trusted.
                settled.landmark = settled.landmark.filter(|record| record.offset >= head);
                match settled.landmark {
                    Some(_) => settled.beyond.truncate(end),
                    None => settled.beyond = Ranges::default(),
                }
                (settled, Found::AsLeft)
            }
            None if policy == Policy::Latest && !self.knows(&place.0) => (at(end), Found::Fresh),
            None => (at(head), Found::Fresh),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
