//! Reads one step of a timeline: its time, its setup, and the action to dispatch.

use std::time::Duration;

use acteon_core::Action;
use acteon_core::decode::{self, DecodeError, FIELDS};
use acteon_core::state::{EventId, EventPhase, EventRecord, EventValue};
use acteon_rules::reading::{Data, Fields, Node, expected, quoted};
use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;
use serde_json::json;

use super::{Reader, json as to_json};
use crate::case::{
    Dispatch, Expectations, ProvidedFields, ProviderAnswer, Setup, Task, TimelineStep,
};
use crate::duration;

/// The latest time of a step.
const AT_MAX: Duration = Duration::from_secs(400 * 86_400);
/// How often one step may dispatch.
const TIMES_MAX: i64 = 10_000;
/// How many answers of a provider may be listed.
const ANSWERS_MAX: usize = 1000;
/// How long an ended event is kept: longer than any test lasts.
const ENDED_KEPT: Duration = Duration::from_secs(2 * 400 * 86_400);
const STEP_KEYS: [&str; 5] = ["at", "given", "dispatch", "times", "expect"];
const GIVEN_KEYS: [&str; 5] = ["events", "silences", "providers", "disabled", "enabled"];
const EVENT_KEYS: [&str; 7] = [
    "fingerprint",
    "event_type",
    "state",
    "active",
    "values",
    "namespace",
    "tenant",
];
const ANSWERS: [(&str, ProviderAnswer); 4] = [
    ("succeeds", ProviderAnswer::Succeed),
    ("fails", ProviderAnswer::Fail),
    ("unavailable", ProviderAnswer::BeUnavailable),
    ("hangs", ProviderAnswer::Hang),
];

impl TimelineStep {
    /// How many actions it dispatches.
    pub(super) fn dispatches(&self) -> u32 {
        match &self.task {
            Task::Dispatch(dispatch) => dispatch.times,
            Task::Nothing | Task::Check(_) => 0,
        }
    }
}

