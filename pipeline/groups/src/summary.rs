//! The summary of a group: the payload that is sent for its members.

use acteon_core::{Labels, Payload};
use acteon_templates::depth;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::Serialize;

/// How many events a summary lists that was too large for its sink.
pub const EVENTS_WHEN_TOO_LARGE: usize = 10;
/// The list of events, and the object around it, add these levels to the payload of a member.
const NESTING: usize = 2;

/// What a summary says of its group besides the events.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct GroupFacts {
    pub group_id: CompactString,
    pub group_key: CompactString,
    pub rule: CompactString,
    /// The fields that the members have in common, with their values.
    pub labels: Labels,
    /// When the first member joined.
    pub first_at: Timestamp,
    /// When the last member joined.
    pub last_at: Timestamp,
    /// When the group was flushed.
    pub flushed_at: Timestamp,
}

/// A group that is being flushed.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    facts: GroupFacts,
    events: Vec<Payload>,
    /// The members that are counted, but not listed.
    omitted: u64,
}

/// The payload without a template, and the values that a template sees.
#[derive(Debug, Serialize)]
pub struct SummaryPayload<'s> {
    group_id: &'s str,
    group_key: &'s str,
    rule: &'s str,
    event_count: u64,
    omitted: u64,
    events: &'s [Payload],
    labels: &'s Labels,
    first_at: Timestamp,
    last_at: Timestamp,
    flushed_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    template_error: Option<&'s str>,
}

impl Summary {
    /// `omitted` members are counted besides the listed events. A payload that is nested too deeply to be part of
    /// another one is counted and not listed.
    pub fn new(facts: GroupFacts, mut events: Vec<Payload>, omitted: u64) -> Self {
        let before = events.len();
        events.retain(|event| depth(event.as_bytes()) + NESTING <= Payload::DEPTH_MAX);
        let too_deep = before - events.len();
        Self {
            facts,
            omitted: omitted + u64::try_from(too_deep).unwrap_or(u64::MAX),
            events,
        }
    }

    /// The same summary with the first [`EVENTS_WHEN_TOO_LARGE`] events only. `None` if it has no more than these.
    pub fn shortened(&self) -> Option<Self> {
        let left_out = self.events.len().checked_sub(EVENTS_WHEN_TOO_LARGE)?;
        (left_out > 0).then(|| Self {
            facts: self.facts.clone(),
            events: self.events[..EVENTS_WHEN_TOO_LARGE].to_vec(),
            omitted: self.omitted + u64::try_from(left_out).unwrap_or(u64::MAX),
        })
    }

    /// The default payload, which names the error of a template.
    pub(crate) fn by_default(&self, template_error: Option<&str>) -> Payload {
        let values = SummaryPayload {
            template_error,
            ..self.values()
        };
        // Writing to memory does not fail, and no map has keys other than strings.
        Payload::from_value(&values).unwrap_or_else(|_| Payload::null())
    }

    /// The values of the default payload.
    pub(crate) fn values(&self) -> SummaryPayload<'_> {
        let facts = &self.facts;
        let listed = u64::try_from(self.events.len()).unwrap_or(u64::MAX);
        SummaryPayload {
            group_id: &facts.group_id,
            group_key: &facts.group_key,
            rule: &facts.rule,
            event_count: listed.saturating_add(self.omitted),
            omitted: self.omitted,
            events: &self.events,
            labels: &facts.labels,
            first_at: facts.first_at,
            last_at: facts.last_at,
            flushed_at: facts.flushed_at,
            template_error: None,
        }
    }
}
