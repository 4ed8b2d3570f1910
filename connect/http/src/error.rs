//! The one format of errors, with one constructor for each code. Callers of the constructors must keep secrets and
//! payload contents out of messages.

use std::error::Error;
use std::time::Duration;

use acteon_core::Refusal;
use acteon_core::decode::DecodeError;
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{code, events};

/// The error that an endpoint answers a request with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The status of the answer.
    pub status: StatusCode,
    /// One of [`crate::code`].
    pub code: &'static str,
    /// What is wrong, and where.
    pub message: String,
    /// True if the same request can succeed later.
    pub retryable: bool,
    /// How long to wait before a retry; always set for 429 and 503.
    pub retry_after: Option<Duration>,
    /// For the log only.
    cause: Option<String>,
}

/// An error as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErrorBody {
    /// A stable code in upper snake case.
    pub code: &'static str,
    /// What is wrong, and where.
    pub message: String,
    /// True if the same request can succeed later.
    pub retryable: bool,
    /// Seconds to wait before a retry; only with 429 and 503.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// The cause of an internal error. It travels in the answer's extensions to the code that knows the request id.
#[derive(Clone)]
pub(crate) struct Cause(pub(crate) String);

/// The maximum length of path and query together.
pub(crate) const URI_BYTES_MAX: usize = 16 << 10;

/// How long clients wait for conditions that usually pass by themselves.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

impl ApiError {
    /// 400: the body is not JSON or does not match the schema of the endpoint.
    pub fn invalid_json(message: impl Into<String>) -> Self {
        Self::permanent(StatusCode::BAD_REQUEST, code::INVALID_JSON, message)
    }

    /// 400: a query parameter is unknown, missing or malformed; the message names it.
    pub fn invalid_query(message: impl Into<String>) -> Self {
        Self::permanent(StatusCode::BAD_REQUEST, code::INVALID_QUERY, message)
    }

    /// 400: the new rules have errors; the old ones stay in force.
    pub fn rules_invalid(message: impl Into<String>) -> Self {
        Self::permanent(StatusCode::BAD_REQUEST, code::RULES_INVALID, message)
    }

