//! From how a loan ended to what the client reads. Outcomes are written straight into the body.

use acteon_connect_http::{ApiError, ErrorBody};
use acteon_core::delivery::Settled;
use acteon_core::{ActionOutcome, Failure, FailureCode, Permit, Refusal};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use thiserror::Error;

use crate::loans::Ended;

/// About what an outcome takes, in bytes.
const OUTCOME_BYTES: usize = 128;

/// A bug: whoever held the action gave it up without an end.
#[derive(Debug, Error)]
#[error("an action was given up without an outcome")]
pub(crate) struct Unanswered;

/// The outcome to answer with, or why there is none.
pub(crate) fn outcome_of(settled: Settled) -> Result<ActionOutcome, ApiError> {
    match settled {
        Settled::Done(outcome) => Ok(outcome),
        // The policy of this source asks for none, but a client can be told the truth about one.
        Settled::DeadLettered(letter) => Ok(ActionOutcome::Failed(Failure {
            code: FailureCode::ExecutionFailed,
            message: letter.message.clone(),
            retryable: false,
            attempts: letter.attempts,
        })),
        Settled::Retry { after, refusal, .. } => Err(match refusal {
            Refusal::Overloaded => ApiError::overloaded(after),
            Refusal::StateFull | Refusal::DeadLettersFull => ApiError::state_full(after),
            Refusal::Busy => ApiError::busy(after),
            Refusal::StateUnavailable => ApiError::state_unavailable(),
            Refusal::ShuttingDown => ApiError::shutting_down(),
            Refusal::Abandoned => ApiError::internal(&Unanswered),
        }),
        // Callers who wait are never told to wait for a redelivery.
        Settled::Later { .. } => Err(ApiError::internal(&Unanswered)),
    }
}

/// A 200 with this outcome.
pub(crate) fn json(Ended { outcome, room }: Ended) -> Result<Response, ApiError> {
    let outcome = outcome?;
    let mut body = Vec::with_capacity(OUTCOME_BYTES + outcome.body_bytes());
    serde_json::to_writer(&mut body, &outcome).map_err(|error| ApiError::internal(&error))?;
    Ok(json_response(body, room))
}

/// The body of an answer, which has its room until it is written out.
struct Paid {
    body: Vec<u8>,
    _room: Permit,
}

impl AsRef<[u8]> for Paid {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

fn json_response(body: Vec<u8>, room: Option<Permit>) -> Response {
    let kind = HeaderValue::from_static("application/json");
    let body = match room {
        Some(room) => Bytes::from_owner(Paid { body, _room: room }),
        None => body.into(),
    };
    ([(CONTENT_TYPE, kind)], body).into_response()
}

/// The answer to a batch in the making: a JSON array.
pub(crate) struct Outcomes<'a> {
    body: Vec<u8>,
    room: Option<Permit>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct FailedItem {
    error: ErrorBody,
}

impl<'a> Outcomes<'a> {
    pub(crate) fn new(count: usize, request_id: &'a str) -> Self {
        let body = Vec::with_capacity(2 + count * OUTCOME_BYTES);
        Self {
            body,
            room: None,
            request_id,
        }
    }

    /// Writes one item for each of `refused`: the error, or the next of `ended`.
    pub(crate) fn write_all(
        &mut self,
        refused: Vec<Option<ApiError>>,
        ended: &mut dyn Iterator<Item = Ended>,
    ) {
        let missing = || Err(ApiError::internal(&Unanswered)).into();
        for refusal in refused {
            let ended = match refusal {
                Some(error) => Err(error).into(),
                None => ended.next().unwrap_or_else(missing),
            };
            self.write(ended.outcome);
            self.keep(ended.room);
        }
    }

    fn keep(&mut self, more: Option<Permit>) {
        match (&mut self.room, more) {
            (Some(room), Some(more)) => room.merge(more),
            (room @ None, more) => *room = more,
            (Some(_), None) => {}
        }
    }

    fn write(&mut self, item: Result<ActionOutcome, ApiError>) {
        self.body
            .push(if self.body.is_empty() { b'[' } else { b',' });
        let whole = self.body.len();
        let written = item.and_then(|outcome| {
            let written = serde_json::to_writer(&mut self.body, &outcome);
            written.map_err(|error| ApiError::internal(&error))
        });
        if let Err(error) = written {
            self.body.truncate(whole);
            let error = error.into_item(self.request_id);
            crate::events::refused(error.code);
            // Strings and a boolean, written into memory: this cannot fail.
            drop(serde_json::to_writer(&mut self.body, &FailedItem { error }));
        }
    }

    pub(crate) fn into_response(mut self) -> Response {
        if self.body.is_empty() {
            self.body.push(b'[');
        }
        self.body.push(b']');
        json_response(self.body, self.room)
    }
}
