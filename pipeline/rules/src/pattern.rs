//! Regular expressions. An expression that only tests for a plain text is compiled to that comparison.

use hashbrown::HashMap;
use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};

/// The longest regular expression, in bytes.
pub(crate) const PATTERN_BYTES_MAX: usize = 4096;
/// How much memory one compiled regular expression may take, in bytes. It is charged with the first of these sizes that
/// it compiles within.
const PATTERN_SIZES: [usize; 4] = [16 * 1024, 64 * 1024, 256 * 1024, PATTERN_SIZE_MAX];
const PATTERN_SIZE_MAX: usize = 1024 * 1024;
/// How much memory all regular expressions of a set may take, in bytes.
const SET_SIZE_MAX: usize = 64 * 1024 * 1024;

/// A regular expression of a rule.
#[derive(Debug)]
pub(crate) struct TextPattern {
    pub(crate) text: Box<str>,
    pub(crate) test: PatternTest,
}

/// The cheapest test that is equivalent to a regular expression.
#[derive(Debug)]
pub(crate) enum PatternTest {
    Is(Box<str>),
    Starts(Box<str>),
    Ends(Box<str>),
    Has(Box<Finder<'static>>),
    Regex(Regex),
}

impl PatternTest {
    pub(crate) fn holds(&self, text: &[u8]) -> bool {
        match self {
            Self::Is(whole) => whole.as_bytes() == text,
            Self::Starts(start) => text.starts_with(start.as_bytes()),
            Self::Ends(end) => text.ends_with(end.as_bytes()),
            Self::Has(part) => part.find(text).is_some(),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// The regular expressions of a set. Equal ones are compiled once.
#[derive(Debug, Default)]
pub(crate) struct PatternTable {
    compiled: HashMap<Box<str>, Regex>,
    size: usize,
}

impl PatternTable {
    /// # Errors
    /// If it is too long, is not valid, or takes too much memory.
    pub(crate) fn compile(&mut self, text: &str) -> Result<TextPattern, String> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!(
                "a regular expression may be {PATTERN_BYTES_MAX} bytes long"
            ));
        }
        let test = match plain_pattern(text) {
            Some(plain) => plain,
            None => PatternTest::Regex(self.regex(text)?),
        };
        Ok(TextPattern {
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
                "the compiled regular expressions of all rules take more than {SET_SIZE_MAX} bytes"
            ));
        }
        self.compiled.insert(text.into(), regex.clone());
        Ok(regex)
    }
}

/// The comparison that is equivalent to a pattern without metacharacters, other than an anchor at either end.
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

pub(crate) fn finder(text: &str) -> Box<Finder<'static>> {
    Box::new(Finder::new(text.as_bytes()).into_owned())
}

fn compiled(text: &str, size: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text)
        .size_limit(size)
        .dfa_size_limit(PATTERN_SIZE_MAX)
        .nest_limit(50)
        .build()
}

/// The last line of the parser's message says what is wrong.
fn pattern_message(error: &regex::Error) -> String {
    let reason = match error {
        regex::Error::CompiledTooBig(bytes) => {
            format!("compiled, it takes more than {bytes} bytes")
        }
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        }
    };
    format!("the regular expression is wrong: {reason}")
}
