//! Matchers, compiled for many actions.

use acteon_core::silence::{
    ACTION_TYPE, EVERY_NAME, MatchOp, PROVIDER, Silence, SilenceMatcher, SilenceSubject,
};
use compact_str::CompactString;
use regex::{Regex, RegexBuilder};

/// How much memory a compiled expression may take. There may be 32 in each of many silences.
const REGEX_BYTES_MAX: usize = 64 << 10;

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
    Matches(Regex),
    MatchesNot(Regex),
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
                MatchOp::Matches => ValueTest::Matches(anchored(value)?),
                MatchOp::MatchesNot => ValueTest::MatchesNot(anchored(value)?),
            },
        })
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
            ValueTest::Matches(wanted) => wanted.is_match(value),
            ValueTest::MatchesNot(refused) => !refused.is_match(value),
        }
    }
}

/// The expression for the whole value.
fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
    // Alone first: an unbalanced expression such as `a)|(b` would leave the anchors.
    limited(pattern)?;
    limited(&format!("^(?:{pattern})$"))
}

fn limited(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX)
        .build()
}
