//! The part of a request that both endpoints share: its query, its body within the limits, and the envelope of an
//! action.

use acteon_connect_http::{ApiError, BodyPermit, read_json_within};
use acteon_core::decode::{Defaults, Draft};
use acteon_core::delivery::Position;
use acteon_core::ids::Ids;
use acteon_core::{Caller, Envelope, Labels, Memory, Policy};
use axum::extract::Request;
use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::source::HttpSource;

/// The longest `traceparent` or `tracestate` that is copied to an action.
const TRACE_BYTES_MAX: usize = 512;

/// The query of both endpoints.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DispatchQuery {
    /// Evaluates the rules without changing anything.
    #[serde(default)]
    #[param(required = false, default = false)]
    pub(crate) dry_run: bool,
}

/// The parts of a request that its actions share.
pub(crate) struct ReceivedRequest {
    pub(crate) body: Bytes,
    /// Covers the bytes reserved while the body arrived.
    pub(crate) permit: BodyPermit,
    /// The request's trace headers, for actions without a trace context.
    pub(crate) trace: Labels,
    pub(crate) received_at: Timestamp,
    /// For actions without an id.
    pub(crate) ids: Ids,
}

impl HttpSource {
    /// Reads the whole body, which must be declared as JSON.
    pub(crate) async fn read(&self, request: Request) -> Result<ReceivedRequest, ApiError> {
        let trace = trace_of(request.headers());
        let admission = self.context.admission.clone();
        let mut permit = BodyPermit::new(admission, self.context.admission_timeout);
        let body = read_json_within(request, &mut permit).await?;
        let received_at = self.context.clock.now();
        Ok(ReceivedRequest {
            body,
            permit,
            trace,
            received_at,
            ids: Ids::at(received_at),
        })
    }

    /// The envelope of an action, boxed from the start because it is large and moves often. It shares the memory of its
    /// request and leaves `raw` empty, because an action that is answered never becomes a dead letter.
    pub(crate) fn envelope(
        &self,
        draft: Draft,
        request: &mut ReceivedRequest,
    ) -> Result<Box<Envelope>, ApiError> {
        let now = request.received_at;
        let id_given = draft.has_id();
        let mut action = draft
            .complete(&Defaults::default(), || request.ids.text(), now)
            .map_err(|error| ApiError::from(&error))?;
        if action.trace_context.is_empty() && !request.trace.is_empty() {
            action.trace_context = request.trace.clone();
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
        // A `tracestate` has no meaning without a `traceparent`.
        None => Labels::default(),
    }
}
