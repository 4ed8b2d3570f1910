//! The caller's name of its hold.

use std::fmt;
use std::num::NonZeroU64;

/// The name that a caller gives to one hold. A backend only ever compares names, so it needs no counter. It is known
/// before the backend answers, so a hold can be asked for again, or released, although its answer was lost.
///
/// The default is the name of a reservation that was not asked for yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token {
    /// Not zero, so that a record with or without a holder takes no more memory than its token.
    high: NonZeroU64,
    low: u64,
}

impl Token {
    /// A name that no other hold has: 128 random bits.
    pub fn random() -> Self {
        let (high, low) = rand::random();
        Self { high, low }
    }

    /// The two halves of the name.
    pub fn halves(self) -> [u64; 2] {
        [self.high.get(), self.low]
    }

    /// The name in bytes, as backends store it.
    pub fn to_bytes(self) -> [u8; 16] {
        let [high, low] = self.halves();
        (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
    }
}

impl Default for Token {
    fn default() -> Self {
        Self {
            high: NonZeroU64::MIN,
            low: 0,
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn tokens_differ_and_so_do_their_bytes() {
        let tokens: Vec<_> = (0..1000).map(|_| Token::random()).collect();
        let names: BTreeSet<_> = tokens.iter().map(|token| token.to_bytes()).collect();
        assert_eq!(names.len(), 1000);
        assert!(!tokens.contains(&Token::default()));
    }

    #[test]
    fn a_holder_or_none_takes_no_more_memory_than_a_token() {
        assert_eq!(size_of::<Option<Token>>(), size_of::<Token>());
    }
}
