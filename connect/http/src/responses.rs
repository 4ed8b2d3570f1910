//! The errors that endpoints of several crates share, as the OpenAPI document describes them. [`crate::ApiError`] makes
//! the errors themselves.

use utoipa::IntoResponses;

use crate::ErrorBody;

/// Internal error. The log of the server has the cause under the request id in `x-request-id`.
#[derive(IntoResponses)]
#[response(status = 500, example = json!({
    "code": "INTERNAL",
    "message": "internal error: see the log of the server, request 0198c0de-0000-7000-8000-000000000000",
    "retryable": false,
}))]
pub struct InternalError(pub ErrorBody);

/// A query parameter is unknown, malformed or out of range; the message names it.
#[derive(IntoResponses)]
#[response(status = 400, example = json!({
    "code": "INVALID_QUERY",
    "message": "`limit`: must be from 1 to 1000",
    "retryable": false,
}))]
pub struct InvalidQuery(pub ErrorBody);

/// The errors of endpoints that read a body.
#[derive(IntoResponses)]
pub enum InvalidBody {
    /// The body is not JSON or does not match the schema; the message says where.
    #[response(status = 400, example = json!({
        "code": "INVALID_JSON",
        "message": "invalid JSON at line 1 column 12: expected value",
        "retryable": false,
    }))]
    NotParsed(ErrorBody),

    /// The body did not arrive, or arrived too slowly. The connection is closed.
    #[response(status = 408, example = json!({
        "code": "REQUEST_TIMEOUT",
        "message": "the body arrived too slowly: send at least 10240 bytes every 10 seconds, and all of it within 120",
        "retryable": true,
    }))]
    TooSlow(ErrorBody),

    /// The body is too large. The limit also applies to a gzip body after decompression.
    #[response(status = 413, example = json!({
        "code": "PAYLOAD_TOO_LARGE",
        "message": "the body is larger than 2097152 bytes",
        "retryable": false,
    }))]
    TooLarge(ErrorBody),

    /// The body is not declared as JSON, or has another encoding than gzip.
    #[response(status = 415, example = json!({
        "code": "UNSUPPORTED_MEDIA_TYPE",
        "message": "send the body as `content-type: application/json`",
        "retryable": false,
    }))]
    NotJson(ErrorBody),
}

/// The body is not JSON or does not match the schema (`INVALID_JSON`), or a query parameter is unknown or malformed
/// (`INVALID_QUERY`); the message says where.
#[derive(IntoResponses)]
#[response(status = 400, example = json!({
    "code": "INVALID_QUERY",
    "message": "`dryrun` is unknown; did you mean `dry_run`?",
    "retryable": false,
}))]
pub struct InvalidBodyOrQuery(pub ErrorBody);

/// The received bytes are not a valid action; the message names the field.
#[derive(IntoResponses)]
#[response(status = 422, example = json!({
    "code": "INVALID_ACTION", "message": "`tenant`: is missing", "retryable": false,
}))]
pub struct InvalidAction(pub ErrorBody);

/// Too much is in flight, or another request is processing the same id or key (`OVERLOADED`); the state backend cannot
/// be reached (`STATE_UNAVAILABLE`) or is full (`STATE_FULL`); the process is stopping (`SHUTTING_DOWN`).
#[derive(IntoResponses)]
#[response(
    status = 503,
    headers(("Retry-After" = u64, description = "Seconds to wait.")),
    example = json!({
        "code": "OVERLOADED",
        "message": "too much is in flight: try again later",
        "retryable": true,
        "retry_after": 1,
    }),
)]
pub struct NotAdmitted(pub ErrorBody);
