//! Numbers as JSON and YAML write them, compared exactly: no integer is rounded to a float.

use std::cmp::Ordering;
use std::fmt;
use std::io::Write as _;

use serde_json::Value;

/// A 64-bit integer, signed or unsigned, else a float. Integers from zero up are `Unsigned`.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Number {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

impl Number {
    /// Reads JSON number text; integers beyond 64 bits become floats, as in `serde_json`.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        if let Some(whole) = Self::whole(text) {
            return Some(whole);
        }
        let float: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        Some(Self::Float(float))
    }

    fn whole(text: &[u8]) -> Option<Self> {
        let (negative, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        if digits.is_empty() {
            return None;
        }
        let mut sum: u64 = 0;
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            sum = sum.checked_mul(10)?.checked_add(u64::from(digit))?;
        }
        match (negative, sum) {
            (false, _) => Some(Self::Unsigned(sum)),
            (true, 0) => Some(Self::Float(-0.0)),
            (true, _) => 0i64.checked_sub_unsigned(sum).map(Self::Signed),
        }
    }

    /// Compares two numbers; `None` if one is NaN.
    pub(crate) fn compare(self, other: Self) -> Option<Ordering> {
        match (self.integer(), other.integer()) {
            (Ok(a), Ok(b)) => Some(a.cmp(&b)),
            (Ok(a), Err(b)) => compare_mixed(a, b),
            (Err(a), Ok(b)) => compare_mixed(b, a).map(Ordering::reverse),
            (Err(a), Err(b)) => a.partial_cmp(&b),
        }
    }

    pub(crate) fn equals(self, other: Self) -> bool {
        self.compare(other) == Some(Ordering::Equal)
    }

    fn integer(self) -> Result<i128, f64> {
        match self {
            Self::Signed(value) => Ok(value.into()),
            Self::Unsigned(value) => Ok(value.into()),
            Self::Float(value) => Err(value),
        }
    }

    /// Appends text that is the same exactly for equal numbers: an integer in decimal, however it was written, and any
    /// other number with its exponent.
    pub(crate) fn write_canonical(self, out: &mut Vec<u8>) {
        let integer = match self {
            Self::Signed(value) => Ok(value.into()),
            Self::Unsigned(value) => Ok(value.into()),
            Self::Float(value) => whole(value).ok_or(value),
        };
        // Writing to memory does not fail.
        let _ = match integer {
            Ok(integer) => write!(out, "{integer}"),
            Err(float) => write!(out, "{float:e}"),
        };
    }

    /// The JSON value; null for an infinity or NaN.
    pub fn to_json(self) -> Value {
        match self {
            Self::Signed(value) => value.into(),
            Self::Unsigned(value) => value.into(),
            Self::Float(value) => value.into(),
        }
    }
}

/// Compares with the float's whole part, then with its fraction. The cast saturates far outside the range of 64-bit
/// integers.
fn compare_mixed(integer: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    let whole = float.trunc();
    let fraction = if whole.is_finite() {
        float - whole
    } else {
        0.0
    };
    let behind = 0.0.partial_cmp(&fraction)?;
    Some(integer.cmp(&(whole as i128)).then(behind))
}

/// The float as an integer, if a 64-bit integer could equal it.
fn whole(float: f64) -> Option<i128> {
    const BEYOND: f64 = 18_446_744_073_709_551_616.0;
    (float.trunc() == float && float.abs() < BEYOND).then_some(float as i128)
}

impl fmt::Display for Number {
    /// As JSON text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(f)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        u64::try_from(value).map_or(Self::Signed(value), Self::Unsigned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(a: &str, b: &str) -> Option<Ordering> {
        let number = |text: &str| Number::parse(text.as_bytes()).unwrap();
        number(a).compare(number(b))
    }

    #[test]
    fn integers_and_floats_compare_without_losing_digits() {
        let rows = [
            ("1", "1.0", Ordering::Equal),
            ("-0", "0", Ordering::Equal),
            ("9007199254740993", "9007199254740992.0", Ordering::Greater),
            (
                "9223372036854775807",
                "9223372036854775808.0",
                Ordering::Less,
            ),
            (
                "18446744073709551615",
                "18446744073709551616.0",
                Ordering::Less,
            ),
            ("18446744073709551615", "-1", Ordering::Greater),
            (
                "-9223372036854775808",
                "-9223372036854775808.0",
                Ordering::Equal,
            ),
            ("2", "2.5", Ordering::Less),
            ("-2", "-2.5", Ordering::Greater),
            ("7", "1e400", Ordering::Less),
            ("7", "-1e400", Ordering::Greater),
            ("1e2", "100", Ordering::Equal),
        ];
        for (a, b, expected) in rows {
            assert_eq!(compared(a, b), Some(expected), "{a} and {b}");
            assert_eq!(compared(b, a), Some(expected.reverse()), "{b} and {a}");
        }
    }

    #[test]
    fn numbers_are_written_as_json_writes_them() {
        for text in ["0", "-0.0", "-5", "18446744073709551615", "1.5", "100.0"] {
            assert_eq!(Number::parse(text.as_bytes()).unwrap().to_string(), text);
        }
        assert!(Number::parse(b"-").is_none());
        assert!(Number::parse(b"").is_none());
    }
}
