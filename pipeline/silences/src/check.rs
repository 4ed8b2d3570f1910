//! Checks what a caller asks for. The first mistake is reported, with its field.

use std::collections::BTreeMap;
use std::time::Duration;

use acteon_core::silence::{EVERY_NAME, MatchOp, SilenceMatcher};
use acteon_core::silence_admin::NewSilence;
use jiff::{SignedDuration, Timestamp};

use crate::matcher::{CompiledMatcher, REGEX_BYTES_MAX};

const MATCHERS_MAX: usize = 32;
/// How much memory the compiled expressions of a silence may take together.
const REGEXES_BYTES_MAX: usize = 512 << 10;
/// Of the name and of the value of a matcher.
const MATCHER_BYTES_MAX: usize = 1024;
const NAME_BYTES_MAX: usize = 256;
const COMMENT_BYTES_MAX: usize = 4096;
/// A start that is no further ahead is now.
const START_NOW: SignedDuration = SignedDuration::from_secs(60);
/// How far ahead a silence may begin.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(366 * 24);

/// The bounds of silences.
#[derive(Clone, Copy, Debug)]
pub struct SilenceBounds {
    /// How long one may last.
    pub duration_max: Duration,
    /// How many a namespace and tenant may have that have not ended.
    pub live_max: usize,
}

/// What is wrong with a silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilenceProblem {
    /// The path of the field.
    pub field: String,
    /// What is wrong, and what is expected.
    pub message: String,
}

fn problem(field: impl Into<String>, message: impl Into<String>) -> SilenceProblem {
    SilenceProblem {
        field: field.into(),
        message: message.into(),
    }
}

/// Checks a new silence. Returns when it begins.
///
/// # Errors
/// The first mistake.
pub fn check(
    asked: &NewSilence,
    now: Timestamp,
    bounds: SilenceBounds,
) -> Result<Timestamp, SilenceProblem> {
    check_content(asked)?;
    let starts_at = match asked.starts_at {
        Some(at) if at.duration_since(now) > START_NOW => at,
        Some(_) | None => now,
    };
    if starts_at.duration_since(now) > AHEAD_MAX {
        return Err(problem(
            "starts_at",
            "a silence may begin at most 366 days from now",
        ));
    }
    check_end(starts_at, asked.ends_at, now, bounds)?;
    Ok(starts_at)
}

/// Checks everything but the times.
///
/// # Errors
/// The first mistake.
pub fn check_content(asked: &NewSilence) -> Result<(), SilenceProblem> {
    check_name("namespace", &asked.namespace)?;
    check_name("tenant", &asked.tenant)?;
    check_matchers(&asked.matchers)?;
    check_comment(&asked.comment)
}

/// Checks the end of a new or a changed silence.
///
/// # Errors
/// It is past, or the silence would last too long.
pub fn check_end(
    starts_at: Timestamp,
    ends_at: Timestamp,
    now: Timestamp,
    bounds: SilenceBounds,
) -> Result<(), SilenceProblem> {
    if ends_at <= now {
        return Err(problem(
            "ends_at",
            format!("{ends_at} is past; it is {now} now"),
        ));
    }
    if ends_at <= starts_at {
        let message = format!("{ends_at} is not after the start, which is {starts_at}");
        return Err(problem("ends_at", message));
    }
    // A silence that is extended again and again lasts longer than the bound, but each time a caller asks for it.
    let begins = starts_at.max(now);
    let duration = Duration::try_from(ends_at.duration_since(begins)).unwrap_or_default();
    if duration > bounds.duration_max {
        let message = format!("a silence may last at most {}", shown(bounds.duration_max));
        return Err(problem("ends_at", message));
    }
    Ok(())
}

/// A duration in its largest unit of which it is a whole number.
fn shown(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute")];
    let whole = units
        .into_iter()
        .find(|(length, _)| seconds >= *length && seconds.is_multiple_of(*length));
    let (length, unit) = whole.unwrap_or((1, "second"));
    match seconds / length {
        1 => format!("1 {unit}"),
        count => format!("{count} {unit}s"),
    }
}

fn check_name(field: &str, name: &str) -> Result<(), SilenceProblem> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        let message = format!("expected 1 to {NAME_BYTES_MAX} bytes, or \"*\" for all");
        return Err(problem(field, message));
    }
    if name.chars().any(char::is_control) {
        return Err(problem(field, "holds a control character"));
    }
    if name.contains(EVERY_NAME) && name != EVERY_NAME {
        let message = format!("\"{name}\" is no name; only \"*\" alone is a wildcard, for all");
        return Err(problem(field, message));
    }
    Ok(())
}

/// Checks the length of a comment.
///
/// # Errors
/// It is too long.
pub fn check_comment(comment: &str) -> Result<(), SilenceProblem> {
    if comment.len() > COMMENT_BYTES_MAX {
        let message = format!("expected at most {COMMENT_BYTES_MAX} bytes");
        return Err(problem("comment", message));
    }
    Ok(())
}

fn check_matchers(matchers: &[SilenceMatcher]) -> Result<(), SilenceProblem> {
    if matchers.is_empty() || matchers.len() > MATCHERS_MAX {
        let message = format!("expected 1 to {MATCHERS_MAX} matchers");
        return Err(problem("matchers", message));
    }
    let mut equal = BTreeMap::new();
    let mut refuses_empty = false;
    let mut regex_bytes = 0;
    for (at, matcher) in matchers.iter().enumerate() {
        let compiled = check_matcher(at, matcher)?;
        refuses_empty |= !compiled.accepts("");
        regex_bytes += compiled.regex_bytes();
        if regex_bytes > REGEXES_BYTES_MAX {
            let message = too_large("all regular expressions together take", REGEXES_BYTES_MAX);
            return Err(problem("matchers", message));
        }
        if matcher.op == MatchOp::Equal
            && let Some(first) = equal.insert(&matcher.name, &matcher.value)
            && *first != matcher.value
        {
            let name = &matcher.name;
            let message = format!("\"{name}\" cannot be two values at once");
            return Err(problem(format!("matchers[{at}]"), message));
        }
    }
    match refuses_empty {
        true => Ok(()),
        false => Err(problem(
            "matchers",
            "every matcher accepts an absent label, so the silence would withhold nearly everything; add one that does not",
        )),
    }
}

fn check_matcher(at: usize, matcher: &SilenceMatcher) -> Result<CompiledMatcher, SilenceProblem> {
    let lengths = [("name", &matcher.name), ("value", &matcher.value)];
    for (part, text) in lengths {
        if text.len() > MATCHER_BYTES_MAX {
            let message = format!("expected at most {MATCHER_BYTES_MAX} bytes");
            return Err(problem(format!("matchers[{at}].{part}"), message));
        }
    }
    if matcher.name.is_empty() {
        let message = "expected a label, \"provider\" or \"action_type\"";
        return Err(problem(format!("matchers[{at}].name"), message));
    }
    CompiledMatcher::of(matcher).map_err(|error| {
        let message = match error {
            regex::Error::CompiledTooBig(_) => {
                too_large("the regular expression takes", REGEX_BYTES_MAX)
            }
            error => format!("it is no regular expression: {}", last_line(&error)),
        };
        problem(format!("matchers[{at}].value"), message)
    })
}

fn too_large(what: &str, bytes_max: usize) -> String {
    let kib = bytes_max >> 10;
    format!(
        "{what} more than {kib} KiB of memory; classes of all languages such as \\w take much, [0-9A-Za-z_] little"
    )
}

/// The errors of the library draw a picture of the place above their message.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}