    /// 401: the credentials are missing or invalid.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::permanent(StatusCode::UNAUTHORIZED, code::UNAUTHENTICATED, message)
    }

    /// 403: the credentials are valid but do not grant access.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::permanent(StatusCode::FORBIDDEN, code::FORBIDDEN, message)
    }

    /// 404; the code says what was not found.
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::permanent(StatusCode::NOT_FOUND, code, message)
    }

    /// 405: the path does not support this method.
    pub fn method_not_allowed(message: impl Into<String>) -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::permanent(status, code::METHOD_NOT_ALLOWED, message)
    }

    /// 408: the body did not arrive, or arrived too slowly. The connection is closed.
    pub fn request_timeout(message: impl Into<String>) -> Self {
        let status = StatusCode::REQUEST_TIMEOUT;
        Self {
            retryable: true,
            ..Self::permanent(status, code::REQUEST_TIMEOUT, message)
        }
    }

    /// 409: the state machine has no such transition.
    pub fn invalid_transition(message: impl Into<String>) -> Self {
        Self::permanent(StatusCode::CONFLICT, code::INVALID_TRANSITION, message)
    }

    /// 409: the group is being delivered already.
    pub fn group_not_pending(message: impl Into<String>) -> Self {
        Self::permanent(StatusCode::CONFLICT, code::GROUP_NOT_PENDING, message)
    }

    /// 409: several rules have a group under the key.
    pub fn group_ambiguous(message: impl Into<String>) -> Self {
        Self::permanent(StatusCode::CONFLICT, code::GROUP_AMBIGUOUS, message)
    }

    /// 409: the silence has ended, so it cannot be changed.
    pub fn silence_ended(message: impl Into<String>) -> Self {
        Self::permanent(StatusCode::CONFLICT, code::SILENCE_ENDED, message)
    }

    /// 409: the namespace and tenant have as many silences as they may have.
    pub fn silences_full(message: impl Into<String>) -> Self {
        Self::permanent(StatusCode::CONFLICT, code::SILENCES_FULL, message)
    }

    /// 409: another request is replaying the dead letter. If that replay fails, the letter can be replayed again.
    pub fn replay_in_progress(message: impl Into<String>) -> Self {
        Self {
            retryable: true,
            ..Self::permanent(StatusCode::CONFLICT, code::REPLAY_IN_PROGRESS, message)
        }
    }

    /// 413: too many bytes or too many actions; the message names the limit.
    pub fn payload_too_large(message: impl Into<String>) -> Self {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::permanent(status, code::PAYLOAD_TOO_LARGE, message)
    }

    /// 414: the path and the query are too long together.
    pub fn uri_too_long() -> Self {
        let message = format!("the path and query are longer than {URI_BYTES_MAX} bytes");
        Self::permanent(StatusCode::URI_TOO_LONG, code::URI_TOO_LONG, message)
    }

    /// The error for bytes that the HTTP library refuses with this status, before there is a request.
    pub fn of_library(status: StatusCode) -> Self {
        match status {
            StatusCode::URI_TOO_LONG => Self::uri_too_long(),
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                let message = "the head of the request is too large or has too many headers";
                Self::permanent(status, code::HEADERS_TOO_LARGE, message)
            }
            _ => Self::permanent(
                StatusCode::BAD_REQUEST,
                code::INVALID_REQUEST,
                "not a valid HTTP/1.1 request",
            ),
        }
    }

    /// 415: the body is not declared as JSON, or its encoding is not supported.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::permanent(status, code::UNSUPPORTED_MEDIA_TYPE, message)
    }

    /// 422: the body is JSON but not an action; the message names the field.
    pub fn invalid_action(message: impl Into<String>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::permanent(status, code::INVALID_ACTION, message)
    }

    /// 422: the body is JSON but not a silence; the message names the field.
    pub fn invalid_silence(message: impl Into<String>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::permanent(status, code::INVALID_SILENCE, message)
    }

    /// 429: the caller sends too many requests.
    pub fn rate_limited(message: impl Into<String>, after: Duration) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::transient(status, code::RATE_LIMITED, message, after)
    }

    /// 503: too much is in flight.
    pub fn overloaded(after: Duration) -> Self {
        let message = "too much is in flight: try again later";
        Self::unavailable(code::OVERLOADED, message, after)
    }

    /// 503: another request is processing an action with the same id or key.
    pub fn busy(after: Duration) -> Self {
        let message = "an action with the same id or key is being processed: try again later";
        Self::unavailable(code::OVERLOADED, message, after)
    }

    /// 503: the state backend cannot be reached.
    pub fn state_unavailable() -> Self {
        let message = "the state backend cannot be reached: try again later";
        Self::unavailable(code::STATE_UNAVAILABLE, message, DEFAULT_RETRY_AFTER)
    }

    /// 503: the state backend has reached its limit.
    pub fn state_full(after: Duration) -> Self {
        let message = "the state backend is full: try again later";
        Self::unavailable(code::STATE_FULL, message, after)
    }

    /// 503: the process is stopping.
    pub fn shutting_down() -> Self {
        let message = "this server is shutting down: try again elsewhere or later";
        Self::unavailable(code::SHUTTING_DOWN, message, DEFAULT_RETRY_AFTER)
    }

    /// The error for an action that the pipeline returned without an outcome. An abandoned one is a bug, which is
    /// logged as `abandoned`.
    pub fn of_refusal(refusal: Refusal, after: Duration, abandoned: &dyn Error) -> Self {
        match refusal {
            Refusal::Overloaded => Self::overloaded(after),
            Refusal::StateFull | Refusal::DeadLettersFull => Self::state_full(after),
            Refusal::StateUnavailable => Self::state_unavailable(),
            Refusal::Busy => Self::busy(after),
            Refusal::ShuttingDown => Self::shutting_down(),
            Refusal::Abandoned => Self::internal(abandoned),
        }
    }

    /// 500: `error` and its sources go to the log with the request id; the client sees only the id.
    pub fn internal(error: &dyn Error) -> Self {
        let mut cause = error.to_string();
        let mut below = error.source();
        while let Some(error) = below {
            cause = format!("{cause}: {error}");
            below = error.source();
        }
        let message = "internal error: see the log of the server";
        let mut this = Self::permanent(StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL, message);
        this.cause = Some(cause);
        this
    }

    /// The body that the client sees.
    pub fn into_body(self) -> ErrorBody {
        ErrorBody {
            code: self.code,
            message: self.message,
            retryable: self.retryable,
            retry_after: self.retry_after.map(whole_seconds),
        }
    }

    /// The error that the client sees for one item of a batch. An internal error is logged under `request_id`.
    pub fn into_batch_item(self, request_id: &str) -> ErrorBody {
        let error = match &self.cause {
            Some(cause) => {
                events::failed(request_id, cause);
                Self::internal_with_id(request_id)
            }
            None => self,
        };
        ErrorBody {
            retry_after: None,
            ..error.into_body()
        }
    }

    /// The answer to an internal error, once the request id is known.
    pub(crate) fn internal_with_id(request_id: &str) -> Self {
        let message = format!("internal error: see the log of the server, request {request_id}");
        Self::permanent(StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL, message)
    }

    /// The error for a framework's refusal, of which only the status is known.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or("no reason given");
        let message = format!("the request was refused: {}", reason.to_lowercase());
        let code = match status {
            StatusCode::UNAUTHORIZED => code::UNAUTHENTICATED,
            StatusCode::FORBIDDEN => code::FORBIDDEN,
            StatusCode::NOT_FOUND => code::NOT_FOUND,
            StatusCode::METHOD_NOT_ALLOWED => code::METHOD_NOT_ALLOWED,
            StatusCode::REQUEST_TIMEOUT => return Self::request_timeout(message),
            StatusCode::PAYLOAD_TOO_LARGE => code::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => code::UNSUPPORTED_MEDIA_TYPE,
            StatusCode::TOO_MANY_REQUESTS => {
                return Self::transient(status, code::RATE_LIMITED, message, DEFAULT_RETRY_AFTER);
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                return Self::transient(status, code::OVERLOADED, message, DEFAULT_RETRY_AFTER);
            }
            _ if status.is_client_error() => code::INVALID_QUERY,
            _ => code::INTERNAL,
        };
        Self::permanent(status, code, message)
    }

    fn permanent(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retryable: false,
            retry_after: None,
            cause: None,
        }
    }

    fn transient(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        after: Duration,
    ) -> Self {
        Self {
            retryable: true,
            retry_after: Some(after),
            ..Self::permanent(status, code, message)
        }
    }

    fn unavailable(code: &'static str, message: &str, after: Duration) -> Self {
        Self::transient(StatusCode::SERVICE_UNAVAILABLE, code, message, after)
    }
}

impl From<&DecodeError> for ApiError {
    fn from(error: &DecodeError) -> Self {
        match error {
            DecodeError::Json { .. } => Self::invalid_json(error.to_string()),
            DecodeError::Action { .. } => Self::invalid_action(error.to_string()),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        let status = self.status;
        let cause = self.cause.take();
        let body = self.into_body();
        let retry_after = body.retry_after;
        // Strings and numbers always serialize, and an empty body is the least bad answer if they do not.
        let json = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (status, json).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::REQUEST_TIMEOUT {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(cause) = cause {
            response.extensions_mut().insert(Cause(cause));
        }
        response
    }
}

/// Rounds up, and never to zero: a client that reads zero does not wait.
fn whole_seconds(wait: Duration) -> u64 {
    let up = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(up).max(1)
}
