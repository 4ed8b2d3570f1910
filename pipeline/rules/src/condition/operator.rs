//! The operators and what they say of a value. A value that is absent, null or of another type makes each of them
//! false but `ne`, `not_in` and `exists: false`; only `eq: null` (and a null in a list) is true of it.

use std::cmp::Ordering;
use std::fmt;

use memchr::memmem::Finder;
use regex::bytes::Regex;

use super::pattern::finder;
use crate::facts::{Seen, look_at};
use crate::json;
use crate::number::Number;

#[derive(Debug)]
pub(crate) enum Operator {
    Eq(Literal),
    Ne(Literal),
    Order(Order, Limit),
    Contains(Member),
    StartsWith(Box<str>),
    EndsWith(Box<str>),
    Matches(Pattern),
    In(Literals),
    NotIn(Literals),
    Exists(bool),
}

/// A value written in a rule.
#[derive(Clone, Debug)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Gt,
    Gte,
    Lt,
    Lte,
}

/// What `gt` and its like compare with.
#[derive(Debug)]
pub(crate) enum Limit {
    Number(Number),
    Text(Box<str>),
}

/// What `contains` looks for: a member of a list or, when it is text, also a part of a text.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) literal: Literal,
    pub(crate) part: Option<Box<Finder<'static>>>,
}

/// A regular expression, compiled to what it really asks.
#[derive(Debug)]
pub(crate) struct Pattern {
    pub(crate) text: Box<str>,
    pub(crate) test: PatternTest,
}

#[derive(Debug)]
pub(crate) enum PatternTest {
    Is(Box<str>),
    Starts(Box<str>),
    Ends(Box<str>),
    Has(Box<Finder<'static>>),
    Regex(Regex),
}

/// The values of `in`, the texts sorted.
#[derive(Debug, Default)]
pub(crate) struct Literals {
    pub(crate) texts: Box<[Box<str>]>,
    pub(crate) others: Box<[Literal]>,
}

impl Member {
    /// A part of a text, or a text in a list.
    pub(crate) fn of_text(text: &str) -> Self {
        Self {
            literal: Literal::Text(text.into()),
            part: Some(finder(text)),
        }
    }
}

impl Literals {
    pub(crate) fn of(all: Vec<Literal>) -> Self {
        let (mut texts, mut others) = (Vec::new(), Vec::new());
        for literal in all {
            match literal {
                Literal::Text(text) => texts.push(text),
                other => others.push(other),
            }
        }
        texts.sort_unstable();
        texts.dedup();
        Self {
            texts: texts.into(),
            others: others.into(),
        }
    }
}

impl Operator {
    pub(crate) fn holds(&self, seen: Seen<'_>) -> bool {
        match self {
            Self::Eq(literal) => literal.equals(seen),
            Self::Ne(literal) => !literal.equals(seen),
            Self::Order(order, limit) => limit.compare(seen).is_some_and(|o| order.allows(o)),
            Self::Contains(member) => member.is_in(seen),
            Self::StartsWith(start) => text(seen).is_some_and(|t| t.starts_with(start.as_bytes())),
            Self::EndsWith(end) => text(seen).is_some_and(|t| t.ends_with(end.as_bytes())),
            Self::Matches(pattern) => text(seen).is_some_and(|t| pattern.test.holds(t)),
            Self::In(literals) => literals.have(seen),
            Self::NotIn(literals) => !literals.have(seen),
            Self::Exists(expected) => *expected != matches!(seen, Seen::Nothing),
        }
    }
}

fn text(seen: Seen<'_>) -> Option<&[u8]> {
    match seen {
        Seen::Text(text) => Some(text),
        _ => None,
    }
}

impl Literal {
    fn equals(&self, seen: Seen<'_>) -> bool {
        match (self, seen) {
            (Self::Text(expected), Seen::Text(text)) => expected.as_bytes() == text,
            (Self::Number(expected), Seen::Number(number)) => expected.equals(number),
            (Self::Bool(expected), Seen::Bool(flag)) => *expected == flag,
            (Self::Null, Seen::Nothing) => true,
            _ => false,
        }
    }
}

impl Order {
    fn allows(self, ordering: Ordering) -> bool {
        match self {
            Self::Gt => ordering.is_gt(),
            Self::Gte => ordering.is_ge(),
            Self::Lt => ordering.is_lt(),
            Self::Lte => ordering.is_le(),
        }
    }
}

impl Limit {
    /// How the value stands to the limit. UTF-8 sorts by code point byte for byte.
    fn compare(&self, seen: Seen<'_>) -> Option<Ordering> {
        match (self, seen) {
            (Self::Number(limit), Seen::Number(number)) => number.compare(*limit),
            (Self::Text(limit), Seen::Text(text)) => Some(text.cmp(limit.as_bytes())),
            _ => None,
        }
    }
}

impl Member {
    fn is_in(&self, seen: Seen<'_>) -> bool {
        match (seen, &self.part) {
            (Seen::Text(text), Some(part)) => part.find(text).is_some(),
            (Seen::List(list), _) => {
                json::items(list).any(|item| look_at(item, |seen| self.literal.equals(seen)))
            }
            _ => false,
        }
    }
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

/// Among so few texts it is faster to look at each: most differ in length.
const FEW: usize = 8;

impl Literals {
    fn have(&self, seen: Seen<'_>) -> bool {
        match seen {
            Seen::Text(text) => {
                if self.texts.len() <= FEW {
                    return self.texts.iter().any(|known| known.as_bytes() == text);
                }
                let found = self
                    .texts
                    .binary_search_by(|known| known.as_bytes().cmp(text));
                found.is_ok()
            }
            other => self.others.iter().any(|literal| literal.equals(other)),
        }
    }
}

impl fmt::Display for Operator {
    /// As it could stand in a file: `gt: 100`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Eq(literal) => write!(f, "eq: {literal}"),
            Self::Ne(literal) => write!(f, "ne: {literal}"),
            Self::Order(order, Limit::Number(limit)) => write!(f, "{}: {limit}", order.name()),
            Self::Order(order, Limit::Text(limit)) => write!(f, "{}: {limit:?}", order.name()),
            Self::Contains(member) => write!(f, "contains: {}", member.literal),
            Self::StartsWith(start) => write!(f, "starts_with: {start:?}"),
            Self::EndsWith(end) => write!(f, "ends_with: {end:?}"),
            Self::Matches(pattern) => write!(f, "matches: {:?}", pattern.text),
            Self::In(literals) => write!(f, "in: {literals}"),
            Self::NotIn(literals) => write!(f, "not_in: {literals}"),
            Self::Exists(expected) => write!(f, "exists: {expected}"),
        }
    }
}

impl Order {
    fn name(self) -> &'static str {
        match self {
            Self::Gt => "gt",
            Self::Gte => "gte",
            Self::Lt => "lt",
            Self::Lte => "lte",
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

impl fmt::Display for Literals {
    /// The first few of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let texts = self.texts.iter().map(|text| format!("{text:?}"));
        let mut all = texts.chain(self.others.iter().map(ToString::to_string));
        let shown: Vec<_> = all.by_ref().take(SHOWN).collect();
        let more = if all.next().is_some() { ", ..." } else { "" };
        write!(f, "[{}{more}]", shown.join(", "))
    }
}
