//! The refusals that several endpoints share, as the document describes them. How they come about stands in `errors`
//! and in the extractors.
#![expect(dead_code, reason = "these stand in the document and are never made")]

use acteon_connect_http::ErrorBody;
use utoipa::IntoResponses;

/// Every endpoint below `/v1`.
#[derive(IntoResponses)]
pub(super) enum Any {
    /// Something went wrong here. The log says what, under the request id that `x-request-id` bears.
    #[response(status = 500, example = json!({
        "code": "INTERNAL",
        "message": "something went wrong here: the log says what, under 0198c0de-0000-7000-8000-000000000000",
        "retryable": false,
    }))]
    Internal(ErrorBody),
}

/// Whoever reads query parameters.
#[derive(IntoResponses)]
pub(super) enum Asking {
    /// A query parameter is unknown, malformed or out of range; the message names it.
    #[response(status = 400, example = json!({
        "code": "INVALID_QUERY",
        "message": "`limit`: must be from 1 to 1000",
        "retryable": false,
    }))]
    InvalidQuery(ErrorBody),
}

/// Whoever reads a body.
#[derive(IntoResponses)]
pub(super) enum Body {
    /// The body is not JSON, or not of the shape described here; the message names the place.
    #[response(status = 400, example = json!({
        "code": "INVALID_JSON",
        "message": "invalid JSON at line 1 column 12: expected value",
        "retryable": false,
    }))]
    InvalidJson(ErrorBody),

    /// The body did not come, or too slowly; the connection is closed.
    #[response(status = 408, example = json!({
        "code": "REQUEST_TIMEOUT",
        "message": "the body came too slowly: send at least 10240 bytes within 10 seconds, and all within 120",
        "retryable": true,
    }))]
    TooSlow(ErrorBody),

    /// The body has too many bytes, inflated where it is gzip.
    #[response(status = 413, example = json!({
        "code": "PAYLOAD_TOO_LARGE",
        "message": "the body has more than 2097152 bytes",
        "retryable": false,
    }))]
    TooLarge(ErrorBody),

    /// The body is not declared to be JSON, or is encoded otherwise than by gzip.
    #[response(status = 415, example = json!({
        "code": "UNSUPPORTED_MEDIA_TYPE",
        "message": "send the body as `content-type: application/json`",
        "retryable": false,
    }))]
    NotJson(ErrorBody),
}

/// Whoever asks a backend, or records a change.
#[derive(IntoResponses)]
pub(super) enum Backend {
    /// The state or the audit backend cannot be reached; `Retry-After` says when to try again. A change whose record
    /// could not be written says so: it was made all the same.
    #[response(status = 503, headers(("Retry-After" = u64, description = "Seconds to wait.")), example = json!({
        "code": "STATE_UNAVAILABLE",
        "message": "the state backend cannot be reached",
        "retryable": true,
        "retry_after": 1,
    }))]
    Unavailable(ErrorBody),
}

/// Whoever names a dead letter.
#[derive(IntoResponses)]
pub(super) enum OneLetter {
    /// There is no such dead letter.
    #[response(status = 404, example = json!({
        "code": "NOT_FOUND",
        "message": "there is no dead letter \"0198c0de-0000-7000-8000-000000000000\"",
        "retryable": false,
    }))]
    NotFound(ErrorBody),
}
