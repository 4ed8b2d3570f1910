//! What both endpoints do with a request before there is an action: read it within the bounds, and admit what has come
//! of it.

use std::sync::Arc;
use std::time::Duration;

use acteon_connect_http::{ApiError, Room, read_json_into};
use acteon_core::decode::{DecodeError, Defaults, Draft};
use acteon_core::delivery::Position;
use acteon_core::ids::Ids;
use acteon_core::{Admission, Caller, Envelope, Labels, Memory, Permit, Policy};
use axum::extract::Request;
use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;

use crate::source::HttpSource;

/// How long a refused client shall wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The longest `traceparent` or `tracestate` that is taken over.
const TRACE_BYTES_MAX: usize = 512;

/// The query of both endpoints.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Asked {
    /// True: say what would happen, and let nothing happen.
    #[serde(default)]
    pub(crate) dry_run: bool,
}

/// What all actions of one request share.
pub(crate) struct Provenance {
    pub(crate) body: Bytes,
    /// Holds the room that was taken while the body came.
    pub(crate) room: BodyRoom,
    /// From the request's headers, for actions that say nothing themselves.
    pub(crate) trace: Labels,
    pub(crate) received_at: Timestamp,
    /// For actions without one.
    pub(crate) ids: Ids,
}

/// Room in flight for a body, as much as has come of it.
pub(crate) struct BodyRoom {
    admission: Arc<Admission>,
    patience: Duration,
    permit: Option<Permit>,
}

impl BodyRoom {
    fn bytes(&self) -> u64 {
        self.permit.as_ref().map_or(0, Permit::bytes)
    }

    /// Room for so many actions in so many bytes, with what is there already.
    pub(crate) async fn admit(mut self, actions: usize, bytes: u64) -> Result<Permit, ApiError> {
        let actions = u32::try_from(actions).unwrap_or(u32::MAX);
        let missing = self.missing(bytes.saturating_sub(self.bytes()));
        self.take_more(actions, missing).await?;
        self.permit.ok_or_else(|| ApiError::overloaded(RETRY_AFTER))
    }

    /// As many of these bytes as there is room for at all: what is larger than that takes all the room, alone.
    fn missing(&self, bytes: u64) -> u64 {
        let most = u64::from(self.admission.bytes_max());
        bytes.min(most.saturating_sub(self.bytes()))
    }

    async fn take_more(&mut self, actions: u32, bytes: u64) -> Result<(), ApiError> {
        let admitted = self.admission.admit_within(actions, bytes, self.patience);
        let more = admitted.await;
        let more = more.ok_or_else(|| ApiError::overloaded(RETRY_AFTER))?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

impl Room for BodyRoom {
    async fn take(&mut self, bytes: u64) -> Result<(), ApiError> {
        self.take_more(0, self.missing(bytes)).await
    }

    fn give_back(&mut self) {
        self.permit = None;
    }
}

impl HttpSource {
    /// What the request holds: the whole body, which is declared to be JSON, and where it came from.
    pub(crate) async fn read(&self, request: Request) -> Result<Provenance, ApiError> {
        let trace = trace_of(request.headers());
        let mut room = BodyRoom {
            admission: self.context.admission.clone(),
            patience: self.context.admission_timeout,
            permit: None,
        };
        let body = read_json_into(request, &mut room).await?;
        let received_at = self.context.clock.now();
        Ok(Provenance {
            body,
            room,
            trace,
            received_at,
            ids: Ids::at(received_at),
        })
    }

    /// The action as it goes on loan: in its box from the start, for it is large and moves often. It shares the memory of
    /// its request, of which nobody asks for more than the payload: whoever is answered gets no dead letter.
    pub(crate) fn envelope(
        &self,
        draft: Draft,
        from: &mut Provenance,
    ) -> Result<Box<Envelope>, ApiError> {
        let now = from.received_at;
        let id_given = draft.has_id();
        let mut action = draft
            .complete(&Defaults::default(), || from.ids.text(), now)
            .map_err(|error| refusal_of(&error))?;
        if action.trace_context.is_empty() && !from.trace.is_empty() {
            action.trace_context = from.trace.clone();
        }
        Ok(Box::new(Envelope {
            action,
            id_given,
            position: Position {
                stream: self.stream.clone(),
                offset: None,
            },
            caller: Caller::anonymous(),
            received_at: now,
            raw: Bytes::new(),
            key: None,
            memory: Memory::Shared,
            history: None,
            policy: Policy::Answer,
        }))
    }
}

pub(crate) fn refusal_of(error: &DecodeError) -> ApiError {
    match error {
        DecodeError::Json { .. } => ApiError::invalid_json(error.to_string()),
        DecodeError::Action { .. } => ApiError::invalid_action(error.to_string()),
    }
}

/// The W3C trace headers.
fn trace_of(headers: &HeaderMap) -> Labels {
    let header = |name: &'static str| {
        let value = headers.get(name)?.to_str().ok()?;
        (value.len() <= TRACE_BYTES_MAX).then_some((name, value))
    };
    match header("traceparent") {
        Some(parent) => [Some(parent), header("tracestate")]
            .into_iter()
            .flatten()
            .collect(),
        // A state without a parent belongs to nothing.
        None => Labels::default(),
    }
}
