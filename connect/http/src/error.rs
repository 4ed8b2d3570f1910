//! The one shape of an error, with one constructor for each code. Who may see what in a message is the
//! constructor's caller to know: no secrets, no payload contents.

use std::error::Error;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{code, events};

/// What an endpoint answers when it does not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The status of the answer.
    pub status: StatusCode,
    /// One of [`crate::code`].
    pub code: &'static str,
    /// What was wrong, and where.
    pub message: String,
    /// True when the same request can succeed later.
    pub retryable: bool,
    /// How long to wait first; always there on 429 and 503.
    pub retry_after: Option<Duration>,
    /// For the log only.
    cause: Option<String>,
}

/// An error as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ErrorBody {
    /// Stable, in upper snake case.
    pub code: &'static str,
    /// What was wrong, and where.
    pub message: String,
    /// True when the same request can succeed later.
    pub retryable: bool,
    /// Seconds to wait before trying again; on 429 and 503 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

/// What stood behind an internal error. Travels in the answer's extensions to where the request id is known.
#[derive(Clone)]
pub(crate) struct Cause(pub(crate) String);

/// How long path and query together may be.
pub(crate) const URI_BYTES_MAX: usize = 16 << 10;

/// How long to wait for what usually passes by itself.
const SOON: Duration = Duration::from_secs(1);

impl ApiError {
    /// 400: the body is not JSON, or not of the shape that the endpoint takes.
    pub fn invalid_json(message: impl Into<String>) -> Self {
        Self::fatal(StatusCode::BAD_REQUEST, code::INVALID_JSON, message)
    }

    /// 400: a query parameter is missing or malformed; the message names it.
    pub fn invalid_query(message: impl Into<String>) -> Self {
        Self::fatal(StatusCode::BAD_REQUEST, code::INVALID_QUERY, message)
    }

    /// 400: the rules have errors; the old ones stay in force.
    pub fn rules_invalid(message: impl Into<String>) -> Self {
        Self::fatal(StatusCode::BAD_REQUEST, code::RULES_INVALID, message)
    }

