//! From the tree of a file to a condition on the state: `state_seen`, `state_counter`, `call`.

use std::time::Duration;

use super::operator::{Literal, Operator};
use super::read::{ConditionReader, is_operator};
use super::{Condition, StateTest};
use crate::fields::{Fields, expected};
use crate::reads::{ReadTemplate, Reading};
use crate::template::Template;
use crate::yaml::{Data, Node};

/// How far back is counted when a rule does not say: a day.
pub(crate) const WITHIN_SECONDS: i64 = 24 * 60 * 60;
/// How far back can be counted: a year.
pub(crate) const WITHIN_SECONDS_MAX: i64 = 366 * 24 * 60 * 60;
pub(crate) const KEY_BYTES_MAX: usize = 1024;

pub(crate) const FUNCTIONS: [(&str, Function); 3] = [
    ("has_active_event", Function::HasActiveEvent),
    ("get_event_state", Function::GetEventState),
    ("event_in_state", Function::EventInState),
];

/// What reads events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    HasActiveEvent,
    GetEventState,
    EventInState,
}

impl Function {
    /// What it reads, and what it makes of the answer.
    ///
    /// # Errors
    /// What arguments it takes, when they are of another number.
    pub(crate) fn over(self, arguments: Vec<Template>) -> Result<(ReadTemplate, Reading), String> {
        let count = arguments.len();
        let mut arguments = arguments.into_iter();
        match (self, arguments.next(), arguments.next()) {
            (Self::HasActiveEvent, Some(event_type), value) if count <= 2 => {
                let read = ReadTemplate::ActiveEvent { event_type, value };
                Ok((read, Reading::Active))
            }
            (Self::GetEventState, Some(fingerprint), None) => {
                Ok((ReadTemplate::EventState { fingerprint }, Reading::State))
            }
            (Self::EventInState, Some(fingerprint), Some(state)) if count == 2 => {
                let read = ReadTemplate::EventState { fingerprint };
                Ok((read, Reading::InState(state)))
            }
            _ => Err(format!("`{}` takes {}", self.name(), self.signature())),
        }
    }

    fn name(self) -> &'static str {
        let mut all = FUNCTIONS.iter();
        let found = all.find(|(_, function)| *function == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether its answer is a value that operators are said of, and not the truth.
    pub(crate) fn is_compared(self) -> bool {
        self == Self::GetEventState
    }

    /// What it takes.
    pub(crate) fn signature(self) -> &'static str {
        match self {
            Self::HasActiveEvent => "an event type and, if you like, a value",
            Self::GetEventState => "a fingerprint",
            Self::EventInState => "a fingerprint and a state",
        }
    }
}

