//! From how a loan ended to what the client reads. Outcomes are written straight into the body.

use std::fmt::Write as _;

use acteon_connect_http::{ApiError, ErrorBody};
use acteon_core::delivery::Settled;
use acteon_core::{ActionOutcome, Failure, FailureCode, Permit, Refusal};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use serde::Serialize;
use thiserror::Error;

use crate::loans::{Ended, Told};

/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Says which outcomes of a batch were given before: their positions from 0, with commas between them.
const REPLAYED_ITEMS: HeaderName = HeaderName::from_static("idempotent-replayed-items");

/// About what an outcome takes, in bytes.
const OUTCOME_BYTES: usize = 128;

/// A bug: whoever held the action gave it up without an end.
#[derive(Debug, Error)]
#[error("an action was given up without an outcome")]
pub(crate) struct Unanswered;

/// The outcome to answer with, or why there is none.
pub(crate) fn outcome_of(settled: Settled) -> Result<ActionOutcome, ApiError> {
    match settled {
        Settled::Done(outcome) | Settled::Remembered(outcome) => Ok(outcome),
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
pub(crate) fn json(ended: Ended) -> Result<Response, ApiError> {
    let outcome = ended.outcome?;
    let mut body = Vec::with_capacity(OUTCOME_BYTES + outcome.body_bytes());
    serde_json::to_writer(&mut body, &outcome).map_err(|error| ApiError::internal(&error))?;
    let mut response = json_response(body, ended.room);
    if ended.told == Told::Again {
        let headers = response.headers_mut();
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
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
    /// How many there are.
    count: usize,
    /// The positions, from 0, of those that were answered before.
    replayed: String,
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
            count: 0,
            replayed: String::new(),
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
            if ended.told == Told::Again {
                let comma = if self.replayed.is_empty() { "" } else { "," };
                // Into a string: this cannot fail.
                let _ = write!(self.replayed, "{comma}{}", self.count);
            }
            self.count += 1;
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
        let mut response = json_response(self.body, self.room);
        if !self.replayed.is_empty()
            && let Ok(positions) = HeaderValue::try_from(self.replayed)
        {
            response.headers_mut().insert(REPLAYED_ITEMS, positions);
        }
        response
    }
}
