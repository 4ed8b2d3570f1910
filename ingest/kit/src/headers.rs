//! The headers of messages: their names, the ones read from every message, and the ones that accompany an action on the
//! delayed path of its source.

use std::time::Duration;

use acteon_core::delivery::Position;
use acteon_core::{Envelope, History};
use compact_str::{CompactString, ToCompactString};
use jiff::Timestamp;

/// The W3C trace of a message.
pub const TRACEPARENT: &str = "traceparent";
/// Vendor-specific additions to the trace.
pub const TRACESTATE: &str = "tracestate";
/// The configured name of the source that owns a delayed action.
pub const SOURCE: &str = "acteon-source";
/// The consumer group, or another value that distinguishes sources of the same name.
pub const GROUP: &str = "acteon-group";
/// The attempts made for a delayed action, as JSON.
pub const HISTORY: &str = "acteon-history";
/// The earliest time to offer a delayed message: milliseconds since the epoch.
pub const NOT_BEFORE: &str = "acteon-not-before";
/// The position of the original, such as `kafka:orders/3@1042`.
pub const POSITION: &str = "acteon-position";
/// The id of the action.
pub const ID: &str = "acteon-action-id";
/// When the original was made: milliseconds since the epoch.
pub const MADE_AT: &str = "acteon-made-at";
/// The kind of a dead letter.
pub const KIND: &str = "acteon-kind";
/// The stable code of a dead letter's error.
pub const CODE: &str = "acteon-code";
/// The message of a dead letter's error.
pub const MESSAGE: &str = "acteon-message";

/// The owner of delayed actions. Other sources pass over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The configured name of the source.
    pub source: CompactString,
    /// Its consumer group.
    pub group: CompactString,
}

/// The headers of an action that must not be offered before `not_before`.
pub fn delayed_headers(
    owner: &Owner,
    envelope: &Envelope,
    not_before: Timestamp,
) -> Vec<(&'static str, CompactString)> {
    let action = &envelope.action;
    let mut headers = vec![
        (SOURCE, owner.source.clone()),
        (GROUP, owner.group.clone()),
        (NOT_BEFORE, millis(not_before)),
        (POSITION, envelope.position.to_compact_string()),
        (MADE_AT, millis(action.created_at.timestamp())),
        (ID, action.id.clone()),
    ];
    let history = envelope.history.as_deref().map(serde_json::to_string);
    if let Some(Ok(history)) = history {
        headers.push((HISTORY, history.into()));
    }
    for name in [TRACEPARENT, TRACESTATE] {
        if let Some(value) = action.trace_context.get(name) {
            headers.push((name, value.into()));
        }
    }
    headers
}

/// The headers of a message that this crate reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct MessageHeaders<'a> {
    /// The W3C header `traceparent`.
    pub traceparent: Option<&'a str>,
    /// The W3C header `tracestate`.
    pub tracestate: Option<&'a str>,
    /// The id given to an action that came without one.
    pub id: Option<&'a str>,
    source: Option<&'a str>,
    group: Option<&'a str>,
    not_before: Option<&'a str>,
    position: Option<&'a str>,
    made_at: Option<&'a str>,
    history: Option<&'a str>,
}

impl<'a> MessageHeaders<'a> {
    /// Reads these headers and ignores others. If a name appears twice, the later one wins.
    pub fn of(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut read = Self::default();
        for (name, value) in headers {
            let field = match name {
                TRACEPARENT => &mut read.traceparent,
                TRACESTATE => &mut read.tracestate,
                SOURCE => &mut read.source,
                GROUP => &mut read.group,
                NOT_BEFORE => &mut read.not_before,
                POSITION => &mut read.position,
                ID => &mut read.id,
                MADE_AT => &mut read.made_at,
                HISTORY => &mut read.history,
                _ => continue,
            };
            *field = std::str::from_utf8(value).ok();
        }
        read
    }