    /// 401: no credentials, or bad ones.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::fatal(StatusCode::UNAUTHORIZED, code::UNAUTHENTICATED, message)
    }

    /// 403: good credentials without the right.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::fatal(StatusCode::FORBIDDEN, code::FORBIDDEN, message)
    }

    /// 404 with the code that says what is not there.
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::fatal(StatusCode::NOT_FOUND, code, message)
    }

    /// 405: the path exists, but not with this method.
    pub fn method_not_allowed(message: impl Into<String>) -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::fatal(status, code::METHOD_NOT_ALLOWED, message)
    }

    /// 408: the body did not come, or too slowly. The connection is closed.
    pub fn request_timeout(message: impl Into<String>) -> Self {
        let status = StatusCode::REQUEST_TIMEOUT;
        Self {
            retryable: true,
            ..Self::fatal(status, code::REQUEST_TIMEOUT, message)
        }
    }

    /// 409: the state machine has no such transition.
    pub fn invalid_transition(message: impl Into<String>) -> Self {
        Self::fatal(StatusCode::CONFLICT, code::INVALID_TRANSITION, message)
    }

    /// 409: the group was flushed already.
    pub fn group_not_pending(message: impl Into<String>) -> Self {
        Self::fatal(StatusCode::CONFLICT, code::GROUP_NOT_PENDING, message)
    }

    /// 413: too many bytes, or too many actions; the message says how many are allowed.
    pub fn payload_too_large(message: impl Into<String>) -> Self {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::fatal(status, code::PAYLOAD_TOO_LARGE, message)
    }

    /// 414: the path and the query together have too many bytes.
    pub fn uri_too_long() -> Self {
        let message = format!("the path and query have more than {URI_BYTES_MAX} bytes");
        Self::fatal(StatusCode::URI_TOO_LONG, code::URI_TOO_LONG, message)
    }

    /// What the HTTP library refuses by itself, with this status, before there is a request.
    pub fn of_library(status: StatusCode) -> Self {
        match status {
            StatusCode::URI_TOO_LONG => Self::uri_too_long(),
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                let message = "the head of the request is too large, or has too many headers";
                Self::fatal(status, code::HEADERS_TOO_LARGE, message)
            }
            _ => Self::fatal(
                StatusCode::BAD_REQUEST,
                code::INVALID_REQUEST,
                "not a request of HTTP/1.1",
            ),
        }
    }

    /// 415: the body is not declared to be JSON, or is encoded in a way that is not read here.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::fatal(status, code::UNSUPPORTED_MEDIA_TYPE, message)
    }

    /// 422: JSON, but not an action; the message names the field.
    pub fn invalid_action(message: impl Into<String>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::fatal(status, code::INVALID_ACTION, message)
    }

    /// 429: the caller asks too often.
    pub fn rate_limited(message: impl Into<String>, after: Duration) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::passing(status, code::RATE_LIMITED, message, after)
    }

    /// 503: no room now.
    pub fn overloaded(after: Duration) -> Self {
        let message = "too much is in flight: try again later";
        Self::unavailable(code::OVERLOADED, message, after)
    }

    /// 503: the id or the key of the action is being processed by another request.
    pub fn busy(after: Duration) -> Self {
        let message = "an action with the same id or key is being processed: try again later";
        Self::unavailable(code::OVERLOADED, message, after)
    }

    /// 503: the state backend cannot be asked.
    pub fn state_unavailable() -> Self {
        let message = "the state backend cannot be reached: try again later";
        Self::unavailable(code::STATE_UNAVAILABLE, message, SOON)
    }

    /// 503: the state backend is at its bound.
    pub fn state_full(after: Duration) -> Self {
        let message = "the state backend is full: try again later";
        Self::unavailable(code::STATE_FULL, message, after)
    }

    /// 503: the process is stopping.
    pub fn shutting_down() -> Self {
        let message = "this server is shutting down: try again elsewhere or later";
        Self::unavailable(code::SHUTTING_DOWN, message, SOON)
    }

    /// 500: `error` and what stands behind it goes to the log with the request id; the client sees the id only.
    pub fn internal(error: &dyn Error) -> Self {
        let mut cause = error.to_string();
        let mut below = error.source();
        while let Some(error) = below {
            cause = format!("{cause}: {error}");
            below = error.source();
        }
        let message = "something went wrong here: the log says what";
        let mut this = Self::fatal(StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL, message);
        this.cause = Some(cause);
        this
    }

    /// What the client sees.
    pub fn into_body(self) -> ErrorBody {
        ErrorBody {
            code: self.code,
            message: self.message,
            retryable: self.retryable,
            retry_after: self.retry_after.map(whole_seconds),
        }
    }

    /// What the client sees of a failed item of a batch. An internal error is logged under `request_id`.
    pub fn into_item(self, request_id: &str) -> ErrorBody {
        let error = match &self.cause {
            Some(cause) => {
                events::failed(request_id, cause);
                Self::internal_of(request_id)
            }
            None => self,
        };
        ErrorBody {
            retry_after: None,
            ..error.into_body()
        }
    }

    /// The answer to an internal error once the request id is known.
    pub(crate) fn internal_of(request_id: &str) -> Self {
        let message = format!("something went wrong here: the log says what, under {request_id}");
        Self::fatal(StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL, message)
    }

    /// For refusals of code that knows nothing of this shape: all that is left is their status.
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
                return Self::passing(status, code::RATE_LIMITED, message, SOON);
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                return Self::passing(status, code::OVERLOADED, message, SOON);
            }
            _ if status.is_client_error() => code::INVALID_QUERY,
            _ => code::INTERNAL,
        };
        Self::fatal(status, code, message)
    }

    fn fatal(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retryable: false,
            retry_after: None,
            cause: None,
        }
    }

    fn passing(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        after: Duration,
    ) -> Self {
        Self {
            retryable: true,
            retry_after: Some(after),
            ..Self::fatal(status, code, message)
        }
    }

    fn unavailable(code: &'static str, message: &str, after: Duration) -> Self {
        Self::passing(StatusCode::SERVICE_UNAVAILABLE, code, message, after)
    }
}

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        let (status, cause) = (self.status, self.cause.take());
        let body = self.into_body();
        let retry_after = body.retry_after;
        // Strings and numbers: this cannot fail, and an empty body is the least bad answer if it does.
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

/// Rounded up, and never zero: a client that is told to wait zero seconds does not wait.
fn whole_seconds(wait: Duration) -> u64 {
    let up = u64::from(wait.subsec_nanos() > 0);
    wait.as_secs().saturating_add(up).max(1)
}
