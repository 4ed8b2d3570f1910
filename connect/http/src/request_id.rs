//! The id that links a request to its lines in the log: the client's own if it is valid, else a generated one. Both the
//! request and the answer carry it as a header.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The header of the request id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const BYTES_MAX: usize = 128;

/// The id of this request; an extractor. Empty outside of [`crate::ApiService`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

impl RequestId {
    /// A new id, for an answer to bytes that are not a request.
    pub fn generate() -> Self {
        Self(generate().to_str().unwrap_or_default().to_owned())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let id = parts.headers.get(REQUEST_ID);
        let text = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
        Ok(Self(text.to_owned()))
    }
}

/// The id of the request with these headers. Adds the header if it is missing or invalid.
pub(crate) fn assign(headers: &mut HeaderMap) -> HeaderValue {
    match headers.get(REQUEST_ID) {
        Some(id) if is_valid(id) => id.clone(),
        _ => {
            let id = generate();
            headers.insert(REQUEST_ID, id.clone());
            id
        }
    }
}

fn is_valid(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

/// A random UUID, which needs no clock, unlike one that contains the time.
fn generate() -> HeaderValue {
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let text = id.hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none"))
}
