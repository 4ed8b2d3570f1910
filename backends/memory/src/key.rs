//! Names hashed to 128 bits: short enough to keep millions of them. Without the secret, collisions cannot be
//! constructed.

use std::hash::Hasher;

use acteon_core::state::{EventValue, StateKey, Token};
use siphasher::sip128::{Hasher128, SipHasher13};

/// A name, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct HashedKey {
    /// Chooses the shard.
    pub(crate) high: u64,
    /// Chooses the place in its table.
    pub(crate) low: u64,
}

impl HashedKey {
    /// The key of a token, which is random and needs no hash.
    pub(crate) fn of(token: Token) -> Self {
        let [high, low] = token.halves();
        Self { high, low }
    }
}

/// The kind of a name. The same name under two kinds gives two keys.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyKind {
    Lease,
    Claim,
    /// An event, by its fingerprint.
    Event,
    /// The active events of a type.
    EventType,
    /// The active events of a type that carry a value.
    EventValue,
    /// The active events of a type that carry a value under a name.
    EventNamedValue,
    /// A window of this many nanoseconds. A rule whose window changes starts from zero.
    Quota(u64),
    /// A window of this many nanoseconds, as for a quota.
    Tally(u64),
}

impl KeyKind {
    /// Quota windows get tags in the lower half of the range, tally windows in the upper half. No window is longer than
    /// a half.
    fn tag(self) -> u64 {
        const HALF: u64 = 1 << 63;
        match self {
            Self::Lease => 0,
            Self::Claim => 1,
            Self::Event => 2,
            Self::EventType => 3,
            Self::EventValue => 4,
            Self::EventNamedValue => 5,
            Self::Quota(window) => window.clamp(6, HALF - 1),
            Self::Tally(window) => window | HALF,
        }
    }
}

/// SipHash-1-3 (Aumasson and Bernstein, 2012) with 128 bits of output and a secret random key. With 4 million live
/// keys, the probability of any collision is below 2^-84.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hashing {
    secret: [u8; 16],
}

impl Default for Hashing {
    fn default() -> Self {
        Self {
            secret: rand::random(),
        }
    }
}

impl Hashing {
    pub(crate) fn key(&self, kind: KeyKind, name: &StateKey) -> HashedKey {
        self.hashed(|hasher| {
            hasher.write_u64(kind.tag());
            hasher.write(name.as_str().as_bytes());
        })
    }

    /// The key of a value under the name of an event type. The length separates the two parts.
    pub(crate) fn value(&self, event_type: &StateKey, value: &str) -> HashedKey {
        self.hashed(|hasher| {
            hasher.write_u64(KeyKind::EventValue.tag());
            hasher.write_usize(event_type.as_str().len());
            hasher.write(event_type.as_str().as_bytes());
            hasher.write(value.as_bytes());
        })
    }

    /// The same, for a value under a name.
    pub(crate) fn named_value(&self, event_type: &StateKey, value: &EventValue) -> HashedKey {
        self.hashed(|hasher| {
            hasher.write_u64(KeyKind::EventNamedValue.tag());
            for part in [event_type.as_str(), &value.name] {
                hasher.write_usize(part.len());
                hasher.write(part.as_bytes());
            }
            hasher.write(value.value.as_bytes());
        })
    }

    fn hashed(&self, name: impl Fn(&mut SipHasher13)) -> HashedKey {
        let mut hasher = SipHasher13::new_with_key(&self.secret);
        name(&mut hasher);
        let hash = hasher.finish128();
        HashedKey {
            high: hash.h1,
            low: hash.h2,
        }
    }
}
