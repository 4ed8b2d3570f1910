//! Turns the results of loans into answers. Outcomes are serialized directly into the body.

use std::fmt::Write as _;

use acteon_connect_http::{ApiError, ErrorBody};
use acteon_core::{ActionOutcome, Permit};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue};
use serde::Serialize;

use crate::loans::{CallerResult, Freshness, NoOutcome};

/// Marks an answer that repeats an earlier one.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Lists the outcomes of a batch that repeat earlier ones: their positions from 0, separated by commas.
const REPLAYED_ITEMS: HeaderName = HeaderName::from_static("idempotent-replayed-items");

/// The approximate size of an outcome, in bytes.
const OUTCOME_BYTES: usize = 128;

/// The answer to a single action.
pub(crate) fn single(result: CallerResult) -> Result<Response, ApiError> {
    let outcome = result.outcome?;
    let mut body = Vec::with_capacity(OUTCOME_BYTES + outcome.body_bytes());
    serde_json::to_writer(&mut body, &outcome).map_err(|error| ApiError::internal(&error))?;
    let mut response = json_response(body, result.permit);
    if result.freshness == Freshness::Replayed {
        let headers = response.headers_mut();
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// The body of an answer, which keeps its permit until it is sent.
struct PermittedBody {
    body: Vec<u8>,
    _permit: Permit,
}

impl AsRef<[u8]> for PermittedBody {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

fn json_response(body: Vec<u8>, permit: Option<Permit>) -> Response {
    let kind = HeaderValue::from_static("application/json");
    let body = match permit {
        Some(permit) => Bytes::from_owner(PermittedBody {
            body,
            _permit: permit,
        }),
        None => body.into(),
    };
    ([(CONTENT_TYPE, kind)], body).into_response()
}

/// Builds the answer to a batch: a JSON array.
pub(crate) struct BatchAnswer<'a> {
    body: Vec<u8>,
    permit: Option<Permit>,
    /// The number of items written.
    count: usize,
    /// The positions, from 0, of the outcomes that repeat earlier ones.
    replayed: String,
    request_id: &'a str,
}

#[derive(Serialize)]
struct RefusedItem {
    error: ErrorBody,
}

impl<'a> BatchAnswer<'a> {
    pub(crate) fn new(count: usize, request_id: &'a str) -> Self {
        let body = Vec::with_capacity(2 + count * OUTCOME_BYTES);
        Self {
            body,
            permit: None,
            count: 0,
            replayed: String::new(),
            request_id,
        }
    }

    /// Writes one item for each entry of `refused`: its error, or the next of `results`.
    pub(crate) fn write_all(
        &mut self,
        refused: Vec<Option<ApiError>>,
        results: &mut dyn Iterator<Item = CallerResult>,
    ) {
        let missing = || Err(ApiError::internal(&NoOutcome)).into();
        for refusal in refused {
            let result = match refusal {
                Some(error) => Err(error).into(),
                None => results.next().unwrap_or_else(missing),
            };
            if result.freshness == Freshness::Replayed {
                let comma = if self.replayed.is_empty() { "" } else { "," };
                // Writing to a string cannot fail.
                let _ = write!(self.replayed, "{comma}{}", self.count);
            }
            self.count += 1;
            self.write(result.outcome);
            self.keep(result.permit);
        }
    }

    fn keep(&mut self, more: Option<Permit>) {
        match (&mut self.permit, more) {
            (Some(permit), Some(more)) => permit.merge(more),
            (permit @ None, more) => *permit = more,
            (Some(_), None) => {}
        }
    }

    fn write(&mut self, item: Result<ActionOutcome, ApiError>) {
        self.body
            .push(if self.body.is_empty() { b'[' } else { b',' });
        let length = self.body.len();
        let written = item.and_then(|outcome| {
            let written = serde_json::to_writer(&mut self.body, &outcome);
            written.map_err(|error| ApiError::internal(&error))
        });
        if let Err(error) = written {
            self.body.truncate(length);
            let error = error.into_batch_item(self.request_id);
            crate::events::refused(error.code);
            // Writing strings and a boolean to memory cannot fail.
            drop(serde_json::to_writer(
                &mut self.body,
                &RefusedItem { error },
            ));
        }
    }

    pub(crate) fn into_response(mut self) -> Response {
        if self.body.is_empty() {
            self.body.push(b'[');
        }
        self.body.push(b']');
        let mut response = json_response(self.body, self.permit);
        if !self.replayed.is_empty()
            && let Ok(positions) = HeaderValue::try_from(self.replayed)
        {
            response.headers_mut().insert(REPLAYED_ITEMS, positions);
        }
        response
    }
}
