//! From the tree of a file to a condition on the state: `state_seen`, `state_counter`, `call`.

use std::time::Duration;

use super::operator::{Literal, Operator};
use super::read::{ConditionReader, is_operator};
use super::{Condition, StateTest};
use crate::fields::{Fields, expected};
use crate::reads::{Argument, ReadTemplate, StateValueKind};
use crate::template::Template;
use crate::yaml::{Data, Node};

/// The default window of `state_counter`: a day.
pub(crate) const WITHIN_SECONDS: i64 = 24 * 60 * 60;
/// The longest window: a year.
pub(crate) const WITHIN_SECONDS_MAX: i64 = 366 * 24 * 60 * 60;
pub(crate) const KEY_BYTES_MAX: usize = 1024;
/// The longest grace: as long as an ended event is indexed.
pub(crate) const GRACE_SECONDS_MAX: i64 = 3600;

pub(crate) const FUNCTIONS: [(&str, EventFunction); 3] = [
    ("has_active_event", EventFunction::HasActiveEvent),
    ("get_event_state", EventFunction::GetEventState),
    ("event_in_state", EventFunction::EventInState),
];

/// A function that reads events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventFunction {
    HasActiveEvent,
    GetEventState,
    EventInState,
}

impl EventFunction {
    /// The read that it needs, and the value that it takes from the answer.
    ///
    /// # Errors
    /// The arguments it takes, if their number is wrong.
    pub(crate) fn over(
        self,
        arguments: Vec<Argument>,
        grace: Duration,
    ) -> Result<(ReadTemplate, StateValueKind), String> {
        use Argument::{Named, Plain};
        let count = arguments.len();
        let mut arguments = arguments.into_iter();
        match (self, arguments.next(), arguments.next()) {
            (Self::HasActiveEvent, Some(Plain(event_type)), value) if count <= 2 => {
                let read = ReadTemplate::ActiveEvent {
                    event_type,
                    value,
                    grace,
                };
                Ok((read, StateValueKind::Active))
            }
            (Self::GetEventState, Some(Plain(fingerprint)), None) => Ok((
                ReadTemplate::EventState { fingerprint, grace },
                StateValueKind::State,
            )),
            (Self::EventInState, Some(Plain(fingerprint)), Some(Plain(state))) if count == 2 => {
                let read = ReadTemplate::EventState { fingerprint, grace };
                Ok((read, StateValueKind::InState(state)))
            }
            (_, None | Some(Plain(_) | Named(..)), _) => {
                Err(format!("`{}` takes {}", self.name(), self.signature()))
            }
        }
    }

