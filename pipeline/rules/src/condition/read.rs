//! From the tree of a file to a [`Condition`]: every key known, every operand of its type, every path resolved.

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};

use super::operator::{Limit, Literal, Literals, Member, Operator, Order, Pattern, PatternTest};
use super::{Condition, Test};
use crate::fields::{Fields, expected};
use crate::path::Known;
use crate::problems::{Problems, unknown};
use crate::yaml::{Data, Key, Node};

/// How deep conditions may be nested.
pub(super) const DEPTH_MAX: usize = 32;
/// The longest regular expression, in bytes.
const PATTERN_BYTES_MAX: usize = 4096;
/// How much memory one compiled regular expression may take, in bytes.
const PATTERN_SIZE_MAX: usize = 1024 * 1024;

const STRUCTURE: [&str; 4] = ["all", "any", "not", "field"];
const OPERATORS: [&str; 15] = [
    "eq",
    "ne",
    "gt",
    "gte",
    "lt",
    "lte",
    "contains",
    "starts_with",
    "ends_with",
    "matches",
    "regex",
    "in",
    "in_list",
    "not_in",
    "exists",
];
/// Parts of the language that this version does not have yet.
const NOT_YET: [(&str, &str); 6] = [
    ("cel", "CEL"),
    ("call", "`call`"),
    ("args", "`call`"),
    ("state_seen", "`state_seen`"),
    ("within_seconds", "`state_seen`"),
    ("state_counter", "`state_counter`"),
];

const A_SCALAR: &str = "a string, a number, a boolean or null";

/// Reads the conditions of one rule.
pub(crate) struct ConditionReader<'r> {
    pub(crate) known: &'r mut Known,
    pub(crate) zone: u32,
    pub(crate) problems: &'r mut Problems,
}

impl ConditionReader<'_> {
    /// None when anything was wrong; what it was is among the problems.
    pub(crate) fn read(&mut self, node: &Node) -> Option<Condition> {
        self.nested(node, 1)
    }

    fn nested(&mut self, node: &Node, depth: usize) -> Option<Condition> {
        if depth > DEPTH_MAX {
            let message = format!("conditions are nested deeper than {DEPTH_MAX} levels");
            self.problems.at(node.place, message);
            return None;
        }
        if matches!(node.data, Data::Text(_)) {
            let message =
                "CEL is not supported yet; expected a mapping with `all`, `any`, `not` or `field`";
            self.problems.at(node.place, message);
            return None;
        }
        let fields = Fields::of(node, "a condition (a mapping)", self.problems)?;
        if self.is_not_yet(&fields) {
            return None;
        }
        let mut parts = Vec::new();
        let mut whole = true;
        for (key, value) in fields.iter() {
            let part = match key.text.as_str() {
                "all" => self.list(value, depth).map(Condition::All),
                "any" => self.list(value, depth).map(Condition::Any),
                "not" => self
                    .nested(value, depth + 1)
                    .map(|c| Condition::Not(Box::new(c))),
                "field" => self.tests(&fields, value),
                name if OPERATORS.contains(&name) && fields.get("field").is_some() => continue,
                _ => self.stray(key),
            };
            whole &= part.is_some();
            parts.extend(part);
        }
        if parts.is_empty() && whole {
            self.problems.at(
                node.place,
                "the condition is empty; expected `all`, `any`, `not` or `field`",
            );
            return None;
        }
        whole.then(|| combined(parts))
    }

    fn is_not_yet(&mut self, fields: &Fields<'_>) -> bool {
        for (key, _) in fields.iter() {
            if let Some((_, what)) = NOT_YET.iter().find(|(name, _)| *name == key.text) {
                self.problems
                    .at(key.place, format!("{what} is not supported yet"));
                return true;
            }
        }
        false
    }

    fn stray(&mut self, key: &Key) -> Option<Condition> {
        let message = if OPERATORS.contains(&key.text.as_str()) {
            format!("the operator `{}` stands without a `field`", key.text)
        } else {
            let known: Vec<_> = OPERATORS.into_iter().chain(STRUCTURE).collect();
            unknown("operator", &key.text, &known)
        };
        self.problems.at(key.place, message);
        None
    }

    fn list(&mut self, node: &Node, depth: usize) -> Option<Box<[Condition]>> {
        let items = node.list("a list of conditions", self.problems)?;
        let read: Vec<_> = items
            .iter()
            .map(|item| self.nested(item, depth + 1))
            .collect();
        read.into_iter().collect()
    }

    fn tests(&mut self, fields: &Fields<'_>, field: &Node) -> Option<Condition> {
        let text = field.text("a path, such as `action.payload.amount`", self.problems);
        let path = text.and_then(|text| match self.known.path(text, self.zone) {
            Ok(path) => Some(path),
            Err(message) => {
                self.problems.at(field.place, message);
                None
            }
        });
        let mut operators = Vec::new();
        let mut named = 0;
        for (key, value) in fields.iter() {
            if OPERATORS.contains(&key.text.as_str()) {
                named += 1;
                operators.extend(operator(&key.text, value, self.problems));
            }
        }
        if named == 0
            && fields
                .iter()
                .all(|(key, _)| STRUCTURE.contains(&key.text.as_str()))
        {
            let message = format!(
                "`field` stands without an operator; expected one of {}",
                OPERATORS.join(", ")
            );
            self.problems.at(fields.place, message);
        }
        let path = path.filter(|_| named > 0 && operators.len() == named)?;
        let test = |operator| {
            Condition::Test(Test {
                path: path.clone(),
                operator,
            })
        };
        Some(combined(operators.into_iter().map(test).collect()))
    }
}

