//! What tests say of one value, and whether it could be so. What is not known to be impossible is taken to be possible.

use std::cmp::Ordering;
use std::ops::RangeInclusive;

use crate::condition::{Limit, Literal, Literals, Member, Operator, Order, PatternTest, Test};
use crate::facts::Seen;
use crate::moment::{TimeField, WEEKDAYS};
use crate::path::{ActionField, Path, Source};

/// That an operator holds of the value behind a path, or that it does not.
#[derive(Clone, Copy)]
pub(super) struct Claim<'c> {
    pub(super) test: &'c Test,
    pub(super) holds: bool,
}

/// Tells the values that rules see apart, as [`Path`]s do.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Subject<'c> {
    Field(ActionField),
    Label(&'c str),
    TraceItem(&'c str),
    Payload(u32),
    Time(u32, TimeField),
    Now,
    Environment(&'c str),
}

impl<'c> Subject<'c> {
    pub(super) fn of(path: &'c Path) -> Self {
        match &path.source {
            Source::Field(field) => Self::Field(*field),
            Source::Label(label) => Self::Label(&label.key),
            Source::TraceItem(item) => Self::TraceItem(item),
            Source::Payload(path) => Self::Payload(path.number),
            Source::Time(zone, field) => Self::Time(*zone, *field),
            Source::Now => Self::Now,
            Source::Environment(_) => Self::Environment(path.text()),
        }
    }

    /// The kinds of value that it can have.
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

    /// All that it can be, when that is little.
    fn values(self) -> Option<Vec<Seen<'c>>> {
        let numbers = |all: RangeInclusive<i64>| all.map(|n| Seen::Number(n.into())).collect();
        let Self::Time(_, field) = self else {
            return None;
        };
        Some(match field {
            TimeField::Hour => numbers(0..=23),
            TimeField::Minute | TimeField::Second => numbers(0..=59),
            TimeField::Day => numbers(1..=31),
            TimeField::Month => numbers(1..=12),
            TimeField::WeekdayNumber => numbers(1..=7),
            TimeField::Weekday => WEEKDAYS.map(|day| Seen::Text(day.as_bytes())).to_vec(),
            TimeField::Year | TimeField::Timestamp => return None,
        })
    }
}

/// A set of kinds of value, a bit for each.
type Kinds = u8;
const NOTHING: Kinds = 1;
const BOOL: Kinds = 2;
const NUMBER: Kinds = 4;
const TEXT: Kinds = 8;
const LIST: Kinds = 16;
const OBJECT: Kinds = 32;
const ANYTHING: Kinds = 63;

/// Whether no value satisfies all these claims, which are of one subject.
pub(super) fn contradict(subject: Subject<'_>, claims: &[Claim<'_>]) -> bool {
    let mut lists = claims.iter().filter_map(Claim::values);
    if let Some(values) = subject.values().or_else(|| lists.next()) {
        let fits = |value: &Seen<'_>| {
            kind(*value) & subject.kinds() != 0 && claims.iter().all(|claim| claim.allows(*value))
        };
        return !values.iter().any(fits);
    }
    let common = claims
        .iter()
        .fold(subject.kinds(), |kinds, claim| kinds & claim.kinds());
    let pairs = || {
        claims
            .iter()
            .enumerate()
            .flat_map(|(at, a)| claims[..at].iter().map(move |b| (a, b)))
    };
    common == 0 || pairs().any(|(a, b)| a.excludes(b) || b.excludes(a))
}

fn kind(value: Seen<'_>) -> Kinds {
    match value {
        Seen::Nothing => NOTHING,
        Seen::Bool(_) => BOOL,
        Seen::Number(_) => NUMBER,
        Seen::Text(_) => TEXT,
        Seen::List(_) => LIST,
        Seen::Object(_) => OBJECT,
    }
}

fn seen(literal: &Literal) -> Seen<'_> {
    match literal {
        Literal::Null => Seen::Nothing,
        Literal::Bool(flag) => Seen::Bool(*flag),
        Literal::Number(number) => Seen::Number(*number),
        Literal::Text(text) => Seen::Text(text.as_bytes()),
    }
}

