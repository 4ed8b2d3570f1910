//! How far a partition is settled, as it is committed and read back, and where its reading starts.

use crate::fingerprint::Fingerprint;
use crate::ranges::Ranges;

/// Brokers accept 4,096 bytes of metadata for a partition by default (`offset.metadata.max.bytes`).
pub(crate) const METADATA_BYTES_MAX: usize = 4096;

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
    pub(crate) fn parse(position: u64, metadata: Option<&str>) -> Self {
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
pub(crate) struct StartPoint {
    pub(crate) topic: String,
    pub(crate) number: i32,
    pub(crate) settled: Extent,
    pub(crate) kind: StartKind,
}

/// How a partition was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartKind {
    /// It still ends at or after the settled position.
    AsLeft,
    /// None of it was ever settled.
    Fresh,
    /// The topic was recreated: it ends before the settled offset, or nothing shows that its records are the same.
    Recreated { settled: u64 },
}

impl StartPoint {
    /// The start of a recreated topic, from `position` on.
    pub(crate) fn recreated(topic: &str, number: i32, position: u64) -> Self {
        Self {
            topic: topic.to_owned(),
            number,
            settled: Extent::at(position),
            kind: StartKind::Fresh,
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

#[cfg(test)]
pub(crate) mod tests;