impl Reader<'_> {
    pub(super) fn step(&mut self, node: &Node, start: Timestamp) -> Option<TimelineStep> {
        let fields = Fields::of(node, "a step (a mapping)", self.problems)?;
        fields.only("key", &STEP_KEYS, self.problems);
        let at = fields
            .required("at", self.problems)
            .and_then(|node| self.at(node));
        let setup = match fields.get("given") {
            None => Some(Setup::default()),
            Some(node) => self.setup(node),
        };
        let task = self.task(&fields, start);
        if let (Some(setup), Some(Task::Nothing)) = (&setup, &task)
            && setup.is_empty()
        {
            let message = "a step needs `dispatch`, `expect` or `given`";
            self.problems.at(node.place, message);
        }
        Some(TimelineStep {
            place: node.place,
            at: at?,
            setup: setup?,
            task: task?,
        })
    }

    fn at(&mut self, node: &Node) -> Option<Duration> {
        let at = self.duration(node)?;
        if at > AT_MAX {
            let message = format!("a test lasts at most {}", duration::shown(AT_MAX));
            self.problems.at(node.place, message);
            return None;
        }
        Some(at)
    }

    pub(super) fn duration(&mut self, node: &Node) -> Option<Duration> {
        let text = node.text(duration::EXPECTED, self.problems)?;
        let time = duration::parse(text);
        if time.is_none() {
            let message = format!("expected {}, found {}", duration::EXPECTED, quoted(text));
            self.problems.at(node.place, message);
        }
        time
    }

    fn task(&mut self, fields: &Fields<'_>, start: Timestamp) -> Option<Task> {
        let expect = fields.get("expect");
        let Some(node) = fields.get("dispatch") else {
            if let Some(times) = fields.get("times") {
                let message = "`times` needs a `dispatch`";
                self.problems.at(times.place, message);
            }
            return match expect {
                None => Some(Task::Nothing),
                Some(node) => self.checks(node).map(Task::Check),
            };
        };
        let times = match fields.get("times") {
            None => Some(1),
            Some(node) => node.integer(1, TIMES_MAX, self.problems),
        };
        let action = self.action(node, start);
        let expected = match expect {
            None => Some(Expectations::default()),
            Some(node) => self.expected(node),
        };
        let (action, provided) = action?;
        Some(Task::Dispatch(Box::new(Dispatch {
            action,
            provided,
            times: u32::try_from(times?).ok()?,
            expected: expected?,
        })))
    }

    /// Reads the action as over HTTP, except that the payload may be omitted and unknown keys are errors.
    fn action(&mut self, node: &Node, start: Timestamp) -> Option<(Action, ProvidedFields)> {
        let fields = Fields::of(node, "an action (a mapping)", self.problems)?;
        fields.only("field of an action", &FIELDS, self.problems);
        let mut message = to_json(node);
        if fields.get("payload").is_none() {
            message["payload"] = json!({});
        }
        let made = || CompactString::const_new("set when it is dispatched");
        let provided = ProvidedFields {
            id: !message["id"].is_null(),
            created_at: !message["created_at"].is_null(),
        };
        let action = decode::decode(&message.to_string().into())
            .and_then(|draft| draft.complete(&self.defaults, made, start));
        match action {
            Ok(action) => Some((action, provided)),
            Err(error) => {
                self.not_an_action(&error, node, &fields);
                None
            }
        }
    }

    fn not_an_action(&mut self, error: &DecodeError, node: &Node, fields: &Fields<'_>) {
        let (place, message) = match error {
            DecodeError::Action { path, message } => {
                let field = path.split('.').next().unwrap_or_default();
                let place = fields.get(field).map_or(node.place, |value| value.place);
                let missing = message == "is missing";
                let hint = if missing {
                    ", here and in `defaults`"
                } else {
                    ""
                };
                (place, format!("{error}{hint}"))
            }
            DecodeError::Json { .. } => (node.place, error.to_string()),
        };
        self.problems.at(place, message);
    }

    pub(super) fn setup(&mut self, node: &Node) -> Option<Setup> {
        let fields = Fields::of(node, "a mapping of `given`", self.problems)?;
        fields.only("key", &GIVEN_KEYS, self.problems);
        let mut setup = Setup::default();
        if let Some(node) = fields.get("events") {
            let events = node.list("a list of events", self.problems)?.iter();
            setup.events = events.filter_map(|node| self.event(node)).collect();
        }
        if let Some(node) = fields.get("silences") {
            let silences = node.list("a list of silences", self.problems)?.iter();
            setup.silences = silences.filter_map(|node| self.silence(node)).collect();
        }
        if let Some(node) = fields.get("providers") {
            let what = "a mapping of providers to their answers";
            for (key, node) in Fields::of(node, what, self.problems)?.iter() {
                let name = self.provider(key.place, &key.text);
                let answers = self.answers(node);
                setup.providers.extend(name.zip(answers));
            }
        }
        for (key, enabled) in [("disabled", false), ("enabled", true)] {
            if let Some(node) = fields.get(key) {
                let names = node.list("a list of rules", self.problems)?.iter();
                let names = names.filter_map(|node| self.rule(node));
                setup.toggles.extend(names.map(|name| (name, enabled)));
            }
        }
        Some(setup)
    }

    /// One answer for all attempts, or a list of answers; the last one is repeated.
    fn answers(&mut self, node: &Node) -> Option<Vec<ProviderAnswer>> {
        let what = "answer";
        match &node.data {
            Data::List(items) if items.is_empty() || items.len() > ANSWERS_MAX => {
                let message = format!("expected 1 to {ANSWERS_MAX} answers");
                self.problems.at(node.place, message);
                None
            }
            Data::List(items) => {
                let answers = items
                    .iter()
                    .map(|item| item.word(what, &ANSWERS, self.problems));
                answers.collect()
            }
            _ => Some(vec![node.word(what, &ANSWERS, self.problems)?]),
        }
    }

    fn event(&mut self, node: &Node) -> Option<(EventId, EventRecord)> {
        let fields = Fields::of(node, "an event (a mapping)", self.problems)?;
        fields.only("key of an event", &EVENT_KEYS, self.problems);
        let namespace = self.scoped(&fields, "namespace", self.defaults.namespace.clone());
        let tenant = self.scoped(&fields, "tenant", self.defaults.tenant.clone());
        let [fingerprint, event_type, state] =
            ["fingerprint", "event_type", "state"].map(|key| self.scoped(&fields, key, None));
        let active = match fields.get("active") {
            None => Some(true),
            Some(node) => node.flag(self.problems),
        };
        let values = match fields.get("values") {
            None => Some(Vec::new()),
            Some(node) => self.values(node),
        };
        let id = EventId {
            namespace: namespace?,
            tenant: tenant?,
            fingerprint: fingerprint?,
        };
        let record = EventRecord {
            event_type: event_type?,
            state: state?,
            phase: match active? {
                true => EventPhase::Active,
                false => EventPhase::Ended(ENDED_KEPT),
            },
            values: values?,
            ended: None,
            updated_at: Timestamp::UNIX_EPOCH,
            body: Bytes::new(),
        };
        Some((id, record))
    }

    /// A string of an event, or its default; one of them must exist.
    pub(super) fn scoped(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        default: Option<CompactString>,
    ) -> Option<CompactString> {
        match fields.get(key) {
            None if default.is_some() => default,
            None => {
                fields.required(key, self.problems)?;
                None
            }
            Some(node) => Some(node.text("a string", self.problems)?.into()),
        }
    }

    /// A mapping of names to values, or a list of values without names.
    fn values(&mut self, node: &Node) -> Option<Vec<EventValue>> {
        if let Data::Map(_) = &node.data {
            let fields = Fields::of(node, "a mapping of values", self.problems)?;
            let values = fields.iter().map(|(key, node)| {
                Some(EventValue {
                    name: key.text.as_str().into(),
                    value: node.text("a string", self.problems)?.into(),
                })
            });
            return values.collect();
        }
        let items = node.list("a list of strings", self.problems)?;
        let texts = items.iter().map(|item| match &item.data {
            Data::Text(text) => Some(EventValue {
                name: CompactString::default(),
                value: text.into(),
            }),
            _ => expected(item, "a string", self.problems),
        });
        texts.collect()
    }
}

impl Setup {
    fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.silences.is_empty()
            && self.providers.is_empty()
            && self.toggles.is_empty()
    }
}
