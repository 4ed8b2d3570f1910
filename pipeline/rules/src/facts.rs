//! What the rules can see of one action: its fields, its payload read from the raw bytes, the time, the environment.
//! A label or a payload path is read when a rule first asks for it and then remembered; nothing is read that no rule names.

use std::borrow::Cow;

use acteon_core::action::Members;
use acteon_core::state::Tally;
use acteon_core::{Action, Labels, Payload, Time};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;
use smallvec::SmallVec;

use crate::cel::{Budget, CelError};
use crate::json::{self, Objects};
use crate::moment::{Moment, TimeField};
use crate::number::Number;
use crate::path::{ActionField, Path, PathNumber, Segment, Source};
use crate::reads::Gathered;

/// How many paths are remembered; a path shares its place with those whose number differs by a multiple.
const SLOTS: usize = 32;

/// A value as a rule sees it. Null and absent are the same; texts are UTF-8 without quotes and escapes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seen<'s> {
    Nothing,
    Bool(bool),
    Number(Number),
    Text(&'s [u8]),
    /// The list's JSON text.
    List(&'s [u8]),
    /// The object's JSON text.
    Object(&'s [u8]),
}

impl<'s> Seen<'s> {
    fn text(text: Option<&'s str>) -> Self {
        text.map_or(Self::Nothing, |text| Self::Text(text.as_bytes()))
    }

    /// The value as JSON.
    ///
    /// # Errors
    /// When a list or object holds what no JSON value can (a number out of range, half a surrogate pair).
    pub(crate) fn to_json(self) -> Result<Value, serde_json::Error> {
        match self {
            Self::Nothing => Ok(Value::Null),
            Self::Bool(flag) => Ok(flag.into()),
            Self::Number(number) => Ok(number.to_json()),
            Self::Text(text) => Ok(String::from_utf8_lossy(text).into()),
            Self::List(json) | Self::Object(json) => serde_json::from_slice(json),
        }
    }
}

/// A value taken from JSON text.
enum Read<'a> {
    Plain(Seen<'a>),
    Unescaped(Vec<u8>),
}

impl<'a> Read<'a> {
    fn new(json: &'a [u8]) -> Self {
        match json.first() {
            Some(b'"') => match json::unescaped(json::content(json)) {
                Cow::Borrowed(text) => Self::Plain(Seen::Text(text)),
                Cow::Owned(text) => Self::Unescaped(text),
            },
            Some(b'{') => Self::Plain(Seen::Object(json)),
            Some(b'[') => Self::Plain(Seen::List(json)),
            Some(b't') => Self::Plain(Seen::Bool(true)),
            Some(b'f') => Self::Plain(Seen::Bool(false)),
            Some(b'n') | None => Self::Plain(Seen::Nothing),
            Some(_) => Self::Plain(Number::parse(json).map_or(Seen::Nothing, Seen::Number)),
        }
    }

    fn seen(&self) -> Seen<'_> {
        match self {
            Self::Plain(seen) => *seen,
            Self::Unescaped(text) => Seen::Text(text),
        }
    }
}

/// Calls `look` with a value that is not part of an action, such as the item of a list.
pub(crate) fn look_at<T>(json: &[u8], look: impl FnOnce(Seen<'_>) -> T) -> T {
    look(Read::new(json).seen())
}

/// A value that outlives its reading.
pub(crate) enum Lasting<'a> {
    Null,
    /// JSON text of the payload.
    Json(&'a [u8]),
    Text(&'a str),
    Made(String),
    Number(Number),
    Labels(&'a Labels),
}

/// What rules see beside the action.
#[derive(Clone, Copy)]
pub(crate) struct Beside<'a> {
    pub(crate) now: Timestamp,
    pub(crate) zones: &'a [TimeZone],
    pub(crate) gathered: &'a Gathered,
    pub(crate) environment: Environment,
}

/// Whether values of the environment are seen: those who decide see them, those who are told something do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Environment {
    Seen,
    Hidden,
}

/// What stands in place of a hidden value.
const HIDDEN: &str = "(not shown)";

/// One action under evaluation.
pub(crate) struct Facts<'a> {
    action: &'a Action,
    payload: &'a [u8],
    members: Option<Members<'a>>,
    now: Timestamp,
    zones: &'a [TimeZone],
    moments: SmallVec<[(u32, Moment); 1]>,
    objects: Objects<'a>,
    /// Where in `reads` a path's number modulo [`SLOTS`] stands, plus one.
    slots: [u8; SLOTS],
    reads: SmallVec<[(PathNumber, Read<'a>); 8]>,
    scratch: String,
    gathered: &'a Gathered,
    environment: Environment,
    /// What the CEL of the rule at hand may still cost.
    pub(crate) budget: Budget,
    /// The tallies that were looked at, each once.
    notes: SmallVec<[&'a Tally; 2]>,
}

impl<'a> Facts<'a> {
    /// `payload` is the working copy: the action's own, or what a rule made of it.
    pub(crate) fn new(action: &'a Action, payload: &'a Payload, beside: Beside<'a>) -> Self {
        Self {
            action,
            payload: payload.as_bytes().trim_ascii_start(),
            members: payload.members(),
            now: beside.now,
            zones: beside.zones,
            gathered: beside.gathered,
            environment: beside.environment,
            budget: Budget::default(),
            notes: SmallVec::new(),
            moments: SmallVec::new(),
            objects: Objects::default(),
            slots: [0; SLOTS],
            reads: SmallVec::new(),
            scratch: String::new(),
        }
    }

    pub(crate) fn action(&self) -> &'a Action {
        self.action
    }

    /// What the state answered.
    pub(crate) fn gathered(&self) -> &'a Gathered {
        self.gathered
    }

    /// Notes that a tally was looked at.
    pub(crate) fn note(&mut self, tally: &'a Tally) {
        if !self.notes.contains(&tally) {
            self.notes.push(tally);
        }
    }

    /// The tallies that were looked at.
    pub(crate) fn notes(&self) -> &[&'a Tally] {
        &self.notes
    }

    /// The JSON text of the working copy of the payload.
    pub(crate) fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The value a path leads to.
    pub(crate) fn read<'s>(&'s mut self, path: &'s Path) -> Seen<'s> {
        match &path.source {
            Source::Field(field) => self.field(*field),
            Source::Label(label) => self.once(label.number, |facts| {
                Read::Plain(Seen::text(facts.action.labels.get(&label.key)))
            }),
            Source::TraceItem(item) => Seen::text(self.action.trace_context.get(item)),
            Source::Payload(path) => self.once(path.number, |facts| {
                let found = facts.find(&path.segments);
                found.map_or(Read::Plain(Seen::Nothing), Read::new)
            }),
            Source::Time(zone, field) => self.time(*zone, *field),
            Source::Now => Seen::Number(self.now.as_second().into()),
            Source::Environment(value) => match self.environment {
                Environment::Seen => Seen::Text(value.as_bytes()),
                Environment::Hidden => Seen::Text(HIDDEN.as_bytes()),
            },
        }
    }

    fn field(&mut self, field: ActionField) -> Seen<'_> {
        let action = self.action;
        match field {
            ActionField::Id => Seen::text(Some(&action.id)),
            ActionField::Namespace => Seen::text(Some(&action.namespace)),
            ActionField::Tenant => Seen::text(Some(&action.tenant)),
            ActionField::Provider => Seen::text(Some(&action.provider)),
            ActionField::ActionType => Seen::text(Some(&action.action_type)),
            ActionField::DedupKey => Seen::text(action.dedup_key.as_deref()),
            ActionField::Status => Seen::text(action.status.as_deref()),
            ActionField::Fingerprint => Seen::text(action.fingerprint.as_deref()),
            ActionField::StartsAt => self.timestamp(action.starts_at),
            ActionField::EndsAt => self.timestamp(action.ends_at),
            ActionField::CreatedAt => self.timestamp(Some(action.created_at)),
            ActionField::Metadata => self.pairs(&action.labels),
            ActionField::TraceContext => self.pairs(&action.trace_context),
        }
    }

    /// As the wire writes it.
    fn timestamp(&mut self, at: Option<Time>) -> Seen<'_> {
        let Some(at) = at else {
            return Seen::Nothing;
        };
        self.scratch = at.to_string();
        Seen::Text(self.scratch.as_bytes())
    }

    fn pairs(&mut self, labels: &acteon_core::Labels) -> Seen<'_> {
        self.scratch = serde_json::to_string(labels).unwrap_or_default();
        Seen::Object(self.scratch.as_bytes())
    }

    fn time(&mut self, zone: u32, field: TimeField) -> Seen<'static> {
        let known = self.moments.iter().find(|(known, _)| *known == zone);
        if let Some((_, moment)) = known {
            return moment.get(field);
        }
        let utc = TimeZone::UTC;
        let moment = Moment::new(self.now, self.zones.get(zone as usize).unwrap_or(&utc));
        self.moments.push((zone, moment));
        moment.get(field)
    }

    /// What was seen at the path of this number, looked up when it was not yet.
    fn once(
        &mut self,
        number: PathNumber,
        look_up: impl FnOnce(&mut Self) -> Read<'a>,
    ) -> Seen<'_> {
        let slot = number as usize % SLOTS;
        let known = usize::from(self.slots[slot]);
        if known > 0 && self.reads[known - 1].0 == number {
            return self.reads[known - 1].1.seen();
        }
        let read = (number, look_up(self));
        let at = if known > 0 {
            self.reads[known - 1] = read;
            known - 1
        } else {
            self.reads.push(read);
            self.slots[slot] = u8::try_from(self.reads.len()).unwrap_or_default();
            self.reads.len() - 1
        };
        self.reads[at].1.seen()
    }

    fn find(&mut self, segments: &[Segment]) -> Option<&'a [u8]> {
        let (mut value, segments) = match (self.members, segments) {
            (Some(members), [first, rest @ ..]) => (members.get(&first.key)?, rest),
            _ => (self.payload, segments),
        };
        for segment in segments {
            value = match (value.first()?, segment.index) {
                (b'{', _) => self.objects.get(value, segment.key.as_bytes())?,
                (b'[', Some(index)) => json::items(value).nth(index)?,
                _ => return None,
            };
        }
        Some(value)
    }

    /// What a path leads to, for as long as the action lives; none when it is absent. A field of the action that is not
    /// set is null.
    pub(crate) fn lasting(&mut self, path: &Path) -> Option<Lasting<'a>> {
        let action = self.action;
        match &path.source {
            Source::Payload(path) => self.find(&path.segments).map(Lasting::Json),
            Source::Label(label) => action.labels.get(&label.key).map(Lasting::Text),
            Source::TraceItem(item) => action.trace_context.get(item).map(Lasting::Text),
            Source::Field(ActionField::Metadata) => Some(Lasting::Labels(&action.labels)),
            Source::Field(ActionField::TraceContext) => {
                Some(Lasting::Labels(&action.trace_context))
            }
            _ => Some(match self.read(path) {
                Seen::Number(number) => Lasting::Number(number),
                Seen::Text(text) => Lasting::Made(String::from_utf8_lossy(text).into_owned()),
                _ => Lasting::Null,
            }),
        }
    }

    /// How many bytes of the payload were gone through so far.
    pub(crate) fn read_bytes(&self) -> usize {
        self.objects.read_bytes()
    }

    /// What `has` of CEL says of a path: whether its last name is there, be it with a null; an error when what it would be
    /// in is no object. Of a field of the action, whether it is set.
    pub(crate) fn has(&mut self, path: &Path) -> Result<bool, CelError> {
        match &path.source {
            Source::Payload(path) => match path.segments.split_last() {
                None => Ok(true),
                Some((last, before)) => match self.find(before).ok_or(CelError::NoField)? {
                    json @ [b'{', ..] => Ok(self.objects.get(json, last.key.as_bytes()).is_some()),
                    _ => Err(CelError::NoOverload("has")),
                },
            },
            Source::Label(_) | Source::TraceItem(_) => Ok(!self.is_absent(path)),
            _ => Ok(!matches!(self.read(path), Seen::Nothing)),
        }
    }

    /// Whether a path leads nowhere, not even to null.
    pub(crate) fn is_absent(&mut self, path: &Path) -> bool {
        match &path.source {
            Source::Payload(path) => self.find(&path.segments).is_none(),
            Source::Label(label) => self.action.labels.get(&label.key).is_none(),
            Source::TraceItem(item) => self.action.trace_context.get(item).is_none(),
            _ => false,
        }
    }

    /// Appends the value as text: strings as they are, numbers as they are written, lists and objects as JSON with
    /// sorted keys, nothing for null and absent. False when there was nothing.
    pub(crate) fn write_text(&mut self, path: &Path, out: &mut Vec<u8>) -> bool {
        match self.raw(path) {
            Some([b'n', ..]) => return false,
            Some(json @ [b'"', ..]) => out.extend_from_slice(&json::unescaped(json::content(json))),
            Some(json) => json::write_sorted(json, out),
            None => match self.read(path) {
                Seen::Nothing => return false,
                Seen::Text(text) => out.extend_from_slice(text),
                Seen::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
                Seen::Bool(flag) => out.extend_from_slice(flag.to_string().as_bytes()),
                Seen::List(json) | Seen::Object(json) => json::write_sorted(json, out),
            },
        }
        true
    }

    /// Appends the value as JSON, what stands in the payload byte for byte.
    pub(crate) fn write_json(&mut self, path: &Path, out: &mut Vec<u8>) {
        match self.raw(path) {
            Some(json) => out.extend_from_slice(json),
            None => match self.read(path) {
                Seen::Text(text) => json::write_text(text, out),
                Seen::List(json) | Seen::Object(json) => out.extend_from_slice(json),
                Seen::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
                Seen::Bool(flag) => out.extend_from_slice(flag.to_string().as_bytes()),
                Seen::Nothing => out.extend_from_slice(b"null"),
            },
        }
    }

    /// The JSON text behind a path into the payload, if it leads somewhere.
    fn raw(&mut self, path: &Path) -> Option<&'a [u8]> {
        match &path.source {
            Source::Payload(path) => self.find(&path.segments),
            _ => None,
        }
    }
}
