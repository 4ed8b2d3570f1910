//! What both endpoints do with a request before there is an action: read it within the bounds, and admit what it
//! asks for.

use std::time::Duration;

use acteon_connect_http::{ApiError, declared_bytes, discard_body, read_json};
use acteon_core::decode::{DecodeError, Defaults, Draft};
use acteon_core::delivery::Position;
use acteon_core::ids::Ids;
use acteon_core::{Caller, Envelope, Labels, Memory, Permit, Policy};
use axum::extract::Request;
use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;

use crate::source::HttpSource;

/// Bodies up to here are read before they are admitted: they are no larger than what a connection holds anyway, and
/// a client that is slow to send holds no place in flight.
const UNADMITTED_BYTES_MAX: u64 = 64 << 10;
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
    /// From the request's headers, for actions that say nothing themselves.
    pub(crate) trace: Labels,
    pub(crate) received_at: Timestamp,
    /// For actions without one.
    pub(crate) ids: Ids,
}

impl HttpSource {
    /// What the request holds: the whole body, which is declared to be JSON, and where it came from.
    pub(crate) async fn read(&self, request: Request) -> Result<Provenance, ApiError> {
        let trace = trace_of(request.headers());
        let body = self.read_within_bounds(request).await?;
        let received_at = self.context.clock.now();
        Ok(Provenance {
            body,
            trace,
            received_at,
            ids: Ids::at(received_at),
        })
    }

    async fn read_within_bounds(&self, request: Request) -> Result<Bytes, ApiError> {
        let max = self.context.body_bytes_max as u64;
        let declared = declared_bytes(&request).map_or(max, |bytes| bytes.min(max));
        if declared <= UNADMITTED_BYTES_MAX {
            return read_json(request).await;
        }
        match self.admit(0, declared).await {
            Ok(_until_read) => read_json(request).await,
            Err(refusal) => {
                discard_body(request).await;
                Err(refusal)
            }
        }
    }

    /// Room for so many actions in so many bytes.
    pub(crate) async fn admit(&self, actions: usize, bytes: u64) -> Result<Permit, ApiError> {
        let actions = u32::try_from(actions).unwrap_or(u32::MAX);
        let patience = self.context.admission_timeout;
        let admission = &self.context.admission;
        let permit = admission.admit_within(actions, bytes, patience).await;
        permit.ok_or_else(|| ApiError::overloaded(RETRY_AFTER))
    }

    /// The action as it goes on loan: in its box from the start, for it is large and moves often.
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
            // Of a batch this is the whole: whoever is answered gets no dead letter, so nobody reads it.
            raw: from.body.clone(),
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
