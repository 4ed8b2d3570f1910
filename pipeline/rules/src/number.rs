//! Numbers as JSON and YAML write them, compared exactly: no integer is rounded to a float.

mod decimal;

use std::cmp::Ordering;
use std::fmt;
use std::io::Write as _;

use serde_json::Value;

use decimal::Decimal;

/// From here on, neighbouring integers are the same float.
const FLOAT_INTEGERS_END: f64 = 9_007_199_254_740_992.0;
/// The first integer beyond 64 bits.
const U64_END: f64 = 18_446_744_073_709_551_616.0;

/// A 64-bit integer, signed or unsigned, else a float. Integers from zero up are `Unsigned`.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Number<'t> {
    Signed(i64),
    Unsigned(u64),
    /// From 2^64 up it means its shortest decimal form.
    Float(f64),
    /// The text of a number from 2^53 up that is none of the above, such as an integer of thirty digits.
    Long(&'t str),
}

/// A number that owns its text.
#[derive(Clone, Debug)]
pub struct NumberLiteral(LiteralForm);

#[derive(Clone, Debug)]
enum LiteralForm {
    Short(Number<'static>),
    Long(Box<str>),
}

impl NumberLiteral {
    /// The number.
    pub fn get(&self) -> Number<'_> {
        match &self.0 {
            LiteralForm::Short(number) => *number,
            LiteralForm::Long(text) => Number::Long(text),
        }
    }
}

impl From<Number<'_>> for NumberLiteral {
    fn from(number: Number<'_>) -> Self {
        Self(match number {
            Number::Signed(value) => LiteralForm::Short(Number::Signed(value)),
            Number::Unsigned(value) => LiteralForm::Short(Number::Unsigned(value)),
            Number::Float(value) => LiteralForm::Short(Number::Float(value)),
            Number::Long(text) => LiteralForm::Long(text.into()),
        })
    }
}

impl fmt::Display for NumberLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl<'t> Number<'t> {
    /// Reads JSON number text.
    pub(crate) fn parse(text: &'t [u8]) -> Option<Self> {
        if let Some(whole) = Self::whole(text) {
            return Some(whole);
        }
        let text = std::str::from_utf8(text).ok()?;
        let float: f64 = text.parse().ok()?;
        let is_small = float.is_nan() || float.abs() < FLOAT_INTEGERS_END;
        let is_kept = is_small
            || !decimal::is_integer(text)
                && float.is_finite()
                && Decimal::of(text) == Decimal::of(&decimal_text(float));
        Some(if is_kept {
            Self::Float(float)
        } else {
            Self::Long(text)
        })
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
    pub(crate) fn compare(self, other: Number<'_>) -> Option<Ordering> {
        if let (Self::Long(_), _) | (_, Number::Long(_)) = (self, other) {
            return compare_long(self, other);
        }
        match (self.integer(), other.integer()) {
            (Ok(a), Ok(b)) => Some(a.cmp(&b)),
            (Ok(a), Err(b)) => compare_mixed(a, b),
            (Err(a), Ok(b)) => compare_mixed(b, a).map(Ordering::reverse),
            (Err(a), Err(b)) => a.partial_cmp(&b),
        }
    }

    pub(crate) fn equals(self, other: Number<'_>) -> bool {
        self.compare(other) == Some(Ordering::Equal)
    }

    fn integer(self) -> Result<i128, f64> {
        match self {
            Self::Signed(value) => Ok(value.into()),
            Self::Unsigned(value) => Ok(value.into()),
            Self::Float(value) => Err(value),
            // Compared in decimal.
            Self::Long(text) => Err(float_of(text)),
        }
    }

    /// The nearest float; infinite if it is out of range.
    pub(crate) fn to_float(self) -> f64 {
        match self {
            Self::Signed(value) => value as f64,
            Self::Unsigned(value) => value as f64,
            Self::Float(value) => value,
            Self::Long(text) => float_of(text),
        }
    }

    /// In plain digits, without an exponent if it is an integer of moderate length.
    pub(crate) fn to_plain(self) -> String {
        match self {
            Self::Signed(value) => value.to_string(),
            Self::Unsigned(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Long(text) => decimal::plain(text),
        }
    }

    /// Whether it is written as an integer.
    pub(crate) fn is_integer(self) -> bool {
        match self {
            Self::Signed(_) | Self::Unsigned(_) => true,
            Self::Float(_) => false,
            Self::Long(text) => decimal::is_integer(text),
        }
    }

    /// Appends text that is the same exactly for equal numbers: an integer of 64 bits in decimal, however it was
    /// written, and any other number with its exponent.
    pub(crate) fn write_canonical(self, out: &mut Vec<u8>) {
        let integer = match self {
            Self::Long(text) => return Decimal::of(text).write_canonical(out),
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

    /// Appends text that is the same exactly for equal numbers, in plain digits below 2^53.
    pub(crate) fn write_plain(self, out: &mut Vec<u8>) {
        match self {
            Self::Float(value) if value.abs() < FLOAT_INTEGERS_END && whole(value).is_none() => {
                // Writing to memory does not fail.
                let _ = write!(out, "{value}");
            }
            _ => self.write_canonical(out),
        }
    }

    /// The JSON value; null for an infinity or NaN, and for a number that no JSON value holds with all its digits.
    pub fn to_json(self) -> Value {
        match self {
            Self::Signed(value) => value.into(),
            Self::Unsigned(value) => value.into(),
            Self::Float(value) => value.into(),
            Self::Long(_) => Value::Null,
        }
    }
}

/// Compares in decimal, if one of them is long.
fn compare_long(a: Number<'_>, b: Number<'_>) -> Option<Ordering> {
    let text = |number: Number<'_>| match number {
        Number::Float(value) => decimal_text(value),
        other => other.to_string(),
    };
    match (a, b) {
        (Number::Long(a), Number::Long(b)) => Some(Decimal::of(a).cmp(&Decimal::of(b))),
        (Number::Float(float), _) if !float.is_finite() => float.partial_cmp(&0.0),
        (_, Number::Float(float)) if !float.is_finite() => 0.0.partial_cmp(&float),
        (Number::Long(a), b) => Some(Decimal::of(a).cmp(&Decimal::of(&text(b)))),
        (a, b) => Some(Decimal::of(&text(a)).cmp(&Decimal::of(&text(b)))),
    }
}

/// The decimal number that a float means: its exact value as far as a 64-bit integer may equal it.
fn decimal_text(float: f64) -> String {
    match whole(float) {
        Some(integer) => integer.to_string(),
        None => format!("{float:e}"),
    }
}

fn float_of(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
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
    (float.trunc() == float && float.abs() < U64_END).then_some(float as i128)
}

impl fmt::Display for Number<'_> {
    /// As JSON text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long(text) => f.write_str(text),
            short => short.to_json().fmt(f),
        }
    }
}

