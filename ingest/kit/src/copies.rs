//! Copies messages whose bytes belong to the client library. Short messages share one block of memory: counting the
//! references to a block costs less than two allocations per message.

use acteon_core::parked::SHARING_BYTES_MAX;
use bytes::{Bytes, BytesMut};

/// The size of a block. A message that is kept long keeps at most one block alive.
const BLOCK_BYTES: usize = 32 << 10;

/// Makes copies, and keeps the rest of the last block.
#[derive(Debug, Default)]
pub struct Copies {
    block: BytesMut,
}

impl Copies {
    /// A copy of `message`. A message that waits is [parked](acteon_core::Parked).
    pub fn of(&mut self, message: &[u8]) -> Bytes {
        if message.len() > SHARING_BYTES_MAX {
            return Bytes::copy_from_slice(message);
        }
        // Appending to a block that is too short would move the rest of it.
        if self.block.capacity() < message.len() {
            self.block = BytesMut::with_capacity(BLOCK_BYTES);
        }
        self.block.extend_from_slice(message);
        self.block.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_all_lengths_hold_what_they_are_copies_of() {
        let mut copies = Copies::default();
        let lengths = (0..500).chain([SHARING_BYTES_MAX, SHARING_BYTES_MAX + 1, 100_000, 3]);
        let messages: Vec<Vec<u8>> = lengths.map(|length| vec![length as u8; length]).collect();
        let copied: Vec<Bytes> = messages.iter().map(|message| copies.of(message)).collect();
        assert_eq!(copied, messages);
    }

    #[test]
    fn short_messages_share_a_block_and_long_ones_do_not() {
        let mut copies = Copies::default();
        let first = copies.of(b"abc");
        let second = copies.of(b"def");
        assert_eq!(first.as_ptr_range().end, second.as_ptr());
        let long = copies.of(&[b'x'; SHARING_BYTES_MAX + 1]);
        assert_ne!(second.as_ptr_range().end, long.as_ptr());
        assert!(long.try_into_mut().is_ok(), "it shares no block");
        drop(first);
        assert!(
            second.try_into_mut().is_err(),
            "the second copy keeps the block"
        );
    }
}
