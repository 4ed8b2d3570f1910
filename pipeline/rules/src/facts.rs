//! What rules see of one action: its fields, its payload read from the raw bytes, the time, the environment. Labels and
//! payload paths are looked up on first use and cached; nothing is read that no rule names.

use acteon_core::action::Members;
use acteon_core::state::Tally;
use acteon_core::{Action, Labels, Payload, Time};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use smallvec::SmallVec;

use crate::answers::StateAnswers;
use crate::budget::Budget;
use crate::fault::CelError;
use crate::json::{self, ObjectIndex};
use crate::moment::{Moment, TimeField};
use crate::number::Number;
use crate::path::{ActionField, FactPath, PathNumber, PathTarget, Segment};
use crate::value::{FactValue, ParsedValue};

/// A value that lives as long as the action.
pub(crate) enum ActionValue<'a> {
    Null,
    /// JSON text of the payload.
    Json(&'a [u8]),
    Text(&'a str),
    Made(String),
    Number(Number<'static>),
    Labels(&'a Labels),
}

/// What rules see besides the action.
#[derive(Clone, Copy)]
pub(crate) struct FactContext<'a> {
    pub(crate) now: Timestamp,
    pub(crate) zones: &'a [TimeZone],
    pub(crate) answers: &'a StateAnswers,
    pub(crate) environment: EnvironmentAccess,
}

/// Whether values of the environment are visible: to rules they are, in explanations they are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EnvironmentAccess {
    Shown,
    Hidden,
}

/// Replaces a hidden value.
const HIDDEN: &str = "(not shown)";

/// One action under evaluation.
pub(crate) struct Facts<'a> {
    action: &'a Action,
    payload: &'a [u8],
    members: Option<Members<'a>>,
    moments: Moments<'a>,
    objects: ObjectIndex<'a>,
    values: ValueCache<'a>,
    scratch: String,
    answers: &'a StateAnswers,
    environment: EnvironmentAccess,
    /// What the CEL of the current rule may still cost.
    pub(crate) budget: Budget,
    /// The tallies that conditions have read, without duplicates.
    tallies: SmallVec<[&'a Tally; 2]>,
}

impl<'a> Facts<'a> {
    /// `payload` is the working copy: the action's own, or the one a rule has changed.
    pub(crate) fn new(action: &'a Action, payload: &'a Payload, context: FactContext<'a>) -> Self {
        Self {
            action,
            payload: payload.as_bytes().trim_ascii_start(),
            members: payload.members(),
            moments: Moments {
                now: context.now,
                zones: context.zones,
                known: SmallVec::new(),
            },
            answers: context.answers,
            environment: context.environment,
            budget: Budget::default(),
            tallies: SmallVec::new(),
            objects: ObjectIndex::default(),
            values: ValueCache::default(),
            scratch: String::new(),
        }
    }

    pub(crate) fn action(&self) -> &'a Action {
        self.action
    }

    /// The time of the decision.
    pub(crate) fn now(&self) -> Timestamp {
        self.moments.now
    }

    /// The state's answers to the reads of this action.
    pub(crate) fn answers(&self) -> &'a StateAnswers {
        self.answers
    }

    /// Records that a condition has read a tally.
    pub(crate) fn record_tally(&mut self, tally: &'a Tally) {
        if !self.tallies.contains(&tally) {
            self.tallies.push(tally);
        }
    }

    /// The tallies that conditions have read.
    pub(crate) fn tallies(&self) -> &[&'a Tally] {
        &self.tallies
    }

    /// The JSON text of the working copy of the payload.
    pub(crate) fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The value that a path leads to.
    pub(crate) fn read<'s>(&'s mut self, path: &'s FactPath) -> FactValue<'s> {
        match &path.target {
            PathTarget::Field(field) => self.field(*field),
            PathTarget::Label(label) => self.cached(label.number, |facts| {
                ParsedValue::Plain(FactValue::text(facts.action.labels.get(&label.key)))
            }),
            PathTarget::TraceItem(item) => FactValue::text(self.action.trace_context.get(item)),
            PathTarget::Payload(path) => self.cached(path.number, |facts| {
                let found = facts.find(&path.segments);
                found.map_or(ParsedValue::Plain(FactValue::Nothing), ParsedValue::new)
            }),
            PathTarget::Time(zone, field) => self.moments.get(*zone, *field),
            PathTarget::Now => FactValue::Number(self.moments.now.as_second().into()),
            PathTarget::Environment(value) => match self.environment {
                EnvironmentAccess::Shown => FactValue::Text(value.as_bytes()),
                EnvironmentAccess::Hidden => FactValue::Text(HIDDEN.as_bytes()),
            },
        }
    }

    fn field(&mut self, field: ActionField) -> FactValue<'_> {
        let action = self.action;
        match field {
            ActionField::Id => FactValue::text(Some(&action.id)),
            ActionField::Namespace => FactValue::text(Some(&action.namespace)),
            ActionField::Tenant => FactValue::text(Some(&action.tenant)),
            ActionField::Provider => FactValue::text(Some(&action.provider)),
            ActionField::ActionType => FactValue::text(Some(&action.action_type)),
            ActionField::DedupKey => FactValue::text(action.dedup_key.as_deref()),
            ActionField::Status => FactValue::text(action.status.as_deref()),
            ActionField::Fingerprint => FactValue::text(action.fingerprint.as_deref()),
            ActionField::StartsAt => self.timestamp(action.starts_at),
            ActionField::EndsAt => self.timestamp(action.ends_at),
            ActionField::CreatedAt => self.timestamp(Some(action.created_at)),
            ActionField::Metadata => self.pairs(&action.labels),
            ActionField::TraceContext => self.pairs(&action.trace_context),
        }
    }

    /// In the form that the wire uses.
    fn timestamp(&mut self, at: Option<Time>) -> FactValue<'_> {
        let Some(at) = at else {
            return FactValue::Nothing;
        };
        self.scratch = at.to_string();
        FactValue::Text(self.scratch.as_bytes())
    }

    fn pairs(&mut self, labels: &acteon_core::Labels) -> FactValue<'_> {
        self.scratch = serde_json::to_string(labels).unwrap_or_default();
        FactValue::Object(self.scratch.as_bytes())
    }

    /// The value of the path with this number, from the cache or from `look_up`.
    fn cached(
        &mut self,
        number: PathNumber,
        look_up: impl FnOnce(&mut Self) -> ParsedValue<'a>,
    ) -> FactValue<'_> {
        let at = match self.values.position(number) {
            Some(at) => at,
            None => {
                let value = look_up(self);
                self.values.insert(number, value)
            }
        };
        self.values.at(at)
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

    /// The value that a path leads to, living as long as the action; `None` if it is absent. A field of the action that
    /// is not set is null.
    pub(crate) fn action_value(&mut self, path: &FactPath) -> Option<ActionValue<'a>> {
        let action = self.action;
        match &path.target {
            PathTarget::Payload(path) => self.find(&path.segments).map(ActionValue::Json),
            PathTarget::Label(label) => action.labels.get(&label.key).map(ActionValue::Text),
            PathTarget::TraceItem(item) => action.trace_context.get(item).map(ActionValue::Text),
            PathTarget::Field(ActionField::Metadata) => Some(ActionValue::Labels(&action.labels)),
            PathTarget::Field(ActionField::TraceContext) => {
                Some(ActionValue::Labels(&action.trace_context))
            }
            _ => Some(match self.read(path) {
                FactValue::Number(Number::Unsigned(value)) => {
                    ActionValue::Number(Number::Unsigned(value))
                }
                FactValue::Number(Number::Signed(value)) => {
                    ActionValue::Number(Number::Signed(value))
                }
                FactValue::Text(text) => {
                    ActionValue::Made(String::from_utf8_lossy(text).into_owned())
                }
                _ => ActionValue::Null,
            }),
        }
    }

    /// How many bytes of the payload have been scanned so far.
    pub(crate) fn read_bytes(&self) -> usize {
        self.objects.read_bytes()
    }

    /// `has` of CEL: whether the last name of the path exists, even if its value is null. For a field of the action:
    /// whether it is set.
    ///
    /// # Errors
    /// If the parent of the last name is not an object.
    pub(crate) fn has(&mut self, path: &FactPath) -> Result<bool, CelError> {
        match &path.target {
            PathTarget::Payload(path) => match path.segments.split_last() {
                None => Ok(true),
                Some((last, before)) => match self.find(before).ok_or(CelError::NoField)? {
                    json @ [b'{', ..] => Ok(self.objects.get(json, last.key.as_bytes()).is_some()),
                    _ => Err(CelError::NoOverload("has")),
                },
            },
            PathTarget::Label(_) | PathTarget::TraceItem(_) => Ok(!self.is_absent(path)),
            _ => Ok(!matches!(self.read(path), FactValue::Nothing)),
        }
    }

    /// Whether a path leads to nothing at all, not even to null.
    pub(crate) fn is_absent(&mut self, path: &FactPath) -> bool {
        match &path.target {
            PathTarget::Payload(path) => self.find(&path.segments).is_none(),
            PathTarget::Label(label) => self.action.labels.get(&label.key).is_none(),
            PathTarget::TraceItem(item) => self.action.trace_context.get(item).is_none(),
            _ => false,
        }
    }

    /// Appends the value as text: strings as they are, numbers as they are written, lists and objects as JSON with
    /// sorted keys, nothing for null and absent. False if there was nothing.
    pub(crate) fn write_text(&mut self, path: &FactPath, out: &mut Vec<u8>) -> bool {
        match self.raw(path) {
            Some([b'n', ..]) => return false,
            Some(json @ [b'"', ..]) => out.extend_from_slice(&json::unescaped(json::content(json))),
            Some(json) => json::write_sorted(json, out),
            None => match self.read(path) {
                FactValue::Nothing => return false,
                FactValue::Text(text) => out.extend_from_slice(text),
                FactValue::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
                FactValue::Bool(flag) => out.extend_from_slice(flag.to_string().as_bytes()),
                FactValue::List(json) | FactValue::Object(json) => json::write_sorted(json, out),
            },
        }
        true
    }

    /// Appends the value as JSON; a value in the payload byte for byte.
    pub(crate) fn write_json(&mut self, path: &FactPath, out: &mut Vec<u8>) {
        match self.raw(path) {
            Some(json) => out.extend_from_slice(json),
            None => match self.read(path) {
                FactValue::Text(text) => json::write_text(text, out),
                FactValue::List(json) | FactValue::Object(json) => out.extend_from_slice(json),
                FactValue::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
                FactValue::Bool(flag) => out.extend_from_slice(flag.to_string().as_bytes()),
                FactValue::Nothing => out.extend_from_slice(b"null"),
            },
        }
    }

    /// The JSON text at a path into the payload; `None` if it is absent, or for other paths.
    fn raw(&mut self, path: &FactPath) -> Option<&'a [u8]> {
        match &path.target {
            PathTarget::Payload(path) => self.find(&path.segments),
            _ => None,
        }
    }
}

