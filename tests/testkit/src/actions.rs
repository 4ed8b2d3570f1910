//! Builds actions for tests: everything has a plain default, a test names only what it is about.

use acteon_core::delivery::Position;
use acteon_core::{Action, Caller, Delivery, Envelope, History, Labels, Memory, Payload, Policy};
use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::Serialize;

use crate::lender::Lender;

/// The time at which actions of tests are made and read: 2026-01-01T00:00:00Z.
pub fn epoch() -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap()
}

/// Begins an action of this id, given by its producer: namespace `ns`, tenant `t1`, provider `log`, type `test`,
/// payload `{}`, anonymous caller, outcomes answered as over HTTP.
pub fn action(id: &str) -> ActionBuilder {
    let action = Action {
        id: id.into(),
        namespace: "ns".into(),
        tenant: "t1".into(),
        provider: "log".into(),
        action_type: "test".into(),
        payload: Payload::from_value(&serde_json::json!({})).unwrap(),
        labels: Labels::default(),
        dedup_key: None,
        status: None,
        fingerprint: None,
        starts_at: None,
        ends_at: None,
        created_at: epoch(),
        trace_context: Labels::default(),
    };
    ActionBuilder {
        action,
        id_given: true,
        position: Position {
            stream: "test".into(),
            offset: None,
        },
        caller: Caller::anonymous(),
        received_at: epoch(),
        raw: None,
        history: None,
        policy: Policy::Answer,
    }
}

/// An action in the making. Ends as an [`Action`], an [`Envelope`] or a [`Delivery`].
#[derive(Clone, Debug)]
#[must_use]
pub struct ActionBuilder {
    action: Action,
    id_given: bool,
    position: Position,
    caller: Caller,
    received_at: Timestamp,
    raw: Option<Bytes>,
    history: Option<Box<History>>,
    policy: Policy,
}

impl ActionBuilder {
    /// In this namespace.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.action.namespace = namespace.into();
        self
    }

    /// Of this tenant.
    pub fn tenant(mut self, tenant: &str) -> Self {
        self.action.tenant = tenant.into();
        self
    }

    /// For this provider.
    pub fn provider(mut self, provider: &str) -> Self {
        self.action.provider = provider.into();
        self
    }

    /// Of this type.
    pub fn action_type(mut self, action_type: &str) -> Self {
        self.action.action_type = action_type.into();
        self
    }

    /// With this payload, written as compact JSON.
    pub fn payload<T: Serialize>(mut self, payload: &T) -> Self {
        self.action.payload = Payload::from_value(payload).unwrap();
        self
    }

    /// With one more label.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.action.labels.insert(key, value);
        self
    }

    /// With this dedup key.
    pub fn dedup_key(mut self, key: &str) -> Self {
        self.action.dedup_key = Some(key.into());
        self
    }

    /// Asking for this state.
    pub fn status(mut self, status: &str) -> Self {
        self.action.status = Some(status.into());
        self
    }

    /// With this fingerprint.
    pub fn fingerprint(mut self, fingerprint: &str) -> Self {
        self.action.fingerprint = Some(fingerprint.into());
        self
    }

    /// Made at this time.
    pub fn created_at(mut self, at: Timestamp) -> Self {
        self.action.created_at = at;
        self
    }

    /// With this entry of the trace context, such as `traceparent`.
    pub fn trace(mut self, key: &str, value: &str) -> Self {
        self.action.trace_context.insert(key, value);
        self
    }

    /// The id was made by Acteon, not given by the producer.
    pub fn id_made(mut self) -> Self {
        self.id_given = false;
        self
    }

    /// Read from this place.
    pub fn position(mut self, stream: &str, offset: impl Into<Option<u64>>) -> Self {
        self.position = Position {
            stream: stream.into(),
            offset: offset.into(),
        };
        self
    }

    /// Sent by this caller.
    pub fn caller(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }

    /// Read at this time.
    pub fn received_at(mut self, at: Timestamp) -> Self {
        self.received_at = at;
        self
    }

    /// Read from these bytes; without this, from the action's own wire form.
    pub fn raw(mut self, raw: impl Into<Bytes>) -> Self {
        self.raw = Some(raw.into());
        self
    }

    /// After these attempts.
    pub fn history(mut self, history: History) -> Self {
        self.history = Some(Box::new(history));
        self
    }

    /// From a source of this policy.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The action alone.
    pub fn build(self) -> Action {
        self.action
    }

    /// The action's wire form.
    pub fn json(&self) -> Bytes {
        serde_json::to_vec(&self.action).unwrap().into()
    }

    /// The action with where it came from.
    pub fn envelope(self) -> Envelope {
        let raw = self.raw.clone().unwrap_or_else(|| self.json());
        Envelope {
            action: self.action,
            id_given: self.id_given,
            position: self.position,
            caller: self.caller,
            received_at: self.received_at,
            raw,
            key: None,
            memory: match self.raw {
                Some(_) => Memory::Shared,
                None => Memory::Own,
            },
            history: self.history,
            policy: self.policy,
        }
    }

    /// The action on loan from `lender`, which learns how it ends under the action's id.
    pub fn lent_by(self, lender: &Lender) -> Delivery {
        let name: CompactString = self.action.id.clone();
        lender.lend(name, self.envelope())
    }
}
