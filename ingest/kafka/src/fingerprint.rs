//! Identifies a record. A fingerprint is committed with the settled offset, to tell later whether the topic still has
//! the same records or was recreated.

use std::fmt;
use std::hash::Hasher as _;

use rdkafka::Message;
use siphasher::sip::SipHasher13;

/// The prefix of the committed text. It is versioned in case the format changes.
const FORMAT: &str = "acteon/1";

/// How much of a record is hashed, so that a record of many megabytes costs no more than others.
const HASHED_BYTES_MAX: usize = 4 << 10;

/// A record's offset, its time, and a hash of the beginning of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    pub(crate) offset: u64,
    millis: i64,
    hash: u64,
}

/// How a record compares to the fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecordMatch {
    /// It is the same record.
    Same,
    /// The fingerprinted record is gone, by retention or compaction: this one comes after it.
    Gone,
    /// It has the same or a lower offset and is a different record.
    Other,
}

impl Fingerprint {
    pub(crate) fn of(record: &impl Message) -> Self {
        // The hash key is public: whoever can publish could as well delete the topic.
        let mut hasher = SipHasher13::new();
        for part in [record.key(), record.payload()] {
            let part = part.unwrap_or_default();
            hasher.write_usize(part.len());
            hasher.write(&part[..part.len().min(HASHED_BYTES_MAX)]);
        }
        Self {
            offset: u64::try_from(record.offset()).unwrap_or(0),
            millis: record.timestamp().to_millis().unwrap_or(-1),
            hash: hasher.finish(),
        }
    }

    /// Compares `record`, the first one read from this offset on.
    pub(crate) fn compare(&self, record: &impl Message) -> RecordMatch {
        let read = Self::of(record);
        if read == *self {
            RecordMatch::Same
        } else if read.offset > self.offset {
            RecordMatch::Gone
        } else {
            RecordMatch::Other
        }
    }

    /// Parses committed text. `None` if others wrote it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let mut next = || parts.next();
        if next()? != FORMAT {
            return None;
        }
        Some(Self {
            offset: next()?.parse().ok()?,
            millis: next()?.parse().ok()?,
            hash: u64::from_str_radix(next()?, 16).ok()?,
        })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            offset,
            millis,
            hash,
        } = self;
        write!(f, "{FORMAT} {offset} {millis} {hash:016x}")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;

    use super::*;

    pub(crate) fn record(offset: i64, millis: i64, payload: &str) -> OwnedMessage {
        let payload = Some(payload.as_bytes().to_vec());
        let time = Timestamp::CreateTime(millis);
        OwnedMessage::new(payload, None, "orders".to_owned(), time, 0, offset, None)
    }

    #[test]
    fn our_text_is_parsed_and_text_of_others_is_not() {
        let fingerprint = Fingerprint::of(&record(41, 1_700_000_000_000, "a"));
        let text = fingerprint.to_string();
        assert!(text.starts_with("acteon/1 41 1700000000000 "), "{text}");
        assert_eq!(Fingerprint::parse(&text), Some(fingerprint));
        for other in [
            "",
            "acteon/2 41 1 0",
            "acteon/1 41 1",
            "acteon/1 41 1 z",
            "41",
        ] {
            assert_eq!(Fingerprint::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_record_is_recognized_by_its_offset_its_time_and_its_content() {
        let fingerprint = Fingerprint::of(&record(41, 7, "a"));
        assert_eq!(fingerprint.compare(&record(41, 7, "a")), RecordMatch::Same);
        for other in [
            record(41, 8, "a"),
            record(41, 7, "b"),
            record(40, 7, "a"),
            record(0, 9, "c"),
        ] {
            assert_eq!(fingerprint.compare(&other), RecordMatch::Other, "{other:?}");
        }
        assert_eq!(fingerprint.compare(&record(42, 7, "a")), RecordMatch::Gone);
    }
}
