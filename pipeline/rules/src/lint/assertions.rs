//! Assertions of tests about one value, and whether they contradict each other. They count as compatible unless they
//! certainly contradict.

use std::cmp::Ordering;
use std::ops::RangeInclusive;

use crate::condition::{Limit, Literal, Literals, Needle, Operator, Order, Test};
use crate::moment::{TimeField, WEEKDAYS};
use crate::path::{ActionField, FactPath, PathTarget};
use crate::pattern::PatternTest;
use crate::value::FactValue;

/// That an operator holds for the value of a path, or that it does not.
#[derive(Clone, Copy)]
pub(super) struct Assertion<'c> {
    pub(super) test: &'c Test,
    pub(super) holds: bool,
}

/// Identifies a value that rules see: equal paths have equal ids.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum FactId<'c> {
    Field(ActionField),
    Label(&'c str),
    TraceItem(&'c str),
    Payload(u32),
    Time(u32, TimeField),
    Now,
    Environment(&'c str),
}

impl<'c> FactId<'c> {
    pub(super) fn of(path: &'c FactPath) -> Self {
        match &path.target {
            PathTarget::Field(field) => Self::Field(*field),
            PathTarget::Label(label) => Self::Label(&label.key),
            PathTarget::TraceItem(item) => Self::TraceItem(item),
            PathTarget::Payload(path) => Self::Payload(path.number),
            PathTarget::Time(zone, field) => Self::Time(*zone, *field),
            PathTarget::Now => Self::Now,
            PathTarget::Environment(_) => Self::Environment(path.text()),
        }
    }

    /// The kinds of value it can have.
    fn kinds(self) -> Kinds {
        match self {
            Self::Payload(_) => ANYTHING,
            Self::Time(_, TimeField::Weekday) | Self::Environment(_) => TEXT,
            Self::Time(..) | Self::Now => NUMBER,
            Self::Label(_) | Self::TraceItem(_) => TEXT | NOTHING,
            Self::Field(ActionField::Metadata | ActionField::TraceContext) => OBJECT,
            Self::Field(
                ActionField::Id
                | ActionField::Namespace
                | ActionField::Tenant
                | ActionField::Provider
                | ActionField::ActionType
                | ActionField::CreatedAt,
            ) => TEXT,
            Self::Field(_) => TEXT | NOTHING,
        }
    }

    /// All its possible values, if there are few.
    fn values(self) -> Option<Vec<FactValue<'c>>> {
        let numbers = |all: RangeInclusive<i64>| all.map(|n| FactValue::Number(n.into())).collect();
        let Self::Time(_, field) = self else {
            return None;
        };
        Some(match field {
            TimeField::Hour => numbers(0..=23),
            TimeField::Minute | TimeField::Second => numbers(0..=59),
            TimeField::Day => numbers(1..=31),
            TimeField::Month => numbers(1..=12),
            TimeField::WeekdayNumber => numbers(1..=7),
            TimeField::Weekday => WEEKDAYS.map(|day| FactValue::Text(day.as_bytes())).to_vec(),
            TimeField::Year | TimeField::Timestamp => return None,
        })
    }
}

/// A set of kinds of value, one bit each.
type Kinds = u8;
const NOTHING: Kinds = 1;
const BOOL: Kinds = 2;
const NUMBER: Kinds = 4;
const TEXT: Kinds = 8;
const LIST: Kinds = 16;
const OBJECT: Kinds = 32;
const ANYTHING: Kinds = 63;

/// Whether no value satisfies all these assertions about one fact.
pub(super) fn contradict(fact: FactId<'_>, assertions: &[Assertion<'_>]) -> bool {
    let mut lists = assertions.iter().filter_map(Assertion::values);
    if let Some(values) = fact.values().or_else(|| lists.next()) {
        let fits = |value: &FactValue<'_>| {
            kind(*value) & fact.kinds() != 0
                && assertions.iter().all(|assertion| assertion.allows(*value))
        };
        return !values.iter().any(fits);
    }
    let common = assertions
        .iter()
        .fold(fact.kinds(), |kinds, assertion| kinds & assertion.kinds());
    let pairs = || {
        assertions
            .iter()
            .enumerate()
            .flat_map(|(at, a)| assertions[..at].iter().map(move |b| (a, b)))
    };
    common == 0 || pairs().any(|(a, b)| a.excludes(b) || b.excludes(a))
}

fn kind(value: FactValue<'_>) -> Kinds {
    match value {
        FactValue::Nothing => NOTHING,
        FactValue::Bool(_) => BOOL,
        FactValue::Number(_) => NUMBER,
        FactValue::Text(_) => TEXT,
        FactValue::List(_) => LIST,
        FactValue::Object(_) => OBJECT,
    }
}

fn value_of(literal: &Literal) -> FactValue<'_> {
    match literal {
        Literal::Null => FactValue::Nothing,
        Literal::Bool(flag) => FactValue::Bool(*flag),
        Literal::Number(number) => FactValue::Number(number.get()),
        Literal::Text(text) => FactValue::Text(text.as_bytes()),
    }
}

fn each(literals: &Literals) -> Vec<FactValue<'_>> {
    let texts = literals
        .texts
        .iter()
        .map(|text| FactValue::Text(text.as_bytes()));
    texts.chain(literals.others.iter().map(value_of)).collect()
}

