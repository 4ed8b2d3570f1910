//! What the HTTP library answers by itself, before there is a request, in the form of the API: it knows bare statuses only.

use acteon_connect_http::{ApiError, RequestId};
use axum::http::StatusCode;

/// The answer that takes the place of `written`, where that is a refusal of the library: all answers of ours have a request
/// id.
pub(super) fn in_our_form(written: &[u8], line: Line) -> Option<Vec<u8>> {
    if !written.starts_with(b"HTTP/1.1 4") {
        return None;
    }
    let head = std::str::from_utf8(written.strip_suffix(b"\r\n\r\n")?).ok()?;
    if head.contains("\r\nx-request-id:") {
        return None;
    }
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let date = head.lines().find(|line| line.starts_with("date:"));
    Some(answer(status, line, date.unwrap_or("server: acteon")))
}

/// Whether the line with the path has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Open,
    Ended,
}

fn answer(status: StatusCode, line: Line, date: &str) -> Vec<u8> {
    let status = match (status, line) {
        // All that came is the path.
        (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, Line::Open) => StatusCode::URI_TOO_LONG,
        (status, _) => status,
    };
    let error = ApiError::of_library(status);
    let (status, RequestId(id)) = (error.status, RequestId::fresh());
    // Strings and a boolean: this cannot fail.
    let body = serde_json::to_string(&error.into_body()).unwrap_or_default();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-request-id: {id}\r\nx-content-type-options: nosniff\r\n\
         connection: close\r\ncontent-length: {length}\r\n{date}\r\n\r\n{body}"
    )
    .into_bytes()
}