impl ConditionReader<'_> {
    /// `state_seen: "<key>"`
    pub(super) fn state_seen(&mut self, fields: &Fields<'_>, key: &Node) -> Option<Condition> {
        let within = fields.required("within_seconds", self.problems);
        let within = within.and_then(|node| self.within(node));
        let operators = self.no_operators(fields, "state_seen");
        let key = self.key_template(key);
        let (what, reading) = ("state_seen", Reading::Seen);
        self.tally((what, reading), key?, within?, operators?)
    }

    /// `state_counter: "<key>"` with operators.
    pub(super) fn state_counter(&mut self, fields: &Fields<'_>, key: &Node) -> Option<Condition> {
        let within = match fields.get("within_seconds") {
            Some(node) => self.within(node),
            None => Some(Duration::from_secs(WITHIN_SECONDS.unsigned_abs())),
        };
        let operators = self.operators(fields, "state_counter");
        let key = self.key_template(key);
        let (what, reading) = ("state_counter", Reading::Count);
        self.tally((what, reading), key?, within?, operators?)
    }

    /// `call: <function>` with `args` and, where it answers a state, operators.
    pub(super) fn call(&mut self, fields: &Fields<'_>, name: &Node) -> Option<Condition> {
        let function = name.word("function", &FUNCTIONS, self.problems);
        let node = fields.required("args", self.problems)?;
        let items = node.list("a list of arguments", self.problems)?;
        let read: Vec<_> = items.iter().map(|item| self.argument(item)).collect();
        let function = function?;
        let operators = if function.is_compared() {
            self.operators(fields, function.name())
        } else {
            self.no_operators(fields, function.name())
        };
        let arguments = read.into_iter().collect::<Option<Vec<_>>>()?;
        match function.over(arguments) {
            Ok((read, reading)) => Some(Condition::State(StateTest {
                text: written(function, items),
                number: self.known.reads.number(read),
                reading,
                operators: operators?,
            })),
            Err(message) => {
                self.problems.at(node.place, message);
                None
            }
        }
    }

    fn tally(
        &mut self,
        (what, reading): (&str, Reading),
        (text, key): (&str, Template),
        within: Duration,
        operators: Box<[Operator]>,
    ) -> Option<Condition> {
        let number = self.known.reads.number(ReadTemplate::Tally { key, within });
        Some(Condition::State(StateTest {
            text: format!("{what} {text:?} within {} s", within.as_secs()).into(),
            number,
            reading,
            operators,
        }))
    }

    /// The operators beside a subject that has none but its truth.
    fn no_operators(&mut self, fields: &Fields<'_>, subject: &str) -> Option<Box<[Operator]>> {
        let mut stray = fields.iter().filter(|(key, _)| is_operator(&key.text));
        let Some((key, _)) = stray.next() else {
            return Some([Operator::Eq(Literal::Bool(true))].into());
        };
        let message = format!("`{subject}` is true or false by itself and takes no operator");
        self.problems.at(key.place, message);
        None
    }

    fn within(&mut self, node: &Node) -> Option<Duration> {
        let seconds = node.integer(1, WITHIN_SECONDS_MAX, self.problems)?;
        Some(Duration::from_secs(seconds.unsigned_abs()))
    }

    fn key_template<'n>(&mut self, node: &'n Node) -> Option<(&'n str, Template)> {
        let text = node.text("a key (a string)", self.problems)?;
        if text.is_empty() || text.len() > KEY_BYTES_MAX {
            let message = format!("a key has 1 to {KEY_BYTES_MAX} bytes");
            self.problems.at(node.place, message);
            return None;
        }
        self.template(node, text).map(|template| (text, template))
    }

    /// A string that begins like a path is one; anything else stands for itself.
    fn argument(&mut self, node: &Node) -> Option<Template> {
        match &node.data {
            Data::Text(text) if is_path(text) => match self.known.path(text, self.zone) {
                Ok(path) => Some(Template::Value(path)),
                Err(message) => {
                    self.problems.at(node.place, message);
                    None
                }
            },
            Data::Text(text) => Some(Template::Plain(text.as_str().into())),
            Data::Number(number) => Some(Template::Plain(number.to_string().into())),
            Data::Bool(flag) => Some(Template::Plain(flag.to_string().into())),
            _ => expected(node, "a path or a string", self.problems),
        }
    }

    fn template(&mut self, node: &Node, text: &str) -> Option<Template> {
        match Template::read(text, self.known, self.zone) {
            Ok(template) => Some(template),
            Err(message) => {
                self.problems.at(node.place, message);
                None
            }
        }
    }
}

/// `name(argument, argument)`
fn written(function: Function, arguments: &[Node]) -> Box<str> {
    let argument = |node: &Node| match &node.data {
        Data::Text(text) => text.clone(),
        Data::Number(number) => number.to_string(),
        Data::Bool(flag) => flag.to_string(),
        _ => String::new(),
    };
    let arguments: Vec<_> = arguments.iter().map(argument).collect();
    format!("{}({})", function.name(), arguments.join(", ")).into()
}

fn is_path(text: &str) -> bool {
    ["action.", "time.", "env."]
        .iter()
        .any(|head| text.starts_with(head))
}
