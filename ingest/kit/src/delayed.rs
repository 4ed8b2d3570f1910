//! The data that accompanies an action on its source's delayed path: writes it as headers, and reads it back.

use std::time::Duration;

use acteon_core::delivery::Position;
use acteon_core::{Envelope, History};
use compact_str::{CompactString, ToCompactString};
use jiff::Timestamp;

use crate::headers::{
    GROUP, HISTORY, ID, MADE_AT, NOT_BEFORE, POSITION, SOURCE, TRACEPARENT, TRACESTATE,
};

/// The owner of delayed actions. Other sources pass over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The configured name of the source.
    pub source: CompactString,
    /// Its consumer group.
    pub group: CompactString,
}

/// The headers of an action that must not be offered before `not_before`.
pub fn headers_of(
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

/// The headers of a message that this crate knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
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

impl<'a> Known<'a> {
    /// Reads the known ones of `headers`. If a name appears twice, the later one wins.
    pub fn of(headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut known = Self::default();
        for (name, value) in headers {
            let place = match name {
                TRACEPARENT => &mut known.traceparent,
                TRACESTATE => &mut known.tracestate,
                SOURCE => &mut known.source,
                GROUP => &mut known.group,
                NOT_BEFORE => &mut known.not_before,
                POSITION => &mut known.position,
                ID => &mut known.id,
                MADE_AT => &mut known.made_at,
                HISTORY => &mut known.history,
                _ => continue,
            };
            *place = std::str::from_utf8(value).ok();
        }
        known
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
    use acteon_core::{AttemptRecord, FailureCode};
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
        let headers = headers_of(&own, &envelope, at(100));
        let read = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()));
        let known = Known::of(read);
        assert!(known.is_of(&own));
        assert_eq!(known.wait(at(60)), Some(Duration::from_secs(40)));
        assert_eq!(known.wait(at(100)), None);
        assert_eq!(known.position(), Some(envelope.position));
        assert_eq!((known.id, known.made_at()), (Some("a"), Some(at(3))));
        assert_eq!(known.history().as_deref(), Some(&history()));
        assert_eq!(known.traceparent, Some("00-1"));
    }

    #[test]
    fn an_action_of_another_source_or_group_is_told_apart() {
        let envelope = action("a").envelope();
        let headers = headers_of(&owner("orders", "acteon"), &envelope, at(1));
        let known = Known::of(headers.iter().map(|(name, v)| (*name, v.as_bytes())));
        assert!(!known.is_of(&owner("orders", "other")));
        assert!(!known.is_of(&owner("bills", "acteon")));
        assert!(!Known::default().is_of(&owner("orders", "acteon")));
    }

    #[test]
    fn what_a_producer_says_of_a_delay_is_not_heard() {
        let envelope = action("a").envelope();
        let own = owner("orders", "acteon");
        let headers = headers_of(&own, &envelope, at(1));
        let known = Known::of(headers.iter().map(|(name, v)| (*name, v.as_bytes()))).only_trace();
        assert!(!known.is_of(&own) && known.wait(at(0)).is_none() && known.id.is_none());
    }
}
