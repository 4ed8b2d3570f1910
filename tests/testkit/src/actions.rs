//! Builds actions for tests. Every field has a plain default; a test sets only the fields it is about.

use acteon_core::delivery::Position;
use acteon_core::{Action, Caller, Delivery, Envelope, History, Labels, Memory, Payload, Policy};
use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::Serialize;

use crate::lender::Lender;

/// The time at which test actions are created and read: 2026-01-01T00:00:00Z.
pub fn epoch() -> Timestamp {
    Timestamp::from_second(1_767_225_600).unwrap()
}

/// Starts an action with this id, given by its producer: namespace `ns`, tenant `t1`, provider `log`, type `test`,
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
        created_at: epoch().into(),
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

/// An action under construction. Finish it as an [`Action`], an [`Envelope`] or a [`Delivery`].
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
    /// Sets the namespace.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.action.namespace = namespace.into();
        self
    }

    /// Sets the tenant.
    pub fn tenant(mut self, tenant: &str) -> Self {
        self.action.tenant = tenant.into();
        self
    }

    /// Sets the provider.
    pub fn provider(mut self, provider: &str) -> Self {
        self.action.provider = provider.into();
        self
    }

    /// Sets the type.
    pub fn action_type(mut self, action_type: &str) -> Self {
        self.action.action_type = action_type.into();
        self
    }

    /// Sets the payload, written as compact JSON.
    pub fn payload<T: Serialize>(mut self, payload: &T) -> Self {
        self.action.payload = Payload::from_value(payload).unwrap();
        self
    }

    /// Adds a label.
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.action.labels.insert(key, value);
        self
    }

    /// Sets the dedup key.
    pub fn dedup_key(mut self, key: &str) -> Self {
        self.action.dedup_key = Some(key.into());
        self
    }

    /// Sets the requested state.
    pub fn status(mut self, status: &str) -> Self {
        self.action.status = Some(status.into());
        self
    }

    /// Sets the fingerprint.
    pub fn fingerprint(mut self, fingerprint: &str) -> Self {
        self.action.fingerprint = Some(fingerprint.into());
        self
    }

    /// Sets the creation time.
    pub fn created_at(mut self, at: Timestamp) -> Self {
        self.action.created_at = at.into();
        self
    }

    /// Adds an entry to the trace context, such as `traceparent`.
    pub fn trace(mut self, key: &str, value: &str) -> Self {
        self.action.trace_context.insert(key, value);
        self
    }

    /// Makes the id a generated one, not given by the producer.
    pub fn id_made(mut self) -> Self {
        self.id_given = false;
        self
    }

    /// Sets the position in the source.
    pub fn position(mut self, stream: &str, offset: impl Into<Option<u64>>) -> Self {
        self.position = Position {
            stream: stream.into(),
            offset: offset.into(),
        };
        self
    }

    /// Sets the caller.
    pub fn caller(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }

    /// Sets the time of reading.
    pub fn received_at(mut self, at: Timestamp) -> Self {
        self.received_at = at;
        self
    }

    /// Sets the original bytes. The default is the action's own wire form.
    pub fn raw(mut self, raw: impl Into<Bytes>) -> Self {
        self.raw = Some(raw.into());
        self
    }

    /// Sets the earlier attempts.
    pub fn history(mut self, history: History) -> Self {
        self.history = Some(Box::new(history));
        self
    }

    /// Sets the policy of the source.
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

    /// The action with its provenance.
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

    /// The action on loan from `lender`, which records how the loan ends under the action's id.
    pub fn lent_by(self, lender: &Lender) -> Delivery {
        let name: CompactString = self.action.id.clone();
        lender.lend(name, self.envelope())
    }
}
