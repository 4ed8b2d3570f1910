//! Finds the quotes and brackets in 64 bytes of JSON text, as bit masks. Each instruction compares sixteen bytes and
//! nothing branches on a byte, which makes skipping a value cheap.

use wide::u8x16;

/// The bytes of a block.
pub(super) const BLOCK: usize = 64;

/// Bit `i` is for byte `i` of the block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) quotes: u64,
    pub(super) backslashes: u64,
    /// Opening brackets and braces.
    pub(super) opening: u64,
    pub(super) closing: u64,
}

impl Marks {
    /// The marks of the first block of a text, which may be shorter at the end.
    #[inline]
    pub(super) fn of(text: &[u8]) -> Self {
        match text.first_chunk::<BLOCK>() {
            Some(block) => marks(block),
            None => {
                let mut block = [b' '; BLOCK];
                block[..text.len()].copy_from_slice(text);
                marks(&block)
            }
        }
    }
}

/// Short strings end within this many bytes.
pub(super) const NEAR: usize = 16;

impl Marks {
    /// The quotes and backslashes among the next few bytes.
    #[inline]
    pub(super) fn of_near(text: &[u8]) -> Self {
        match text.first_chunk::<NEAR>() {
            Some(near) => near_marks(near),
            None => {
                let mut near = [b' '; NEAR];
                near[..text.len()].copy_from_slice(text);
                near_marks(&near)
            }
        }
    }
}

/// The state carried from one block to the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Carry {
    in_string: bool,
    is_escaped: bool,
}

impl Carry {
    /// Which bytes of a block are in strings, opening quotes included.
    #[inline]
    pub(super) fn strings(&mut self, marks: &Marks) -> u64 {
        let mut quotes = marks.quotes;
        if marks.backslashes != 0 || self.is_escaped {
            quotes &= !self.escaped(marks.backslashes);
        }
        let mut inside = prefix_xor(quotes);
        if self.in_string {
            inside = !inside;
        }
        self.in_string = inside >> 63 == 1;
        inside
    }

    /// Which bytes follow an unescaped backslash.
    fn escaped(&mut self, mut backslashes: u64) -> u64 {
        let mut escaped = u64::from(self.is_escaped);
        backslashes &= !escaped;
        self.is_escaped = false;
        while backslashes != 0 {
            let at = backslashes.trailing_zeros();
            self.is_escaped = at == 63;
            let pair = 3 << at;
            escaped |= pair & !(1 << at);
            backslashes &= !pair;
        }
        escaped
    }
}

/// Sets each bit to the parity of itself and all lower bits.
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[inline]
fn marks(block: &[u8; BLOCK]) -> Marks {
    let mut marks = Marks::default();
    for (at, part) in block.as_chunks().0.iter().enumerate() {
        let bytes = u8x16::from(*part);
        let folded = bytes | u8x16::splat(FOLD);
        let shift = NEAR * at;
        marks.quotes |= equal(bytes, b'"') << shift;
        marks.backslashes |= equal(bytes, b'\\') << shift;
        marks.opening |= equal(folded, b'{') << shift;
        marks.closing |= equal(folded, b'}') << shift;
    }
    marks
}

#[inline]
fn near_marks(near: &[u8; NEAR]) -> Marks {
    let bytes = u8x16::from(*near);
    Marks {
        quotes: equal(bytes, b'"'),
        backslashes: equal(bytes, b'\\'),
        ..Marks::default()
    }
}

/// Sets bit `i` if byte `i` equals `byte`.
#[inline]
fn equal(bytes: u8x16, byte: u8) -> u64 {
    bytes.simd_eq(u8x16::splat(byte)).to_bitmask().into()
}

/// Turns a bracket into a brace, and no other byte into one.
const FOLD: u8 = b'{' ^ b'[';

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn marks_stand_where_the_bytes_are(block in prop::collection::vec(prop::sample::select(b"\"\\{}[]a;\xdb\xfb\x02 ".to_vec()), BLOCK)) {
            let bits = |wanted: &[u8]| {
                let found = block.iter().enumerate().filter(|(_, byte)| wanted.contains(byte));
                found.fold(0, |bits, (at, _)| bits | 1 << at)
            };
            let expected = Marks {
                quotes: bits(b"\""),
                backslashes: bits(b"\\"),
                opening: bits(b"{["),
                closing: bits(b"}]"),
            };
            prop_assert_eq!(Marks::of(&block), expected);
            let near = Marks {
                quotes: expected.quotes & 0xffff,
                backslashes: expected.backslashes & 0xffff,
                ..Marks::default()
            };
            prop_assert_eq!(Marks::of_near(&block), near);
        }

        #[test]
        fn strings_are_found_across_blocks(text in prop::collection::vec(prop::sample::select(b"\"\\a".to_vec()), 0..200)) {
            let mut carry = Carry::default();
            let mut inside = false;
            let mut escaped = false;
            for block in text.chunks(BLOCK) {
                let strings = carry.strings(&Marks::of(block));
                for (at, byte) in block.iter().enumerate() {
                    if *byte == b'"' && !escaped {
                        inside = !inside;
                    }
                    escaped = *byte == b'\\' && !escaped;
                    prop_assert_eq!(strings >> at & 1 == 1, inside);
                }
            }
        }
    }
}
