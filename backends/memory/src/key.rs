//! Names as 128 bits: short enough to keep millions, and nobody outside can make two names meet.

use std::hash::{BuildHasher, Hasher, RandomState};

use acteon_core::state::StateKey;

/// A name, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Chooses the shard.
    pub(crate) high: u64,
    /// Chooses the place in its table.
    pub(crate) low: u64,
}

/// What a name is the name of. The same name of two kinds makes two keys.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Lease,
    Claim,
    /// A window of so many nanoseconds: a rule whose window changes starts anew.
    Quota(u64),
}

impl Kind {
    fn tag(self) -> u64 {
        match self {
            Self::Lease => 0,
            Self::Claim => 1,
            Self::Quota(window) => window.max(2),
        }
    }
}

/// Two SipHash-1-3 (Aumasson and Bernstein, 2012) under secret random keys, side by side. With 4 million live keys the
/// chance that any two meet is below 2^-84.
#[derive(Debug, Default)]
pub(crate) struct Hashing {
    high: RandomState,
    low: RandomState,
}

impl Hashing {
    pub(crate) fn key(&self, kind: Kind, name: &StateKey) -> Key {
        let hash = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write_u64(kind.tag());
            hasher.write(name.as_str().as_bytes());
            hasher.finish()
        };
        Key {
            high: hash(&self.high),
            low: hash(&self.low),
        }
    }
}
