//! Decodes a broker's message to an envelope, or to poison with the reason. One parse, no copy of the payload.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use acteon_core::decode::{Defaults, decode};
use acteon_core::delivery::{Position, position_id};
use acteon_core::ids::id_from;
use acteon_core::parked::SHARING_BYTES_MAX;
use acteon_core::{Caller, Envelope, Labels, Memory, Poison, Policy, ThrottledPolicy};
use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};

/// The encoding of a source's messages: its `codec` option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// One JSON object per message: the action.
    #[default]
    Json,
}

/// A message as the broker delivered it.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// Its bytes.
    pub raw: Bytes,
    /// Its position. An action without an id gets one from the position and `made_at`, and from the bytes if there is
    /// no offset. All of them must be the same whenever the message is read again.
    pub position: Position,
    /// The id it was given when first read, if known, or its [`message_id`].
    pub id: Option<CompactString>,
    /// When the message was made, according to the broker. Also the creation time of an action that has none.
    pub made_at: Option<Timestamp>,
    /// When it was read.
    pub received_at: Timestamp,
    /// The W3C header `traceparent`.
    pub traceparent: Option<&'a str>,
    /// The W3C header `tracestate`.
    pub tracestate: Option<&'a str>,
}

/// Decodes the messages of one source.
#[derive(Clone, Debug)]
pub struct Decoder {
    codec: Codec,
    defaults: Defaults,
    caller: Caller,
    policy: Policy,
}

impl Decoder {
    /// A decoder for the source `name`.
    pub fn new(codec: Codec, name: &str, defaults: Defaults, throttled: ThrottledPolicy) -> Self {
        Self {
            codec,
            defaults,
            caller: Caller::source(Arc::from(name)),
            policy: Policy::Broker { throttled },
        }
    }

    /// Recreates the objects that the actions of a batch share, for sources whose batches end on other threads.
    pub fn begin_batch(&mut self) {
        self.caller.id = self.caller.id.as_deref().map(Arc::from);
    }

    /// Decodes one message. The payload shares its bytes. The result is boxed once because it is moved many times.
    ///
    /// # Errors
    /// The message as poison, with the error and its position.
    pub fn decode(&self, message: Message<'_>) -> Result<Box<Envelope>, Box<Poison>> {
        match self.codec {
            Codec::Json => self.decode_json(message),
        }
    }

    fn decode_json(&self, message: Message<'_>) -> Result<Box<Envelope>, Box<Poison>> {
        if message.raw.is_empty() {
            return Err(poison(message, "the message is empty".to_owned()));
        }
        let made_at = message.made_at.unwrap_or(message.received_at);
        let decoded = decode(&message.raw).and_then(|draft| {
            let id_given = draft.has_id();
            let id = || stable_id(&message);
            Ok((draft.complete(&self.defaults, id, made_at)?, id_given))
        });
        let (mut action, id_given) = match decoded {
            Ok(decoded) => decoded,
            Err(error) => return Err(poison(message, error.to_string())),
        };
        trace(&mut action.trace_context, &message);
        Ok(Box::new(Envelope {
            action,
            id_given,
            position: message.position,
            caller: self.caller.clone(),
            received_at: message.received_at,
            key: None,
            memory: match message.raw.len() <= SHARING_BYTES_MAX {
                true => Memory::Shared,
                false => Memory::Own,
            },
            raw: message.raw,
            history: None,
            policy: self.policy,
        }))
    }
}

/// The id of a message without one: the same whenever it is read. Without an id or an offset it follows from the bytes,
/// so equal messages get equal ids.
fn stable_id(message: &Message<'_>) -> CompactString {
    let made_at = message.made_at.unwrap_or(Timestamp::UNIX_EPOCH);
    match (&message.id, message.position.offset) {
        (Some(id), _) => id.clone(),
        (None, Some(_)) => position_id(&message.position, made_at),
        (None, None) => hashed_id(&message.position.stream, &message.raw, made_at),
    }
}

/// The id of a message that has no offset, but its own id within its stream.
pub fn message_id(stream: &str, id: &str, made_at: Option<Timestamp>) -> CompactString {
    hashed_id(
        stream,
        id.as_bytes(),
        made_at.unwrap_or(Timestamp::UNIX_EPOCH),
    )
}

fn hashed_id(stream: &str, bytes: &[u8], at: Timestamp) -> CompactString {
    // The hash key is public: whoever chooses messages could as well choose ids.
    let mut hasher = SipHasher13::new();
    stream.hash(&mut hasher);
    hasher.write(bytes);
    let mut chance = [0; 10];
    chance.copy_from_slice(&hasher.finish128().as_bytes()[..10]);
    id_from(at, chance)
}

