//! A provider's successful answer: reads its body up to a bound, and converts it to the form that clients see. An
//! answer whose body cannot be read is still a success.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::decode::strict_json;
use acteon_core::sink::ProviderRefusal;
use acteon_core::{Payload, ProviderResponse, ResponseStatus};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use crate::headers;
use crate::sent_secrets::RequestSecrets;

/// The maximum length of a provider's body.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// How much of a refusal's body is read at most, and for how long.
pub(crate) const REFUSAL_BYTES_MAX: usize = 64 << 10;
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// A successful answer.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// All its headers. They may contain credentials.
    pub headers: HeaderMap,
    /// Its body, or why it could not be read. It may contain credentials.
    pub body: Result<Bytes, BodyError>,
    secrets: RequestSecrets,
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BodyError {
    /// Longer than [`BODY_BYTES_MAX`].
    #[error("it is longer than {BODY_BYTES_MAX} bytes")]
    TooLong,
    /// The connection broke before its end.
    #[error("the connection broke")]
    Broken,
    /// It did not end within the time of the attempt.
    #[error("it did not end in time")]
    TooSlow,
}

impl Reply {
    pub(crate) async fn read(
        mut response: reqwest::Response,
        secrets: RequestSecrets,
        deadline: Instant,
    ) -> Self {
        let body = read_until(&mut response, deadline, BODY_BYTES_MAX).await;
        Self {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body,
            secrets,
        }
    }

    /// The answer as clients see it, without the secrets of the request. The body is always an object within the bounds of payloads: a JSON object
    /// unchanged, other JSON as `{"body": ...}`, text as `{"text": ...}`, an empty body as `{}`, an unreadable body as
    /// `{"note": ...}`. Text that looks like JSON, but is not JSON that every client can parse, gets a note.
    pub fn into_response(self) -> ProviderResponse {
        let body = match self.body {
            Ok(body) => object(&self.secrets.redact(body)),
            Err(error) => Note::of(error),
        };
        ProviderResponse {
            status: ResponseStatus::Success,
            body,
            headers: headers::shown(&self.headers, &self.secrets),
        }
    }

    /// The answer whose status is a refusal, but which accepts the action.
    pub fn of_refusal(refusal: ProviderRefusal) -> Self {
        let status = refusal.status.unwrap_or_default();
        Self {
            status: StatusCode::from_u16(status).unwrap_or_default(),
            headers: HeaderMap::new(),
            body: Ok(refusal.body),
            // A refusal was kept without them.
            secrets: RequestSecrets::default(),
        }
    }

    /// The answer as a refusal of the action, although its status is a success. Without the secrets of the request.
    pub fn into_refusal(self) -> ProviderRefusal {
        let mut body = self.secrets.redact(self.body.unwrap_or_default());
        body.truncate(REFUSAL_BYTES_MAX);
        ProviderRefusal {
            status: Some(self.status.as_u16()),
            body,
        }
    }
}

/// The body of a refusal, as far as it arrives. If it is read to its end, the connection can be reused.
pub(crate) async fn refusal(mut response: reqwest::Response, deadline: Instant) -> Bytes {
    let deadline = deadline.min(Instant::now() + REFUSAL_TIMEOUT);
    let mut body = Bytes::new();
    while body.len() < REFUSAL_BYTES_MAX
        && let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await
    {
        body = joined(body, chunk);
    }
    body.truncate(REFUSAL_BYTES_MAX);
    body
}

async fn read_until(
    response: &mut reqwest::Response,
    deadline: Instant,
    bytes_max: usize,
) -> Result<Bytes, BodyError> {
    let reading = read(response, bytes_max);
    timeout_at(deadline, reading)
        .await
        .unwrap_or(Err(BodyError::TooSlow))
}

/// A body in one chunk is not copied.
async fn read(response: &mut reqwest::Response, bytes_max: usize) -> Result<Bytes, BodyError> {
    let announced = response.content_length().unwrap_or_default();
    if announced > bytes_max as u64 {
        return Err(BodyError::TooLong);
    }
    let mut read = Bytes::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| BodyError::Broken)? {
        if read.len() + chunk.len() > bytes_max {
            return Err(BodyError::TooLong);
        }
        read = joined(read, chunk);
    }
    Ok(read)
}

/// Reuses the buffer unless it is shared, so that a long body grows in place.
fn joined(read: Bytes, chunk: Bytes) -> Bytes {
    if read.is_empty() {
        return chunk;
    }
    let mut whole = read
        .try_into_mut()
        .unwrap_or_else(|shared| BytesMut::from(&*shared));
    whole.extend_from_slice(&chunk);
    whole.freeze()
}