impl<'c> Assertion<'c> {
    pub(super) fn fact(&self) -> FactId<'c> {
        FactId::of(&self.test.path)
    }

    fn allows(&self, value: FactValue<'_>) -> bool {
        self.test.operator.holds(value) == self.holds
    }

    /// All values that it allows, if it lists them.
    pub(super) fn values(&self) -> Option<Vec<FactValue<'c>>> {
        match (&self.test.operator, self.holds) {
            (Operator::Eq(literal), true) | (Operator::Ne(literal), false) => {
                Some(vec![value_of(literal)])
            }
            (Operator::In(literals), true) | (Operator::NotIn(literals), false) => {
                Some(each(literals))
            }
            (Operator::Exists(there), holds) if *there != holds => Some(vec![FactValue::Nothing]),
            (Operator::Matches(pattern), true) => match &pattern.test {
                PatternTest::Is(text) => Some(vec![FactValue::Text(text.as_bytes())]),
                _ => None,
            },
            _ => None,
        }
    }

    /// The kinds of value that can satisfy it.
    fn kinds(&self) -> Kinds {
        match (&self.test.operator, self.holds) {
            (Operator::Exists(_), _) => ANYTHING & !NOTHING,
            (_, false) => ANYTHING,
            (Operator::Order(_, Limit::Number(_)), true) => NUMBER,
            (Operator::Contains(Needle { part: None, .. }), true) => LIST,
            (Operator::Contains(_), true) => TEXT | LIST,
            (Operator::Order(..) | Operator::Matches(_), true) => TEXT,
            (Operator::StartsWith(_) | Operator::EndsWith(_), true) => TEXT,
            _ => ANYTHING,
        }
    }

    /// Whether no value satisfies both. Neither assertion lists its values.
    fn excludes(&self, other: &Self) -> bool {
        let a = Form::of(&self.test.operator);
        let b = Form::of(&other.test.operator);
        match (self.holds, other.holds) {
            (true, true) => a.excludes(b),
            (true, false) => a.implies(b),
            (false, _) => false,
        }
    }
}

/// The comparable form of an operator.
#[derive(Clone, Copy)]
enum Form<'c> {
    Order(Order, &'c Limit),
    Starts(&'c [u8]),
    Ends(&'c [u8]),
    /// A text contains this part.
    Part(&'c [u8]),
    Contains(&'c Needle),
    Pattern(&'c str),
    /// Not comparable with others.
    Other,
}

impl<'c> Form<'c> {
    fn of(operator: &'c Operator) -> Self {
        match operator {
            Operator::Order(order, limit) => Self::Order(*order, limit),
            Operator::StartsWith(start) => Self::Starts(start.as_bytes()),
            Operator::EndsWith(end) => Self::Ends(end.as_bytes()),
            Operator::Contains(member) => Self::Contains(member),
            Operator::Matches(pattern) => match &pattern.test {
                PatternTest::Starts(start) => Self::Starts(start.as_bytes()),
                PatternTest::Ends(end) => Self::Ends(end.as_bytes()),
                PatternTest::Has(part) => Self::Part(part.needle()),
                PatternTest::Is(_) | PatternTest::Regex(_) => Self::Pattern(&pattern.text),
            },
            _ => Self::Other,
        }
    }

    /// Whether no value satisfies both.
    fn excludes(self, other: Self) -> bool {
        match (self, other) {
            (Self::Order(a, low), Self::Order(b, high)) if is_lower(a) && !is_lower(b) => {
                match compare(low, high) {
                    Some(Ordering::Greater) => true,
                    Some(Ordering::Equal) => is_strict(a) || is_strict(b),
                    _ => false,
                }
            }
            (Self::Starts(a), Self::Starts(b)) => !a.starts_with(b) && !b.starts_with(a),
            (Self::Ends(a), Self::Ends(b)) => !a.ends_with(b) && !b.ends_with(a),
            _ => false,
        }
    }

    /// Whether every value that satisfies this one satisfies the other.
    fn implies(self, other: Self) -> bool {
        match (self, other) {
            (Self::Order(a, mine), Self::Order(b, theirs)) if is_lower(a) == is_lower(b) => {
                match compare(mine, theirs) {
                    Some(Ordering::Equal) => is_strict(a) || !is_strict(b),
                    Some(ordering) => ordering.is_gt() == is_lower(a),
                    None => false,
                }
            }
            (Self::Starts(a), Self::Starts(b)) => a.starts_with(b),
            (Self::Ends(a), Self::Ends(b)) => a.ends_with(b),
            (Self::Pattern(a), Self::Pattern(b)) => a == b,
            (Self::Contains(a), Self::Contains(b)) => is_same(&a.literal, &b.literal),
            (Self::Starts(a) | Self::Ends(a) | Self::Part(a), Self::Part(b)) => has(a, b),
            (Self::Starts(a) | Self::Ends(a) | Self::Part(a), Self::Contains(b)) => {
                b.part.as_ref().is_some_and(|part| has(a, part.needle()))
            }
            _ => false,
        }
    }
}

fn has(text: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(text, part).is_some()
}

fn is_same(a: &Literal, b: &Literal) -> bool {
    match (a, b) {
        (Literal::Text(a), Literal::Text(b)) => a == b,
        (Literal::Number(a), Literal::Number(b)) => a.get().equals(b.get()),
        (Literal::Bool(a), Literal::Bool(b)) => a == b,
        _ => false,
    }
}

fn is_lower(order: Order) -> bool {
    matches!(order, Order::Gt | Order::Gte)
}

fn is_strict(order: Order) -> bool {
    matches!(order, Order::Gt | Order::Lt)
}

/// None if they limit values of different kinds.
fn compare(a: &Limit, b: &Limit) -> Option<Ordering> {
    match (a, b) {
        (Limit::Number(a), Limit::Number(b)) => a.get().compare(b.get()),
        (Limit::Text(a), Limit::Text(b)) => Some(a.cmp(b)),
        _ => None,
    }
}
