//! Extractors that refuse requests in the one format of errors.

use axum::body::HttpBody;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::body::{
    Encoding, MemoryBudget, NoBudget, discard_body, encoding, is_json, limit_to_small, read_body,
    read_gzip,
};
use crate::code;
use crate::error::ApiError;
use crate::strict::Strict;

/// The JSON body of a small request, of at most 16 KiB, or of a 200 answer of any size. `Option<Json<T>>` also accepts
/// an empty body. Larger bodies are read by [`read_json_within`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        read_small_json(request)
            .await
            .and_then(|body| parse_json(&body))
            .map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Option<Self>, ApiError> {
        if request.body().is_end_stream() {
            return Ok(None);
        }
        let body = read_small_json(request).await?;
        if body.is_empty() {
            return Ok(None);
        }
        parse_json(&body).map(|value| Some(Self(value)))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(json) => {
                let kind = HeaderValue::from_static("application/json");
                ([(CONTENT_TYPE, kind)], json).into_response()
            }
            Err(error) => ApiError::internal(&error).into_response(),
        }
    }
}

async fn read_small_json(mut request: Request) -> Result<Bytes, ApiError> {
    limit_to_small(&mut request);
    read_json_within(request, &mut NoBudget).await
}

/// Reads a body that is declared as JSON. Decompresses it if it is declared as gzip. Reserves the memory for it from
/// `budget`.
///
/// # Errors
/// `UNSUPPORTED_MEDIA_TYPE`, `PAYLOAD_TOO_LARGE`, `REQUEST_TIMEOUT`; `INVALID_JSON` if the body ends early or is not
/// gzip; the errors of `budget`.
pub async fn read_json_within(
    request: Request,
    budget: &mut impl MemoryBudget,
) -> Result<Bytes, ApiError> {
    if !is_json(request.headers()) {
        discard_body(request).await;
        let message = "send the body as `content-type: application/json`";
        return Err(ApiError::unsupported_media_type(message));
    }
    match encoding(request.headers()) {
        Some(Encoding::Identity) => read_body(request, budget).await,
        Some(Encoding::Gzip) => read_gzip(request, budget).await,
        None => {
            discard_body(request).await;
            let message = "send the body without a `content-encoding`, or as `gzip`";
            Err(ApiError::unsupported_media_type(message))
        }
    }
}

/// Parses a body as strictly as [`Json`] does.
///
/// # Errors
/// `INVALID_JSON`; the message says where.
pub fn parse_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, ApiError> {
    // A byte order mark has no meaning.
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let mut reader = serde_json::Deserializer::from_slice(json);
    let value = serde_path_to_error::deserialize(Strict(&mut reader)).map_err(|e| {
        let prefix = path_prefix(e.path());
        invalid_json(&prefix, e.inner())
    })?;
    reader.end().map_err(|e| invalid_json("", &e))?;
    Ok(value)
}

/// The path in back quotes with a colon, or nothing for the whole value.
fn path_prefix(path: &serde_path_to_error::Path) -> String {
    let path = path.to_string();
    // The error itself names an unknown field.
    let path = path.trim_end_matches('?').trim_end_matches('.');
    match path.is_empty() {
        true => String::new(),
        false => format!("`{path}`: "),
    }
}

fn invalid_json(prefix: &str, error: &serde_json::Error) -> ApiError {
    let text = error.to_string();
    let message = text.split(" at line ").next().unwrap_or_default();
    let line = error.line();
    let column = error.column();
    ApiError::invalid_json(match error.is_data() {
        false => format!("invalid JSON at line {line} column {column}: {message}"),
        true => {
            let message = without_value(message);
            format!("{prefix}{message} at line {line} column {column}")
        }
    })
}

/// Removes the value from messages like `invalid type: string "secret", expected a map`, because it may be
/// confidential.
fn without_value(message: &str) -> String {
    let found = message.starts_with("invalid type: ") || message.starts_with("invalid value: ");
    match (message.find(['`', '"']), message.rfind(", expected ")) {
        (Some(from), Some(to)) if found && from < to => {
            format!("{}{}", message[..from].trim_end(), &message[to..])
        }
        _ => message.to_owned(),
    }
}

/// The query parameters. Refuses parameters that `T` does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let query = parts.uri.query().unwrap_or_default();
        parse_query(query).map(Self)
    }
}

/// For endpoints without query parameters: refuses all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        #[derive(Deserialize)]
        struct NoParameters {}
        match parts.uri.query() {
            None => Ok(Self),
            Some(query) => parse_query::<NoParameters>(query).map(|_| Self),
        }
    }
}

/// Refuses percent-encoding that is not UTF-8. Frameworks replace it by a placeholder character, so a filter by `%ff`
/// would match something else.
pub(crate) fn check_encoding(part: &str, text: &str) -> Result<(), ApiError> {
    if !text.contains('%') || percent_decode_str(text).decode_utf8().is_ok() {
        return Ok(());
    }
    let message = format!("the percent-encoding of the {part} is not UTF-8");
    Err(ApiError::invalid_query(message))
}

fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    check_encoding("query", query)?;
    let pairs = form_urlencoded::parse(query.as_bytes());
    let reader = serde_urlencoded::Deserializer::new(pairs);
    serde_path_to_error::deserialize(Strict(reader)).map_err(|error| {
        ApiError::invalid_query(format!("{}{}", path_prefix(error.path()), error.inner()))
    })
}

/// The parameters in the path. A value that does not parse is answered with 404.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(PathRejection::FailedToDeserializePathParams(refusal))
                if refusal.status().is_client_error() =>
            {
                let message = format!("no such path: {}", refusal.kind());
                Err(ApiError::not_found(code::NOT_FOUND, message))
            }
            // A bug: the route and its handler differ in their parameters.
            Err(refusal) => Err(ApiError::internal(&refusal)),
        }
    }
}