fn each(literals: &Literals) -> Vec<Seen<'_>> {
    let texts = literals
        .texts
        .iter()
        .map(|text| Seen::Text(text.as_bytes()));
    texts.chain(literals.others.iter().map(seen)).collect()
}

impl<'c> Claim<'c> {
    pub(super) fn subject(&self) -> Subject<'c> {
        Subject::of(&self.test.path)
    }

    fn allows(&self, value: Seen<'_>) -> bool {
        self.test.operator.holds(value) == self.holds
    }

    /// All that the value can be, if that is a list.
    pub(super) fn values(&self) -> Option<Vec<Seen<'c>>> {
        match (&self.test.operator, self.holds) {
            (Operator::Eq(literal), true) | (Operator::Ne(literal), false) => {
                Some(vec![seen(literal)])
            }
            (Operator::In(literals), true) | (Operator::NotIn(literals), false) => {
                Some(each(literals))
            }
            (Operator::Exists(there), holds) if *there != holds => Some(vec![Seen::Nothing]),
            (Operator::Matches(pattern), true) => match &pattern.test {
                PatternTest::Is(text) => Some(vec![Seen::Text(text.as_bytes())]),
                _ => None,
            },
            _ => None,
        }
    }

    /// The kinds of value that could satisfy it.
    fn kinds(&self) -> Kinds {
        match (&self.test.operator, self.holds) {
            (Operator::Exists(_), _) => ANYTHING & !NOTHING,
            (_, false) => ANYTHING,
            (Operator::Order(_, Limit::Number(_)), true) => NUMBER,
            (Operator::Contains(Member { part: None, .. }), true) => LIST,
            (Operator::Contains(_), true) => TEXT | LIST,
            (Operator::Order(..) | Operator::Matches(_), true) => TEXT,
            (Operator::StartsWith(_) | Operator::EndsWith(_), true) => TEXT,
            _ => ANYTHING,
        }
    }

    /// Whether no value satisfies both. Both claims list no values.
    fn excludes(&self, other: &Self) -> bool {
        let (a, b) = (
            Form::of(&self.test.operator),
            Form::of(&other.test.operator),
        );
        match (self.holds, other.holds) {
            (true, true) => a.excludes(b),
            (true, false) => a.implies(b),
            (false, _) => false,
        }
    }
}

/// What an operator asks of a value.
#[derive(Clone, Copy)]
enum Form<'c> {
    Order(Order, &'c Limit),
    Starts(&'c [u8]),
    Ends(&'c [u8]),
    /// A text has this part.
    Part(&'c [u8]),
    Member(&'c Member),
    Pattern(&'c str),
    /// Nothing to compare with.
    Other,
}

impl<'c> Form<'c> {
    fn of(operator: &'c Operator) -> Self {
        match operator {
            Operator::Order(order, limit) => Self::Order(*order, limit),
            Operator::StartsWith(start) => Self::Starts(start.as_bytes()),
            Operator::EndsWith(end) => Self::Ends(end.as_bytes()),
            Operator::Contains(member) => Self::Member(member),
            Operator::Matches(pattern) => match &pattern.test {
                PatternTest::Starts(start) => Self::Starts(start.as_bytes()),
                PatternTest::Ends(end) => Self::Ends(end.as_bytes()),
                PatternTest::Has(part) => Self::Part(part.needle()),
                PatternTest::Is(_) | PatternTest::Regex(_) => Self::Pattern(&pattern.text),
            },
            _ => Self::Other,
        }
    }

    /// Whether no value is both.
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

    /// Whether every value that is the one is the other, too.
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
            (Self::Member(a), Self::Member(b)) => is_same(&a.literal, &b.literal),
            (Self::Starts(a) | Self::Ends(a) | Self::Part(a), Self::Part(b)) => has(a, b),
            (Self::Starts(a) | Self::Ends(a) | Self::Part(a), Self::Member(b)) => {
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
        (Literal::Number(a), Literal::Number(b)) => a.equals(*b),
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

/// None when they limit values of different kinds.
fn compare(a: &Limit, b: &Limit) -> Option<Ordering> {
    match (a, b) {
        (Limit::Number(a), Limit::Number(b)) => a.compare(*b),
        (Limit::Text(a), Limit::Text(b)) => Some(a.cmp(b)),
        _ => None,
    }
}