/// The current time in the zones that rules have asked for.
struct Moments<'a> {
    now: Timestamp,
    zones: &'a [TimeZone],
    known: SmallVec<[(u32, Moment); 1]>,
}

impl Moments<'_> {
    fn get(&mut self, zone: u32, field: TimeField) -> FactValue<'static> {
        let known = self.known.iter().find(|(known, _)| *known == zone);
        if let Some((_, moment)) = known {
            return moment.get(field);
        }
        let utc = TimeZone::UTC;
        let moment = Moment::new(self.now, self.zones.get(zone as usize).unwrap_or(&utc));
        self.known.push((zone, moment));
        moment.get(field)
    }
}

/// How many values the cache holds. Paths whose numbers differ by a multiple of this share a slot.
const SLOTS: usize = 32;

/// The values of labels and payload paths that rules have read.
#[derive(Default)]
struct ValueCache<'a> {
    /// The position in `values` plus one, by a path's number modulo [`SLOTS`]; 0 if the slot is free.
    slots: [u8; SLOTS],
    values: SmallVec<[(PathNumber, ParsedValue<'a>); 8]>,
}

impl<'a> ValueCache<'a> {
    fn position(&self, number: PathNumber) -> Option<usize> {
        let at = usize::from(self.slots[number as usize % SLOTS]).checked_sub(1)?;
        (self.values[at].0 == number).then_some(at)
    }

    /// Stores a value, replacing another path's value in the same slot. Returns its position.
    fn insert(&mut self, number: PathNumber, value: ParsedValue<'a>) -> usize {
        let slot = &mut self.slots[number as usize % SLOTS];
        if let Some(at) = usize::from(*slot).checked_sub(1) {
            self.values[at] = (number, value);
            return at;
        }
        self.values.push((number, value));
        *slot = u8::try_from(self.values.len()).unwrap_or_default();
        self.values.len() - 1
    }

    fn at(&self, position: usize) -> FactValue<'_> {
        self.values[position].1.value()
    }
}
