//! A condition in one line, in the words of a rule file, for the trace of the playground.

use std::fmt;

use super::Condition;
use crate::cel::StrictTest;

/// How many characters of a condition are shown.
const SHOWN_MAX: usize = 1000;

impl Condition {
    /// The condition in one line, cut if it is long.
    pub(crate) fn shown(&self) -> String {
        let text = self.to_string();
        match text.char_indices().nth(SHOWN_MAX) {
            None => text,
            Some((end, _)) => format!("{}...", &text[..end]),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(parts) if parts.is_empty() => f.write_str("always"),
            Self::Any(parts) if parts.is_empty() => f.write_str("never"),
            Self::All(parts) => joined(parts, " and ", f),
            Self::Any(parts) => joined(parts, " or ", f),
            Self::Not(inner) => write!(f, "not ({inner})"),
            Self::Test(test) | Self::Strict(StrictTest(test)) => {
                write!(f, "{} {}", test.path, test.operator)
            }
            Self::State(test) => {
                f.write_str(&test.text)?;
                let mut operators = test.operators.iter();
                operators.try_for_each(|operator| write!(f, " {operator}"))
            }
            Self::Has(path) => write!(f, "has({path})"),
            Self::Cel(program) => f.write_str(program.text()),
        }
    }
}

fn joined(parts: &[Condition], between: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(between)?;
        }
        match part {
            Condition::All(inner) | Condition::Any(inner) if inner.len() > 1 => {
                write!(f, "({part})")?;
            }
            _ => write!(f, "{part}")?,
        }
    }
    Ok(())
}