impl From<i64> for Number<'_> {
    fn from(value: i64) -> Self {
        u64::try_from(value).map_or(Self::Signed(value), Self::Unsigned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(a: &str, b: &str) -> Option<Ordering> {
        let number = Number::parse(a.as_bytes()).unwrap();
        number.compare(Number::parse(b.as_bytes()).unwrap())
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
    fn numbers_beyond_64_bits_compare_by_all_their_digits() {
        let nines = "9".repeat(400);
        let more = format!("{nines}.5");
        let rows = [
            (
                "18446744073709551616",
                "18446744073709551617",
                Ordering::Less,
            ),
            (
                "18446744073709551616",
                "18446744073709551616.0",
                Ordering::Equal,
            ),
            (
                "18446744073709551616",
                "1844674407370955161.60e1",
                Ordering::Equal,
            ),
            (
                "18446744073709551615",
                "18446744073709551616",
                Ordering::Less,
            ),
            (
                "-18446744073709551616",
                "-18446744073709551617",
                Ordering::Greater,
            ),
            (
                "-18446744073709551617",
                "-9223372036854775808",
                Ordering::Less,
            ),
            (
                "-18446744073709551617",
                "18446744073709551617",
                Ordering::Less,
            ),
            ("100000000000000000000000", "1e23", Ordering::Equal),
            ("100000000000000000000001", "1e23", Ordering::Greater),
            ("9007199254740993", "9007199254740993.0", Ordering::Equal),
            (
                "9007199254740993.0",
                "9007199254740992.0",
                Ordering::Greater,
            ),
            ("9007199254740993.5", "9007199254740993", Ordering::Greater),
            ("1e400", "2e400", Ordering::Less),
            ("1e400", "10E+399", Ordering::Equal),
            ("-1e400", "0.5", Ordering::Less),
            ("1e99999999999999999999", "2.5", Ordering::Greater),
            (&nines, &more, Ordering::Less),
            (&nines, "1e400", Ordering::Less),
        ];
        for (a, b, expected) in rows {
            assert_eq!(compared(a, b), Some(expected), "{a} and {b}");
            assert_eq!(compared(b, a), Some(expected.reverse()), "{b} and {a}");
            let canonical = |text: &str| {
                let mut out = Vec::new();
                Number::parse(text.as_bytes())
                    .unwrap()
                    .write_canonical(&mut out);
                out
            };
            let is_same = canonical(a) == canonical(b);
            assert_eq!(is_same, expected.is_eq(), "{a} and {b}");
        }
    }

    #[test]
    fn a_long_number_compares_with_any_float() {
        let long = Number::parse(b"100000000000000000000001").unwrap();
        let with = |float| long.compare(Number::Float(float));
        assert_eq!(with(1e23), Some(Ordering::Greater));
        assert_eq!(with(f64::INFINITY), Some(Ordering::Less));
        assert_eq!(with(f64::NEG_INFINITY), Some(Ordering::Greater));
        assert_eq!(with(0.25), Some(Ordering::Greater));
        assert_eq!(with(0.0), Some(Ordering::Greater));
        assert_eq!(with(f64::NAN), None);
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
