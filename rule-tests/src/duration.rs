//! Times on a timeline: `90s`, `5m`, `1h30m`, `2d`.

use std::time::Duration;

/// The units in seconds, the largest first.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// The expected form, for messages.
pub(crate) const EXPECTED: &str = "a time such as `0s`, `90s`, `5m`, `1h30m` or `2d`";

/// Reads whole numbers with units, larger units first, each unit at most once.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0u64;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..end].parse().ok()?;
        let unit = rest[end..].chars().next()?;
        let (_, size) = units.find(|(name, _)| *name == unit)?;
        seconds = seconds.checked_add(number.checked_mul(*size)?)?;
        rest = &rest[end + unit.len_utf8()..];
    }
    (!text.is_empty()).then(|| Duration::from_secs(seconds))
}

/// Writes a time in the form in which it is read, rounded to seconds.
pub(crate) fn shown(time: Duration) -> String {
    let mut rest = whole_seconds(time);
    let mut text = String::new();
    for (name, size) in UNITS {
        if rest >= size {
            text.push_str(&format!("{}{name}", rest / size));
            rest %= size;
        }
    }
    if text.is_empty() {
        text.push_str("0s");
    }
    text
}

/// Rounded to whole seconds.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_millis() >= 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_and_written_in_the_same_way() {
        for (text, seconds) in [
            ("0s", 0),
            ("59s", 59),
            ("5m", 300),
            ("1h30m", 5400),
            ("2d", 172_800),
            ("1d1h1m1s", 90_061),
        ] {
            let time = Duration::from_secs(seconds);
            assert_eq!(parse(text), Some(time), "{text}");
            assert_eq!(shown(time), text);
        }
        assert_eq!(parse("90s").map(shown).as_deref(), Some("1m30s"));
        assert_eq!(shown(Duration::from_millis(59_600)), "1m");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "5",
            "m",
            "5 m",
            "-5m",
            "1.5h",
            "5m5m",
            "5s1m",
            "5x",
            "5mm",
            "18446744073709551615d",
            "٣s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