fn object(body: &[u8]) -> Arc<RawValue> {
    let body = body.trim_ascii();
    let Some(first) = body.first() else {
        return empty();
    };
    let levels_max = match first {
        b'{' => Payload::DEPTH_MAX,
        // It is wrapped in an object.
        _ => Payload::DEPTH_MAX - 1,
    };
    let json = strict_json(body, levels_max).and_then(|json| serde_json::from_str(json).ok());
    match json {
        Some(json) if *first == b'{' => RawValue::to_owned(json).into(),
        Some(body) => within_bounds(raw(&Wrapped { body })),
        None => within_bounds(raw(&Text {
            note: matches!(first, b'{' | b'[').then_some(NOT_STRICT),
            text: String::from_utf8_lossy(body),
        })),
    }
}

/// Escaping may make a text too long.
fn within_bounds(body: Arc<RawValue>) -> Arc<RawValue> {
    match body.get().len() > BODY_BYTES_MAX {
        true => Note::of(BodyError::TooLong),
        false => body,
    }
}

const NOT_STRICT: &str = "accepted, but the body of the answer is not JSON of at most 64 levels, with complete surrogate \
                          pairs and numbers in the range of a double";

#[derive(Serialize)]
struct Wrapped<'a> {
    body: &'a RawValue,
}

#[derive(Serialize)]
struct Text<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    text: Cow<'a, str>,
}

#[derive(Serialize)]
struct Note {
    note: String,
}

impl Note {
    fn of(error: BodyError) -> Arc<RawValue> {
        raw(&Self {
            note: format!("accepted, but the body of the answer could not be read: {error}"),
        })
    }
}

/// The objects above always serialize.
fn raw(value: &impl Serialize) -> Arc<RawValue> {
    to_raw_value(value).map_or_else(|_| RawValue::NULL.to_owned().into(), Into::into)
}

fn empty() -> Arc<RawValue> {
    #[derive(Serialize)]
    struct Empty {}
    raw(&Empty {})
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::sent_secrets::SentSecrets;

    fn shown(body: Result<&[u8], BodyError>) -> String {
        let reply = Reply {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: body.map(Bytes::copy_from_slice),
            secrets: SentSecrets::new(&"https://example.com/".parse().unwrap(), &[])
                .of_request(&HeaderMap::new()),
        };
        reply.into_response().body.get().to_owned()
    }

    #[test]
    fn every_body_is_shown_as_an_object() {
        assert_eq!(shown(Ok(br#"{"ok": true}"#)), r#"{"ok": true}"#);
        assert_eq!(shown(Ok(b" \n{}\n")), "{}");
        assert_eq!(shown(Ok(b"")), "{}");
        assert_eq!(shown(Ok(b" \r\n")), "{}");
        assert_eq!(shown(Ok(b"[1, 2]")), r#"{"body":[1, 2]}"#);
        assert_eq!(shown(Ok(b"null")), r#"{"body":null}"#);
        assert_eq!(shown(Ok(b"ok")), r#"{"text":"ok"}"#);
        assert_eq!(shown(Ok(b"\xff!")), "{\"text\":\"\u{fffd}!\"}");
    }

    #[test]
    fn a_body_that_some_clients_cannot_parse_is_shown_as_text_with_a_note() {
        let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
        let deep_object = format!("{}1{}", "{\"a\":".repeat(65), "}".repeat(65));
        for body in [
            r#"{"cut":"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":1e400}"#,
            "{\"a\":\"\t\"}",
            &deep,
            &deep_object,
        ] {
            let shown: Value = serde_json::from_str(&shown(Ok(body.as_bytes()))).unwrap();
            assert_eq!(shown["text"], body);
            assert_eq!(shown["note"], NOT_STRICT);
        }
        let bounds = [
            format!("{}1{}", "{\"a\":".repeat(64), "}".repeat(64)),
            format!("{}{}", "[".repeat(63), "]".repeat(63)),
        ];
        assert_eq!(shown(Ok(bounds[0].as_bytes())), bounds[0]);
        assert_eq!(
            shown(Ok(bounds[1].as_bytes())),
            format!("{{\"body\":{}}}", bounds[1])
        );
        let shown = shown(Ok(&vec![0; BODY_BYTES_MAX]));
        assert!(shown.starts_with(r#"{"note":"accepted, but"#), "{shown}");
    }

    #[test]
    fn a_body_that_could_not_be_read_leaves_a_note() {
        for why in [BodyError::Broken, BodyError::TooLong, BodyError::TooSlow] {
            let body = shown(Err(why));
            assert!(body.starts_with(r#"{"note":"accepted, but"#), "{body}");
        }
    }
}
