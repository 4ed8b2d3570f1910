//! The id under which a request is found in the log: the client's if it has a sane one, else one made here. It
//! stands in the request's and in the answer's headers.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The header of the request id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const BYTES_MAX: usize = 128;

/// The id of this request; an extractor. Empty outside of [`crate::with_manners`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

impl RequestId {
    /// One for an answer to what is no request.
    pub fn fresh() -> Self {
        Self(fresh().to_str().unwrap_or_default().to_owned())
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

/// The id of the request with these headers, which have it afterwards.
pub(crate) fn assign(headers: &mut HeaderMap) -> HeaderValue {
    match headers.get(REQUEST_ID) {
        Some(id) if is_sane(id) => id.clone(),
        _ => {
            let id = fresh();
            headers.insert(REQUEST_ID, id.clone());
            id
        }
    }
}

fn is_sane(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    (1..=BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
}

/// A random UUID: unlike one with the time in it, it needs no clock.
fn fresh() -> HeaderValue {
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let text = id.hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none"))
}
