//! From the text of a test file to its tests, or to all its problems. `read/step.rs` reads steps, `read/silence.rs` silences,
//! `read/expect.rs` expectations.

mod expect;
mod silence;
mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use acteon_core::decode::{Defaults, NAME_BYTES_MAX};
use acteon_core::silence::SILENCE_RULE_PREFIX;
use acteon_rules::RuleFile;
use acteon_rules::reading::{
    Data, Fields, FileProblems, LineColumn, Node, Number, quoted, read, unknown,
};
use compact_str::CompactString;
use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::case::{Setup, TestCase, TimelineStep};

/// How many tests one file may contain.
const TESTS_MAX: usize = 10_000;
/// How many steps one test may have.
const STEPS_MAX: usize = 10_000;
/// How many actions one test may dispatch.
const DISPATCHES_MAX: u64 = 100_000;
/// The default start of a test: a Monday, nine in the morning.
const DEFAULT_START: &str = "2026-01-05T09:00:00Z";
const DEFAULTS: [&str; 4] = ["namespace", "tenant", "provider", "action_type"];

/// The names that a test may use.
pub(crate) struct KnownNames<'k> {
    /// `None` if the rules are broken, so that their names are unknown.
    pub(crate) rules: Option<Vec<&'k str>>,
    /// `None` if any name is allowed.
    pub(crate) providers: Option<Vec<&'k str>>,
}

/// The valid tests of a file; the problems list what is wrong with the others.
pub(crate) fn tests(
    file: &RuleFile,
    known: &KnownNames<'_>,
    problems: &mut FileProblems,
) -> Vec<TestCase> {
    if file.text.len() > RuleFile::BYTES_MAX {
        let message = format!("a test file may be {} bytes long", RuleFile::BYTES_MAX);
        problems.at(LineColumn { line: 1, column: 1 }, message);
        return Vec::new();
    }
    let cases = read(&file.text, "the key `tests`", problems).and_then(|root| {
        refuse_long_numbers(&root, problems);
        let fields = Fields::of(&root, "a mapping with the key `tests`", problems)?;
        fields.only("key", &["defaults", "tests"], problems);
        let mut reader = Reader {
            known,
            problems,
            defaults: Defaults::default(),
        };
        reader.defaults = reader.defaults(&fields).unwrap_or_default();
        reader.cases(&fields)
    });
    cases.unwrap_or_default()
}

/// Reads one file.
struct Reader<'r> {
    known: &'r KnownNames<'r>,
    problems: &'r mut FileProblems,
    defaults: Defaults,
}

