//! SHA-256 as hex text: the content hash of rule files, and the short form of long state keys.

use compact_str::CompactString;
use sha2::{Digest, Sha256};

/// Keys longer than this are stored as their hash.
const PLAIN_BYTES_MAX: usize = 256;

/// The key itself, or its hash if it is long.
pub(crate) fn shortened(key: &str) -> CompactString {
    if key.len() <= PLAIN_BYTES_MAX {
        return key.into();
    }
    let hash = lower_hex(&Sha256::digest(key.as_bytes()));
    CompactString::from("sha256=") + &hash
}

/// Lower-case hex digits.
pub(crate) fn lower_hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| DIGITS[usize::from(digit)])
        .collect()
}
