//! Regular expressions, compiled to what they really ask.

use hashbrown::HashMap;
use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};

use super::operator::{Pattern, PatternTest};

/// The longest regular expression, in bytes.
pub(crate) const PATTERN_BYTES_MAX: usize = 4096;
/// How much memory one compiled regular expression may take, in bytes: the first of these that is enough is what it is
/// taken to need.
const PATTERN_SIZES: [usize; 4] = [16 * 1024, 64 * 1024, 256 * 1024, PATTERN_SIZE_MAX];
const PATTERN_SIZE_MAX: usize = 1024 * 1024;
/// How much memory those of one set may take together, in bytes.
const SET_SIZE_MAX: usize = 64 * 1024 * 1024;

/// The regular expressions of a set. Equal ones are compiled once.
#[derive(Debug, Default)]
pub(crate) struct Patterns {
    compiled: HashMap<Box<str>, Regex>,
    size: usize,
}

impl Patterns {
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn compile(&mut self, text: &str) -> Result<Pattern, String> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!(
                "a regular expression may be {PATTERN_BYTES_MAX} bytes long"
            ));
        }
        let test = match plain_pattern(text) {
            Some(plain) => plain,
            None => PatternTest::Regex(self.regex(text)?),
        };
        Ok(Pattern {
            text: text.into(),
            test,
        })
    }

    fn regex(&mut self, text: &str) -> Result<Regex, String> {
        if let Some(known) = self.compiled.get(text) {
            return Ok(known.clone());
        }
        let mut found = Err(regex::Error::CompiledTooBig(PATTERN_SIZE_MAX));
        for size in PATTERN_SIZES {
            found = compiled(text, size).map(|regex| (regex, size));
            if !matches!(found, Err(regex::Error::CompiledTooBig(_))) {
                break;
            }
        }
        let (regex, size) = found.map_err(|error| pattern_message(&error))?;
        self.size += size;
        if self.size > SET_SIZE_MAX {
            return Err(format!(
                "the regular expressions of all rules take more than {SET_SIZE_MAX} bytes when they are compiled"
            ));
        }
        self.compiled.insert(text.into(), regex.clone());
        Ok(regex)
    }
}

/// A pattern without any sign of its own but an anchor at either end asks for no more than a comparison.
fn plain_pattern(text: &str) -> Option<PatternTest> {
    let from_start = text.strip_prefix('^');
    let rest = from_start.unwrap_or(text);
    let to_end = rest.strip_suffix('$');
    let plain = to_end.unwrap_or(rest);
    if regex::escape(plain) != plain {
        return None;
    }
    Some(match (from_start, to_end) {
        (Some(_), Some(_)) => PatternTest::Is(plain.into()),
        (Some(_), None) => PatternTest::Starts(plain.into()),
        (None, Some(_)) => PatternTest::Ends(plain.into()),
        (None, None) => PatternTest::Has(finder(plain)),
    })
}

pub(super) fn finder(text: &str) -> Box<Finder<'static>> {
    Box::new(Finder::new(text.as_bytes()).into_owned())
}

fn compiled(text: &str, size: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text)
        .size_limit(size)
        .dfa_size_limit(PATTERN_SIZE_MAX)
        .nest_limit(50)
        .build()
}

/// The parser's message spans lines and ends with what is wrong.
fn pattern_message(error: &regex::Error) -> String {
    let reason = match error {
        regex::Error::CompiledTooBig(bytes) => format!("compiled it takes more than {bytes} bytes"),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    };
    format!("the regular expression is wrong: {reason}")
}