impl Reader<'_> {
    fn defaults(&mut self, root: &Fields<'_>) -> Option<Defaults> {
        let what = "a mapping of defaults";
        let fields = Fields::of(root.get("defaults")?, what, self.problems)?;
        fields.only("default", &DEFAULTS, self.problems);
        let mut text = |key: &str| -> Option<CompactString> {
            Some(fields.get(key)?.text("a string", self.problems)?.into())
        };
        Some(Defaults {
            namespace: text("namespace"),
            tenant: text("tenant"),
            provider: text("provider"),
            action_type: text("action_type"),
        })
    }

    fn cases(&mut self, root: &Fields<'_>) -> Option<Vec<TestCase>> {
        let node = root.required("tests", self.problems)?;
        let items = node.list("a list of tests", self.problems)?;
        if items.len() > TESTS_MAX {
            let message = format!("more than {TESTS_MAX} tests in one file");
            self.problems.at(node.place, message);
            return None;
        }
        let mut lines = BTreeMap::new();
        let cases = items.iter().filter_map(|item| {
            let case = self.case(item)?;
            if let Some(line) = lines.insert(case.name.clone(), case.place.line) {
                let name = quoted(&case.name);
                let message = format!("the name {name} is taken by the test in line {line}");
                self.problems.at(case.place, message);
            }
            Some(case)
        });
        Some(cases.collect())
    }

    fn case(&mut self, node: &Node) -> Option<TestCase> {
        let fields = Fields::of(node, "a test (a mapping)", self.problems)?;
        fields.only(
            "key",
            &["name", "start", "given", "timeline"],
            self.problems,
        );
        let name = self.name(&fields);
        let start = match fields.get("start") {
            None => DEFAULT_START.parse().ok(),
            Some(node) => self.time(node),
        };
        let setup = match fields.get("given") {
            None => Some(Setup::default()),
            Some(node) => self.setup(node),
        };
        let timeline = self.timeline(&fields, start.unwrap_or_default());
        Some(TestCase {
            name: name?,
            place: node.place,
            start: start?,
            setup: setup?,
            timeline: timeline?,
        })
    }

    fn name(&mut self, fields: &Fields<'_>) -> Option<String> {
        let node = fields.required("name", self.problems)?;
        let name = node.text("a string", self.problems)?;
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
            let message =
                format!("a name has 1 to {NAME_BYTES_MAX} bytes and no control characters");
            self.problems.at(node.place, message);
            return None;
        }
        Some(name.to_owned())
    }

    fn time(&mut self, node: &Node) -> Option<Timestamp> {
        let what = "a time with its zone, such as `2026-01-05T09:00:00Z`";
        let text = node.text(what, self.problems)?;
        let time = text.parse().ok();
        if time.is_none() {
            let message = format!("expected {what}, found {}", quoted(text));
            self.problems.at(node.place, message);
        }
        time
    }

    fn timeline(&mut self, fields: &Fields<'_>, start: Timestamp) -> Option<Vec<TimelineStep>> {
        let node = fields.required("timeline", self.problems)?;
        let items = node.list("a list of steps", self.problems)?;
        if items.is_empty() || items.len() > STEPS_MAX {
            let message = format!("a timeline has 1 to {STEPS_MAX} steps");
            self.problems.at(node.place, message);
            return None;
        }
        let read: Vec<_> = items.iter().map(|item| self.step(item, start)).collect();
        let steps: Vec<TimelineStep> = read.into_iter().collect::<Option<_>>()?;
        self.check_order(&steps);
        let dispatches: u64 = steps.iter().map(|step| u64::from(step.dispatches())).sum();
        if dispatches > DISPATCHES_MAX {
            let message = format!("more than {DISPATCHES_MAX} actions in one test");
            self.problems.at(node.place, message);
        }
        Some(steps)
    }

    fn check_order(&mut self, steps: &[TimelineStep]) {
        for pair in steps.windows(2) {
            if pair[1].at < pair[0].at {
                let message = format!(
                    "{} is before the step above it, {}: the steps of a timeline must be in order",
                    crate::duration::shown(pair[1].at),
                    crate::duration::shown(pair[0].at)
                );
                self.problems.at(pair[1].place, message);
            }
        }
    }

    /// The name of a provider; a configured one, if any are configured.
    fn provider(&mut self, place: LineColumn, name: &str) -> Option<CompactString> {
        self.is_known("provider", place, name, self.known.providers.as_deref())
            .then(|| name.into())
    }

    /// The name of an existing rule.
    fn rule(&mut self, node: &Node) -> Option<String> {
        let name = node.text("the name of a rule", self.problems)?;
        if name.starts_with(SILENCE_RULE_PREFIX) {
            return Some(name.to_owned());
        }
        self.is_known("rule", node.place, name, self.known.rules.as_deref())
            .then(|| name.to_owned())
    }

    fn is_known(&mut self, what: &str, at: LineColumn, name: &str, known: Option<&[&str]>) -> bool {
        let wrong = known.filter(|known| !known.contains(&name));
        if let Some(known) = wrong {
            self.problems.at(at, unknown(what, name, known));
        }
        wrong.is_none()
    }
}

/// Tests compare payloads as trees, whose numbers hold 64 bits.
fn refuse_long_numbers(node: &Node, problems: &mut FileProblems) {
    match &node.data {
        Data::Number(number) if matches!(number.get(), Number::Long(_)) => {
            let message = format!("`{number}` has more digits than a test can hold");
            problems.at(node.place, message);
        }
        Data::List(items) => {
            for item in items {
                refuse_long_numbers(item, problems);
            }
        }
        Data::Map(entries) => {
            for (_, item) in entries {
                refuse_long_numbers(item, problems);
            }
        }
        _ => {}
    }
}

/// A value in a file as JSON.
fn json(node: &Node) -> Value {
    match &node.data {
        Data::Null => Value::Null,
        Data::Bool(flag) => Value::Bool(*flag),
        Data::Number(number) => number.get().to_json(),
        Data::Text(text) => Value::String(text.clone()),
        Data::List(items) => Value::Array(items.iter().map(json).collect()),
        Data::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, node)| (key.text.clone(), json(node)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}