/// All of them, without a layer around a single one.
fn combined(mut parts: Vec<Condition>) -> Condition {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            Condition::All(parts.into())
        }
    }
}

fn operator(name: &str, node: &Node, problems: &mut Problems) -> Option<Operator> {
    let mut text = || node.text("a string", problems).map(Box::from);
    match name {
        "eq" => literal(node, A_SCALAR, problems).map(Operator::Eq),
        "ne" => literal(node, A_SCALAR, problems).map(Operator::Ne),
        "gt" => limit(node, problems).map(|l| Operator::Order(Order::Gt, l)),
        "gte" => limit(node, problems).map(|l| Operator::Order(Order::Gte, l)),
        "lt" => limit(node, problems).map(|l| Operator::Order(Order::Lt, l)),
        "lte" => limit(node, problems).map(|l| Operator::Order(Order::Lte, l)),
        "contains" => member(node, problems).map(Operator::Contains),
        "starts_with" => text().map(Operator::StartsWith),
        "ends_with" => text().map(Operator::EndsWith),
        "matches" | "regex" => pattern(node, problems).map(Operator::Matches),
        "in" | "in_list" => literals(node, problems).map(Operator::In),
        "not_in" => literals(node, problems).map(Operator::NotIn),
        _ => node.flag(problems).map(Operator::Exists),
    }
}

fn literal(node: &Node, what: &str, problems: &mut Problems) -> Option<Literal> {
    match &node.data {
        Data::Null => Some(Literal::Null),
        Data::Bool(flag) => Some(Literal::Bool(*flag)),
        Data::Number(number) => Some(Literal::Number(*number)),
        Data::Text(text) => Some(Literal::Text(text.as_str().into())),
        Data::List(_) | Data::Map(_) => expected(node, what, problems),
    }
}

fn limit(node: &Node, problems: &mut Problems) -> Option<Limit> {
    match &node.data {
        Data::Number(number) => Some(Limit::Number(*number)),
        Data::Text(text) => Some(Limit::Text(text.as_str().into())),
        _ => expected(node, "a number or a string", problems),
    }
}

fn member(node: &Node, problems: &mut Problems) -> Option<Member> {
    let what = "a string, a number or a boolean";
    match literal(node, what, problems)? {
        Literal::Null => expected(node, what, problems),
        literal => Some(Member {
            part: match &literal {
                Literal::Text(text) => Some(finder(text)),
                _ => None,
            },
            literal,
        }),
    }
}

fn literals(node: &Node, problems: &mut Problems) -> Option<Literals> {
    let items = node.list("a list", problems)?;
    let (mut texts, mut others) = (Vec::new(), Vec::new());
    let mut whole = true;
    for item in items {
        match literal(item, A_SCALAR, problems) {
            Some(Literal::Text(text)) => texts.push(text),
            Some(other) => others.push(other),
            None => whole = false,
        }
    }
    texts.sort_unstable();
    texts.dedup();
    whole.then(|| Literals {
        texts: texts.into(),
        others: others.into(),
    })
}

fn pattern(node: &Node, problems: &mut Problems) -> Option<Pattern> {
    let text = node.text("a regular expression (a string)", problems)?;
    if text.len() > PATTERN_BYTES_MAX {
        let message = format!("a regular expression may be {PATTERN_BYTES_MAX} bytes long");
        problems.at(node.place, message);
        return None;
    }
    let test = plain_pattern(text).map_or_else(|| compiled(text).map(PatternTest::Regex), Ok);
    match test {
        Ok(test) => Some(Pattern {
            text: text.into(),
            test,
        }),
        Err(error) => {
            problems.at(node.place, pattern_message(&error));
            None
        }
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

fn finder(text: &str) -> Box<Finder<'static>> {
    Box::new(Finder::new(text.as_bytes()).into_owned())
}

fn compiled(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text)
        .size_limit(PATTERN_SIZE_MAX)
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
