//! Replaces the responses that the HTTP library writes by itself, before there is a request, with errors of the API.

use acteon_connect_http::{ApiError, RequestId};
use axum::http::StatusCode;

/// The replacement for `written`, if that is a refusal of the library. The server's own responses have a request id.
pub(super) fn replacement(written: &[u8], line: RequestLine) -> Option<Vec<u8>> {
    if !written.starts_with(b"HTTP/1.1 4") {
        return None;
    }
    let head = std::str::from_utf8(written.strip_suffix(b"\r\n\r\n")?).ok()?;
    if head.contains("\r\nx-request-id:") {
        return None;
    }
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let date = head.lines().find(|line| line.starts_with("date:"));
    Some(response(status, line, date.unwrap_or("server: acteon")))
}

/// Whether the line with the path is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestLine {
    Incomplete,
    Complete,
}

fn response(status: StatusCode, line: RequestLine, date: &str) -> Vec<u8> {
    let status = match (status, line) {
        // Only the path has arrived.
        (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, RequestLine::Incomplete) => {
            StatusCode::URI_TOO_LONG
        }
        (status, _) => status,
    };
    let error = ApiError::of_library(status);
    let status = error.status;
    let RequestId(id) = RequestId::generate();
    // A body of strings and a boolean always serializes.
    let body = serde_json::to_string(&error.into_body()).unwrap_or_default();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-request-id: {id}\r\nx-content-type-options: nosniff\r\n\
         connection: close\r\ncontent-length: {length}\r\n{date}\r\n\r\n{body}"
    )
    .into_bytes()
}