    /// Keeps only the trace: the other headers are valid only on delayed actions.
    #[must_use]
    pub fn only_trace(self) -> Self {
        Self {
            traceparent: self.traceparent,
            tracestate: self.tracestate,
            ..Self::default()
        }
    }

    /// True for a delayed action of this owner.
    pub fn is_of(&self, owner: &Owner) -> bool {
        self.source == Some(&*owner.source) && self.group == Some(&*owner.group)
    }

    /// How long it still has to wait at `now`; `None` if it is due.
    pub fn wait(&self, now: Timestamp) -> Option<Duration> {
        let wait = timestamp(self.not_before?)?.duration_since(now);
        Duration::try_from(wait).ok().filter(|wait| !wait.is_zero())
    }

    /// Its original position.
    pub fn position(&self) -> Option<Position> {
        let (stream, offset) = self.position?.rsplit_once('@')?;
        Some(Position {
            stream: stream.into(),
            offset: Some(offset.parse().ok()?),
        })
    }

    /// When the original was made.
    pub fn made_at(&self) -> Option<Timestamp> {
        timestamp(self.made_at?)
    }

    /// The attempts made before.
    pub fn history(&self) -> Option<Box<History>> {
        serde_json::from_str(self.history?).ok()
    }
}

fn millis(at: Timestamp) -> CompactString {
    at.as_millisecond().to_compact_string()
}

fn timestamp(millis: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use acteon_core::{AttemptRecord, DeliveryProgress, FailureCode};
    use acteon_testkit::action;

    use super::*;

    fn owner(source: &str, group: &str) -> Owner {
        Owner {
            source: source.into(),
            group: group.into(),
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn history() -> History {
        let mut history = History::beginning(at(5));
        history.redeliveries = 2;
        history.progress = Some(Box::new(DeliveryProgress {
            has_accepted: true,
            state: r#"{"email":{"accepted":["0011"]}}"#.into(),
        }));
        history.push(AttemptRecord {
            at: at(6),
            provider: "p".into(),
            status: Some(503),
            code: Some(FailureCode::ExecutionFailed),
            duration_ms: 7,
            excerpt: Some("b\"usy".into()),
        });
        history
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut envelope = action("a").position("kafka:orders/3", 1042).envelope();
        envelope.history = Some(Box::new(history()));
        envelope.action.created_at = at(3).into();
        envelope.action.trace_context.insert("traceparent", "00-1");
        let own = owner("orders", "acteon");
        let headers = delayed_headers(&own, &envelope, at(100));
        let written = headers.iter().map(|(name, v)| (*name, v.as_bytes()));
        let read = MessageHeaders::of(written);
        assert!(read.is_of(&own));
        assert_eq!(read.wait(at(60)), Some(Duration::from_secs(40)));
        assert_eq!(read.wait(at(100)), None);
        assert_eq!(read.position(), Some(envelope.position));
        assert_eq!((read.id, read.made_at()), (Some("a"), Some(at(3))));
        assert_eq!(read.history().as_deref(), Some(&history()));
        assert_eq!(read.traceparent, Some("00-1"));
    }

    #[test]
    fn an_action_of_another_source_or_group_is_not_ours() {
        let envelope = action("a").envelope();
        let headers = delayed_headers(&owner("orders", "acteon"), &envelope, at(1));
        let read = MessageHeaders::of(headers.iter().map(|(name, v)| (*name, v.as_bytes())));
        assert!(!read.is_of(&owner("orders", "other")));
        assert!(!read.is_of(&owner("bills", "acteon")));
        assert!(!MessageHeaders::default().is_of(&owner("orders", "acteon")));
    }

    #[test]
    fn a_delay_set_by_a_producer_is_ignored() {
        let envelope = action("a").envelope();
        let own = owner("orders", "acteon");
        let headers = delayed_headers(&own, &envelope, at(1));
        let read =
            MessageHeaders::of(headers.iter().map(|(name, v)| (*name, v.as_bytes()))).only_trace();
        assert!(!read.is_of(&own) && read.wait(at(0)).is_none() && read.id.is_none());
    }
}
