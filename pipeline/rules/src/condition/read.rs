//! From the tree of a file to a [`Condition`], in which every key is known, every operand has its type and every path
//! is resolved.

use super::operator::{Limit, Literal, Literals, Needle, Operator, Order};
use super::{Condition, Test};
use crate::cel::CelReader;
use crate::fields::{Fields, expected};
use crate::load::LoadTables;
use crate::pattern::{PatternTable, TextPattern};
use crate::problems::{FileProblems, one_of, unknown};
use crate::yaml::{Data, MappingKey, Node};

/// How deep conditions may nest.
pub(super) const DEPTH_MAX: usize = 32;

pub(crate) const STRUCTURE: [&str; 4] = ["all", "any", "not", "cel"];
/// The keys that name the subject of operators, each with the keys that belong to it.
pub(crate) const SUBJECTS: [(&str, &[&str]); 4] = [
    ("field", &[]),
    ("state_seen", &["within_seconds"]),
    ("state_counter", &["within_seconds"]),
    ("call", &["args", "grace_seconds"]),
];
pub(crate) const OPERATORS: [&str; 15] = [
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
const A_SCALAR: &str = "a string, a number, a boolean or null";

/// Reads the conditions of one rule.
pub(crate) struct ConditionReader<'r> {
    pub(crate) tables: &'r mut LoadTables,
    pub(crate) zone: u32,
    pub(crate) problems: &'r mut FileProblems,
}

impl ConditionReader<'_> {
    /// None if anything is wrong; the problems say what.
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
            return self.cel(node);
        }
        let what = "a condition (a mapping, or CEL in a string)";
        let fields = Fields::of(node, what, self.problems)?;
        let subjects = self.subjects(&fields);
        let mut parts = Vec::new();
        let mut whole = true;
        for (key, value) in fields.iter() {
            let part = match key.text.as_str() {
                // It is unknown which of the subjects an operator belongs to.
                name if subjects.len() > 1 && subjects.contains(&name) => None,
                "all" => self.list(value, depth).map(Condition::All),
                "any" => self.list(value, depth).map(Condition::Any),
                "not" => self
                    .nested(value, depth + 1)
                    .map(|c| Condition::Not(Box::new(c))),
                "cel" => self.cel(value),
                "field" => self.tests(&fields, value),
                "state_seen" => self.state_seen(&fields, value),
                "state_counter" => self.state_counter(&fields, value),
                "call" => self.call(&fields, value),
                name if subjects.iter().any(|subject| belongs_to(subject, name)) => continue,
                _ => self.stray(key),
            };
            whole &= part.is_some();
            parts.extend(part);
        }
        if parts.is_empty() && whole {
            let message = format!("the condition is empty; expected {}", one_of(&beginnings()));
            self.problems.at(node.place, message);
            return None;
        }
        whole.then(|| combined(parts))
    }

    /// The subjects in this mapping. More than one is a problem.
    fn subjects<'n>(&mut self, fields: &Fields<'n>) -> Vec<&'n str> {
        let is_subject = |key: &&MappingKey| SUBJECTS.iter().any(|(name, _)| *name == key.text);
        let found: Vec<_> = fields
            .iter()
            .map(|(key, _)| key)
            .filter(is_subject)
            .collect();
        for (first, second) in found.iter().zip(found.iter().skip(1)) {
            let name = &second.text;
            let beside = &first.text;
            let message = format!(
                "`{name}` cannot be combined with `{beside}`; put them in a list under `all`"
            );
            self.problems.at(second.place, message);
        }
        found.iter().map(|key| key.text.as_str()).collect()
    }

    fn stray(&mut self, key: &MappingKey) -> Option<Condition> {
        let name = key.text.as_str();
        let owners = SUBJECTS.into_iter().filter(|(_, own)| own.contains(&name));
        let owners: Vec<_> = owners.map(|(owner, _)| format!("`{owner}`")).collect();
        let message = if is_operator(name) {
            format!("the operator `{name}` needs a `field`")
        } else if owners.is_empty() {
            let known: Vec<_> = OPERATORS.into_iter().chain(beginnings()).collect();
            unknown("operator", name, &known)
        } else {
            format!("`{name}` needs {}", owners.join(" or "))
        };
        self.problems.at(key.place, message);
        None
    }

    /// A CEL expression.
    fn cel(&mut self, node: &Node) -> Option<Condition> {
        let text = node.text("an expression (a string)", self.problems)?;
        let mut reader = CelReader {
            tables: self.tables,
            zone: self.zone,
        };
        match reader.condition(text) {
            Ok(condition) => Some(condition),
            Err(problem) => {
                problem.report(node, self.problems);
                None
            }
        }
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
        let path = text.and_then(|text| match self.tables.paths.path(text, self.zone) {
            Ok(path) => Some(path),
            Err(message) => {
                self.problems.at(field.place, message);
                None
            }
        });
        let operators = self.operators(fields, "field");
        let path = path?;
        let test = |operator| {
            Condition::Test(Test {
                path: path.clone(),
                operator,
            })
        };
        Some(combined(operators?.into_iter().map(test).collect()))
    }

    /// The operators in a mapping; there must be at least one.
    pub(super) fn operators(
        &mut self,
        fields: &Fields<'_>,
        subject: &str,
    ) -> Option<Box<[Operator]>> {
        let named: Vec<_> = fields
            .iter()
            .filter(|(k, _)| is_operator(&k.text))
            .collect();
        let read: Vec<_> = named
            .iter()
            .map(|(key, value)| {
                operator(&key.text, value, &mut self.tables.patterns, self.problems)
            })
            .collect();
        if named.is_empty() {
            // An unknown key is probably a misspelt operator, and is reported elsewhere.
            if fields.iter().all(|(key, _)| is_known(&key.text)) {
                let message = format!(
                    "`{subject}` needs an operator; expected one of {}",
                    OPERATORS.join(", ")
                );
                self.problems.at(fields.place, message);
            }
            return None;
        }
        read.into_iter().collect()
    }
}