    fn name(self) -> &'static str {
        let mut all = FUNCTIONS.iter();
        let found = all.find(|(_, function)| *function == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether operators test its value; otherwise it is true or false by itself.
    pub(crate) fn is_compared(self) -> bool {
        self == Self::GetEventState
    }

    /// Its arguments, in words.
    pub(crate) fn signature(self) -> &'static str {
        match self {
            Self::HasActiveEvent => "an event type and optionally a value, or `{name: value}`",
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
        self.tally(StateValueKind::WasSeen, key?, within?, operators?)
    }

    /// `state_counter: "<key>"` with operators.
    pub(super) fn state_counter(&mut self, fields: &Fields<'_>, key: &Node) -> Option<Condition> {
        let within = match fields.get("within_seconds") {
            Some(node) => self.within(node),
            None => Some(Duration::from_secs(WITHIN_SECONDS.unsigned_abs())),
        };
        let operators = self.operators(fields, "state_counter");
        let key = self.key_template(key);
        self.tally(StateValueKind::Count, key?, within?, operators?)
    }

    /// `call: <function>` with `args` and, if it returns a state, operators.
    pub(super) fn call(&mut self, fields: &Fields<'_>, name: &Node) -> Option<Condition> {
        let function = name.word("function", &FUNCTIONS, self.problems);
        let node = fields.required("args", self.problems)?;
        let items = node.list("a list of arguments", self.problems)?;
        let read: Vec<_> = items.iter().map(|item| self.argument(item)).collect();
        let function = function?;
        let grace = self.grace(fields);
        let operators = if function.is_compared() {
            self.operators(fields, function.name())
        } else {
            self.no_operators(fields, function.name())
        };
        let arguments = read.into_iter().collect::<Option<Vec<_>>>()?;
        match function.over(arguments, grace?) {
            Ok((read, kind)) => Some(Condition::State(StateTest {
                text: written(function, items),
                number: self.tables.reads.number(read),
                kind,
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
        kind: StateValueKind,
        key: TallyKey<'_>,
        within: Duration,
        operators: Box<[Operator]>,
    ) -> Option<Condition> {
        let TallyKey { text, template } = key;
        let subject = match kind {
            StateValueKind::Count => "state_counter",
            _ => "state_seen",
        };
        let number = self.tables.reads.number(ReadTemplate::Tally {
            key: template,
            within,
        });
        Some(Condition::State(StateTest {
            text: format!("{subject} {text:?} within {} s", within.as_secs()).into(),
            number,
            kind,
            operators,
        }))
    }

    /// The operators for a subject that is true or false by itself and takes none.
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

    fn key_template<'n>(&mut self, node: &'n Node) -> Option<TallyKey<'n>> {
        let text = node.text("a key (a string)", self.problems)?;
        if text.is_empty() || text.len() > KEY_BYTES_MAX {
            let message = format!("a key has 1 to {KEY_BYTES_MAX} bytes");
            self.problems.at(node.place, message);
            return None;
        }
        let template = self.template(node, text)?;
        Some(TallyKey { text, template })
    }

    /// How long after its end an event still counts.
    fn grace(&mut self, fields: &Fields<'_>) -> Option<Duration> {
        let Some(node) = fields.get("grace_seconds") else {
            return Some(Duration::ZERO);
        };
        let seconds = node.integer(0, GRACE_SECONDS_MAX, self.problems)?;
        Some(Duration::from_secs(seconds.unsigned_abs()))
    }

    fn argument(&mut self, node: &Node) -> Option<Argument> {
        let Data::Map(entries) = &node.data else {
            return self.value(node).map(Argument::Plain);
        };
        let [(name, value)] = entries.as_slice() else {
            return expected(node, "one name and its value", self.problems);
        };
        let value = self.value(value)?;
        Some(Argument::Named(name.text.as_str().into(), value))
    }

    /// A string that begins like a path is a path; anything else is a literal.
    fn value(&mut self, node: &Node) -> Option<Template> {
        match &node.data {
            Data::Text(text) if is_path(text) => match self.tables.paths.path(text, self.zone) {
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
        match Template::read(text, &mut self.tables.paths, self.zone) {
            Ok(template) => Some(template),
            Err(message) => {
                self.problems.at(node.place, message);
                None
            }
        }
    }
}

/// The key of a tally, as written and as read.
struct TallyKey<'n> {
    text: &'n str,
    template: Template,
}

/// `name(argument, argument)`
fn written(function: EventFunction, arguments: &[Node]) -> Box<str> {
    let arguments: Vec<_> = arguments.iter().map(argument_text).collect();
    format!("{}({})", function.name(), arguments.join(", ")).into()
}

fn argument_text(node: &Node) -> String {
    match &node.data {
        Data::Text(text) => text.clone(),
        Data::Number(number) => number.to_string(),
        Data::Bool(flag) => flag.to_string(),
        Data::Map(entries) => {
            let each = entries.iter();
            let pairs =
                each.map(|(name, value)| format!("{}: {}", name.text, argument_text(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
        Data::Null | Data::List(_) => String::new(),
    }
}

fn is_path(text: &str) -> bool {
    ["action.", "time.", "env."]
        .iter()
        .any(|head| text.starts_with(head))
}
