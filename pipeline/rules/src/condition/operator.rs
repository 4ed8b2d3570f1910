//! The operators of conditions. For a value that is absent, null or of another type, every operator is false except
//! `ne`, `not_in` and `exists: false`; `eq: null` and a null in a list match null and absent values.

use std::cmp::Ordering;
use std::fmt;

use memchr::memmem::Finder;

use crate::json;
use crate::number::NumberLiteral;
use crate::pattern::{TextPattern, finder};
use crate::value::{FactValue, with_value};

#[derive(Debug)]
pub(crate) enum Operator {
    Eq(Literal),
    Ne(Literal),
    Order(Order, Limit),
    Contains(Needle),
    StartsWith(Box<str>),
    EndsWith(Box<str>),
    Matches(TextPattern),
    In(Literals),
    NotIn(Literals),
    Exists(bool),
}

/// A value written in a rule.
#[derive(Clone, Debug)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Number(NumberLiteral),
    Text(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Gt,
    Gte,
    Lt,
    Lte,
}

/// The operand of `gt`, `gte`, `lt` and `lte`.
#[derive(Debug)]
pub(crate) enum Limit {
    Number(NumberLiteral),
    Text(Box<str>),
}

/// The operand of `contains`: a member of a list or, if it is text, also a part of a text.
#[derive(Debug)]
pub(crate) struct Needle {
    pub(crate) literal: Literal,
    pub(crate) part: Option<Box<Finder<'static>>>,
}

/// The values of `in`, the texts sorted.
#[derive(Debug, Default)]
pub(crate) struct Literals {
    pub(crate) texts: Box<[Box<str>]>,
    pub(crate) others: Box<[Literal]>,
}

impl Needle {
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
        let mut texts = Vec::new();
        let mut others = Vec::new();
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
    pub(crate) fn holds(&self, value: FactValue<'_>) -> bool {
        match self {
            Self::Eq(literal) => literal.equals(value),
            Self::Ne(literal) => !literal.equals(value),
            Self::Order(order, limit) => limit.compare(value).is_some_and(|o| order.allows(o)),
            Self::Contains(member) => member.is_in(value),
            Self::StartsWith(start) => text(value).is_some_and(|t| t.starts_with(start.as_bytes())),
            Self::EndsWith(end) => text(value).is_some_and(|t| t.ends_with(end.as_bytes())),
            Self::Matches(pattern) => text(value).is_some_and(|t| pattern.test.holds(t)),
            Self::In(literals) => literals.have(value),
            Self::NotIn(literals) => !literals.have(value),
            Self::Exists(expected) => *expected != matches!(value, FactValue::Nothing),
        }
    }
}

fn text(value: FactValue<'_>) -> Option<&[u8]> {
    match value {
        FactValue::Text(text) => Some(text),
        _ => None,
    }
}

impl Literal {
    fn equals(&self, value: FactValue<'_>) -> bool {
        match (self, value) {
            (Self::Text(expected), FactValue::Text(text)) => expected.as_bytes() == text,
            (Self::Number(expected), FactValue::Number(number)) => expected.get().equals(number),
            (Self::Bool(expected), FactValue::Bool(flag)) => *expected == flag,
            (Self::Null, FactValue::Nothing) => true,
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
    /// Compares the value with the limit. UTF-8 bytes sort like code points.
    fn compare(&self, value: FactValue<'_>) -> Option<Ordering> {
        match (self, value) {
            (Self::Number(limit), FactValue::Number(number)) => number.compare(limit.get()),
            (Self::Text(limit), FactValue::Text(text)) => Some(text.cmp(limit.as_bytes())),
            _ => None,
        }
    }
}

impl Needle {
    fn is_in(&self, value: FactValue<'_>) -> bool {
        match (value, &self.part) {
            (FactValue::Text(text), Some(part)) => part.find(text).is_some(),
            (FactValue::List(list), _) => {
                json::items(list).any(|item| with_value(item, |value| self.literal.equals(value)))
            }
            _ => false,
        }
    }
}

/// Up to this many texts are compared one by one, which is faster than binary search: most differ in length.
const FEW: usize = 8;

impl Literals {
    fn have(&self, value: FactValue<'_>) -> bool {
        match value {
            FactValue::Text(text) => {
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
    /// As in a rule file: `gt: 100`.
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
    /// The first few values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let texts = self.texts.iter().map(|text| format!("{text:?}"));
        let mut all = texts.chain(self.others.iter().map(ToString::to_string));
        let shown: Vec<_> = all.by_ref().take(SHOWN).collect();
        let more = if all.next().is_some() { ", ..." } else { "" };
        write!(f, "[{}{more}]", shown.join(", "))
    }
}
