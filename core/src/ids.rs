//! Ids: UUIDs of version 7, which start with their timestamp.

use compact_str::CompactString;
use jiff::Timestamp;
use uuid::{Builder, Uuid};

/// The ids of one batch. They rise, so that a backend stores them next to each other. Their random start is drawn once.
#[derive(Clone, Debug)]
pub struct Ids {
    millis: u64,
    chance: [u8; 2],
    next: u64,
}

impl Ids {
    /// Ids with the timestamp `now`.
    pub fn at(now: Timestamp) -> Self {
        let (chance, next) = rand::random();
        Self {
            millis: millis(now),
            chance,
            next,
        }
    }

    /// The next id.
    pub fn uuid(&mut self) -> Uuid {
        let [first, second] = self.chance;
        let [a, b, c, d, e, f, g, h] = self.next.to_be_bytes();
        self.next = self.next.wrapping_add(1);
        let chance = [first, second, a, b, c, d, e, f, g, h];
        Builder::from_unix_timestamp_millis(self.millis, &chance).into_uuid()
    }

    /// The next id in its usual text form.
    pub fn text(&mut self) -> CompactString {
        text(self.uuid())
    }
}

/// An id from this time, with these ten bytes in place of random ones. The same input gives the same id, so that a
/// message read again keeps its id.
pub fn id_from(at: Timestamp, chance: [u8; 10]) -> CompactString {
    text(Builder::from_unix_timestamp_millis(millis(at), &chance).into_uuid())
}

fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or_default()
}

fn text(id: Uuid) -> CompactString {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    CompactString::from(&*id.hyphenated().encode_lower(&mut text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_made_from_the_same_bytes_is_the_same_and_a_version_7() {
        let at = Timestamp::from_millisecond(1_700_000_000_000).unwrap();
        let id = id_from(at, [7; 10]);
        assert_eq!(id, id_from(at, [7; 10]));
        assert_ne!(id, id_from(at, [8; 10]));
        assert_eq!(Uuid::parse_str(&id).unwrap().get_version_num(), 7);
    }

    #[test]
    fn ids_of_a_batch_differ_and_rise_and_tell_the_time() {
        let now = Timestamp::from_millisecond(1_700_000_000_123).unwrap();
        let mut ids = Ids::at(now);
        let some: Vec<_> = (0..1000).map(|_| ids.uuid()).collect();
        assert!(some.is_sorted_by(|a, b| a < b));
        for id in some {
            assert_eq!(id.get_version_num(), 7);
            assert_eq!(
                &id.as_bytes()[..6],
                &1_700_000_000_123u64.to_be_bytes()[2..]
            );
        }
        assert_ne!(Ids::at(now).text(), ids.text());
    }
}