pub(super) fn is_operator(name: &str) -> bool {
    OPERATORS.contains(&name)
}

/// Whether a key other than an operator is allowed in a condition.
fn is_known(key: &str) -> bool {
    let mut subjects = SUBJECTS.into_iter();
    STRUCTURE.contains(&key) || subjects.any(|(name, own)| name == key || own.contains(&key))
}

/// The keys that a condition may begin with.
fn beginnings() -> Vec<&'static str> {
    let subjects = SUBJECTS.into_iter().map(|(name, _)| name);
    STRUCTURE.into_iter().chain(subjects).collect()
}

/// Whether a key belongs to the subject.
fn belongs_to(subject: &str, key: &str) -> bool {
    let own = SUBJECTS.iter().find(|(name, _)| *name == subject);
    is_operator(key) || own.is_some_and(|(_, own)| own.contains(&key))
}

/// All of them; a single one without an `all` around it.
fn combined(mut parts: Vec<Condition>) -> Condition {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            Condition::All(parts.into())
        }
    }
}

fn operator(
    name: &str,
    node: &Node,
    patterns: &mut PatternTable,
    problems: &mut FileProblems,
) -> Option<Operator> {
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
        "matches" | "regex" => pattern(node, patterns, problems).map(Operator::Matches),
        "in" | "in_list" => literals(node, problems).map(Operator::In),
        "not_in" => literals(node, problems).map(Operator::NotIn),
        _ => node.flag(problems).map(Operator::Exists),
    }
}

fn literal(node: &Node, what: &str, problems: &mut FileProblems) -> Option<Literal> {
    match &node.data {
        Data::Null => Some(Literal::Null),
        Data::Bool(flag) => Some(Literal::Bool(*flag)),
        Data::Number(number) => Some(Literal::Number(number.clone())),
        Data::Text(text) => Some(Literal::Text(text.as_str().into())),
        Data::List(_) | Data::Map(_) => expected(node, what, problems),
    }
}

fn limit(node: &Node, problems: &mut FileProblems) -> Option<Limit> {
    match &node.data {
        Data::Number(number) => Some(Limit::Number(number.clone())),
        Data::Text(text) => Some(Limit::Text(text.as_str().into())),
        _ => expected(node, "a number or a string", problems),
    }
}

fn member(node: &Node, problems: &mut FileProblems) -> Option<Needle> {
    let what = "a string, a number or a boolean";
    match literal(node, what, problems)? {
        Literal::Null => expected(node, what, problems),
        Literal::Text(text) => Some(Needle::of_text(&text)),
        literal => Some(Needle {
            literal,
            part: None,
        }),
    }
}

fn literals(node: &Node, problems: &mut FileProblems) -> Option<Literals> {
    let items = node.list("a list", problems)?;
    let read: Vec<_> = items
        .iter()
        .map(|item| literal(item, A_SCALAR, problems))
        .collect();
    let all: Option<Vec<_>> = read.into_iter().collect();
    all.map(Literals::of)
}

fn pattern(
    node: &Node,
    patterns: &mut PatternTable,
    problems: &mut FileProblems,
) -> Option<TextPattern> {
    let text = node.text("a regular expression (a string)", problems)?;
    match patterns.compile(text) {
        Ok(pattern) => Some(pattern),
        Err(message) => {
            problems.at(node.place, message);
            None
        }
    }
}