/// Takes the trace from the message headers unless the action has its own.
fn trace(context: &mut Labels, message: &Message<'_>) {
    if let Some(parent) = message.traceparent
        && context.get("traceparent").is_none()
    {
        context.insert("traceparent", parent);
        if let Some(state) = message.tracestate {
            context.insert("tracestate", state);
        }
    }
}

fn poison(message: Message<'_>, reason: String) -> Box<Poison> {
    Box::new(Poison {
        raw: message.raw,
        reason,
        position: message.position,
        made_at: message.made_at.unwrap_or(message.received_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTION: &str =
        r#"{"namespace":"n","tenant":"t","provider":"p","action_type":"a","payload":{"x":1}}"#;
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn message(raw: &str, offset: u64) -> Message<'_> {
        Message {
            raw: Bytes::copy_from_slice(raw.as_bytes()),
            position: Position {
                stream: "kafka:orders/3".into(),
                offset: Some(offset),
            },
            id: None,
            made_at: Some(Timestamp::from_second(1_000_000).unwrap()),
            received_at: Timestamp::from_second(2_000_000).unwrap(),
            traceparent: Some(PARENT),
            tracestate: Some("a=1"),
        }
    }

    fn decoder() -> Decoder {
        let throttled = ThrottledPolicy::Retry;
        Decoder::new(Codec::Json, "orders", Defaults::default(), throttled)
    }

    #[test]
    fn a_message_read_again_keeps_the_id_it_was_given_and_another_gets_another() {
        let id = |offset, received| {
            let mut message = message(ACTION, offset);
            message.received_at = Timestamp::from_second(received).unwrap();
            let envelope = decoder().decode(message).unwrap();
            assert!(!envelope.id_given);
            envelope.action.id
        };
        assert_eq!(id(7, 2_000_000), id(7, 3_000_000));
        assert_ne!(id(7, 2_000_000), id(8, 2_000_000));
    }

    #[test]
    fn without_an_offset_the_id_follows_from_the_message_id_or_the_bytes() {
        let id = |raw: &str, message_id: Option<&str>| {
            let mut message = message(raw, 7);
            message.position.offset = None;
            let stream = message.position.stream.clone();
            message.id = message_id.map(|id| super::message_id(&stream, id, message.made_at));
            decoder().decode(message).unwrap().action.id
        };
        let other = ACTION.replace('1', "2");
        assert_eq!(id(ACTION, None), id(ACTION, None));
        assert_ne!(id(ACTION, None), id(&other, None));
        assert_eq!(id(ACTION, Some("a")), id(&other, Some("a")));
        assert_ne!(id(ACTION, Some("a")), id(ACTION, Some("b")));
    }

    #[test]
    fn an_id_from_an_earlier_reading_is_kept() {
        let mut message = message(ACTION, 7);
        message.id = Some("earlier".into());
        let envelope = decoder().decode(message).unwrap();
        assert_eq!(
            (envelope.action.id.as_str(), envelope.id_given),
            ("earlier", false)
        );
    }

    #[test]
    fn an_action_without_a_time_was_made_when_its_message_was() {
        let envelope = decoder().decode(message(ACTION, 7)).unwrap();
        assert_eq!(
            envelope.action.created_at.timestamp().as_second(),
            1_000_000
        );
        assert_eq!(envelope.caller.id.as_deref(), Some("orders"));
    }

    #[test]
    fn the_headers_give_the_trace_unless_the_action_brings_its_own() {
        let envelope = decoder().decode(message(ACTION, 7)).unwrap();
        assert_eq!(
            envelope.action.trace_context.get("traceparent"),
            Some(PARENT)
        );
        assert_eq!(envelope.action.trace_context.get("tracestate"), Some("a=1"));
        let own = ACTION.replacen('{', r#"{"trace_context":{"traceparent":"own"},"#, 1);
        let envelope = decoder().decode(message(&own, 7)).unwrap();
        assert_eq!(
            envelope.action.trace_context.get("traceparent"),
            Some("own")
        );
        assert_eq!(envelope.action.trace_context.get("tracestate"), None);
    }

    #[test]
    fn what_is_no_action_is_poison_with_its_bytes_and_its_place() {
        for raw in ["", "nonsense", "[]", r#"{"namespace":"n"}"#] {
            let poison = decoder().decode(message(raw, 7)).unwrap_err();
            assert_eq!(poison.raw, raw);
            assert_eq!(poison.position.to_string(), "kafka:orders/3@7");
            assert!(!poison.reason.is_empty());
        }
    }
}
