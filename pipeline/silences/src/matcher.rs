//! Matchers, compiled for many actions.

use acteon_core::silence::{
    ACTION_TYPE, EVERY_NAME, MatchOp, PROVIDER, Silence, SilenceMatcher, SilenceSubject,
};
use compact_str::CompactString;
use regex::{Regex, RegexBuilder};

/// How much memory a compiled expression may take. Many silences have many of them.
pub(crate) const REGEX_BYTES_MAX: usize = 256 << 10;
/// The first limit under which an expression is compiled; each further one is twice as much.
const REGEX_BYTES_FIRST: usize = 1 << 10;
/// How much memory the search with an expression may keep for the next one, where a search needs little without it.
const SEARCH_BYTES_MAX: usize = 16 << 10;

/// The matchers of a silence, ready to be compared with actions.
#[derive(Clone, Debug)]
pub struct CompiledSilence {
    namespace: CompactString,
    tenant: CompactString,
    matchers: Vec<CompiledMatcher>,
}

#[derive(Clone, Debug)]
pub(crate) struct CompiledMatcher {
    name: MatchedName,
    test: ValueTest,
}

#[derive(Clone, Debug)]
enum MatchedName {
    Provider,
    ActionType,
    Label(CompactString),
}

#[derive(Clone, Debug)]
enum ValueTest {
    Equal(CompactString),
    NotEqual(CompactString),
    Matches(SizedRegex),
    MatchesNot(SizedRegex),
}

/// A compiled expression, and the smallest limit that it keeps: about the memory that it takes.
#[derive(Clone, Debug)]
struct SizedRegex {
    regex: Regex,
    bytes: usize,
}

impl CompiledSilence {
    /// Compiles a stored silence.
    ///
    /// # Errors
    /// An expression cannot be compiled. A silence that was checked has none.
    pub fn of(silence: &Silence) -> Result<Self, regex::Error> {
        let matchers = silence.matchers.iter().map(CompiledMatcher::of);
        Ok(Self {
            namespace: silence.namespace.clone(),
            tenant: silence.tenant.clone(),
            matchers: matchers.collect::<Result<_, _>>()?,
        })
    }

    /// True if the silence withholds this action while it is in force.
    pub fn matches(&self, subject: &SilenceSubject<'_>) -> bool {
        let is_of = |name: &str, found| name == EVERY_NAME || name == found;
        is_of(&self.namespace, subject.namespace)
            && is_of(&self.tenant, subject.tenant)
            && self.matchers.iter().all(|one| one.matches(subject))
    }
}

impl CompiledMatcher {
    pub(crate) fn of(matcher: &SilenceMatcher) -> Result<Self, regex::Error> {
        let value = &matcher.value;
        Ok(Self {
            name: match matcher.name.as_str() {
                PROVIDER => MatchedName::Provider,
                ACTION_TYPE => MatchedName::ActionType,
                label => MatchedName::Label(label.into()),
            },
            test: match matcher.op {
                MatchOp::Equal => ValueTest::Equal(value.clone()),
                MatchOp::NotEqual => ValueTest::NotEqual(value.clone()),
                MatchOp::Matches => ValueTest::Matches(SizedRegex::of(value)?),
                MatchOp::MatchesNot => ValueTest::MatchesNot(SizedRegex::of(value)?),
            },
        })
    }

    /// About how much memory its expression takes.
    pub(crate) fn regex_bytes(&self) -> usize {
        match &self.test {
            ValueTest::Equal(_) | ValueTest::NotEqual(_) => 0,
            ValueTest::Matches(sized) | ValueTest::MatchesNot(sized) => sized.bytes,
        }
    }

    fn matches(&self, subject: &SilenceSubject<'_>) -> bool {
        self.accepts(match &self.name {
            MatchedName::Provider => subject.provider,
            MatchedName::ActionType => subject.action_type,
            MatchedName::Label(name) => subject.labels.get(name).unwrap_or_default(),
        })
    }

    /// True if it holds of this value.
    pub(crate) fn accepts(&self, value: &str) -> bool {
        match &self.test {
            ValueTest::Equal(wanted) => value == wanted,
            ValueTest::NotEqual(refused) => value != refused,
            ValueTest::Matches(wanted) => wanted.regex.is_match(value),
            ValueTest::MatchesNot(refused) => !refused.regex.is_match(value),
        }
    }
}

impl SizedRegex {
    fn of(pattern: &str) -> Result<Self, regex::Error> {
        let mut bytes = REGEX_BYTES_FIRST;
        loop {
            match anchored(pattern, bytes) {
                Ok(regex) => return Ok(Self { regex, bytes }),
                Err(regex::Error::CompiledTooBig(_)) if bytes < REGEX_BYTES_MAX => bytes *= 2,
                Err(error) => return Err(error),
            }
        }
    }
}

/// The expression for the whole value.
fn anchored(pattern: &str, bytes_max: usize) -> Result<Regex, regex::Error> {
    // Alone first: an unbalanced expression such as `a)|(b` would leave the anchors.
    limited(pattern, bytes_max)?;
    let anchored = limited(&format!("^(?:{pattern})$"), bytes_max);
    match anchored {
        // It ends in a comment, `(?x) a # b`, which took in the anchor.
        Err(regex::Error::Syntax(_)) => limited(&format!("^(?:{pattern}\n)$"), bytes_max),
        anchored => anchored,
    }
}

fn limited(pattern: &str, bytes_max: usize) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .size_limit(bytes_max)
        .dfa_size_limit(SEARCH_BYTES_MAX)
        .build()
}
