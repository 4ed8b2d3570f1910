//! Numbers as decimal text, compared and written without rounding: the slow way, for numbers that need more than 64
//! bits.

use std::cmp::Ordering;
use std::io::Write as _;

/// Integers of up to this many digits are written out.
const PLAIN_DIGITS_MAX: i128 = 400;

/// `0.<digits> * 10^magnitude`, with a sign. Zero has no digits. Exponents beyond 37 digits are capped.
#[derive(Clone, Copy)]
pub(super) struct Decimal<'t> {
    is_negative: bool,
    /// The digits before the point, then those after it, together without leading and trailing zeros.
    digits: [&'t [u8]; 2],
    magnitude: i128,
}

impl<'t> Decimal<'t> {
    /// Reads number text as JSON and YAML write it.
    pub(super) fn of(text: &'t str) -> Self {
        let (is_negative, unsigned) = match text.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, capped(exponent)),
            None => (unsigned, 0),
        };
        let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let before = before.trim_start_matches('0');
        let mut magnitude = exponent + before.len() as i128;
        let mut after = after.trim_end_matches('0');
        if before.is_empty() {
            let leading = after.len();
            after = after.trim_start_matches('0');
            magnitude -= (leading - after.len()) as i128;
        }
        let before = match after {
            "" => before.trim_end_matches('0'),
            _ => before,
        };
        let is_zero = before.is_empty() && after.is_empty();
        Self {
            is_negative: is_negative && !is_zero,
            digits: [before.as_bytes(), after.as_bytes()],
            magnitude: if is_zero { i128::MIN } else { magnitude },
        }
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.digits.into_iter().flatten().copied()
    }

    fn count(&self) -> i128 {
        self.digits.iter().map(|part| part.len() as i128).sum()
    }

    /// The digits of an integer, unless they are too many.
    fn whole(&self) -> Option<String> {
        let is_whole = self.count() <= self.magnitude && self.magnitude <= PLAIN_DIGITS_MAX;
        is_whole.then(|| {
            let sign = if self.is_negative { "-" } else { "" };
            let mut text = String::from(sign);
            text.extend(self.digits().map(char::from));
            let zeros = usize::try_from(self.magnitude - self.count()).unwrap_or_default();
            text.extend(std::iter::repeat_n('0', zeros));
            text
        })
    }

    /// Appends it as [`Number::write_canonical`](super::Number::write_canonical) does.
    pub(super) fn write_canonical(&self, out: &mut Vec<u8>) {
        if let Some(whole) = self.whole()
            && whole.trim_start_matches('-').parse::<u64>().is_ok()
        {
            out.extend_from_slice(whole.as_bytes());
            return;
        }
        if self.is_negative {
            out.push(b'-');
        }
        for (at, digit) in self.digits().enumerate() {
            if at == 1 {
                out.push(b'.');
            }
            out.push(digit);
        }
        // Writing to memory does not fail.
        let _ = write!(out, "e{}", self.magnitude - 1);
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_size = |a: &Self, b: &Self| {
            let by_magnitude = a.magnitude.cmp(&b.magnitude);
            by_magnitude.then_with(|| a.digits().cmp(b.digits()))
        };
        match (self.is_negative, other.is_negative) {
            (false, false) => by_size(self, other),
            (true, true) => by_size(other, self),
            (is_negative, _) if is_negative => Ordering::Less,
            _ => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal<'_> {}

/// Whether the text has neither a fraction nor an exponent.
pub(super) fn is_integer(text: &str) -> bool {
    memchr::memchr3(b'.', b'e', b'E', text.as_bytes()).is_none()
}

/// A whole number as an integer of plain digits, unless they are too many; any other number as it is written.
pub(super) fn plain(text: &str) -> String {
    Decimal::of(text).whole().unwrap_or_else(|| text.to_owned())
}

fn capped(exponent: &str) -> i128 {
    const CAP: i128 = 10i128.pow(37);
    let bound = if exponent.starts_with('-') { -CAP } else { CAP };
    let parsed = exponent.parse().unwrap_or(bound);
    parsed.clamp(-CAP, CAP)
}
