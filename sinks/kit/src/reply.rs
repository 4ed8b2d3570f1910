//! A provider's answer that counts as a success: reading its body within a bound, and giving it the shape that
//! clients see. A body that cannot be read takes nothing away from the success.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::decode::strict_json;
use acteon_core::{Payload, ProviderResponse, ResponseStatus};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use crate::headers;

/// How much of a provider's body is read.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// How much of a refusal's body is read, and for how long.
pub(crate) const REFUSAL_BYTES_MAX: usize = 64 << 10;
const REFUSAL_PATIENCE: Duration = Duration::from_secs(1);

/// A success.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// All its headers; not to be shown as they are.
    pub headers: HeaderMap,
    /// Its body, as far as it could be read.
    pub body: Result<Bytes, Unread>,
}

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unread {
    /// Longer than [`BODY_BYTES_MAX`].
    #[error("it is longer than {BODY_BYTES_MAX} bytes")]
    TooLong,
    /// The connection broke before its end.
    #[error("the connection broke")]
    Broken,
    /// It did not end before the attempt's time was over.
    #[error("it did not end in time")]
    TooSlow,
}

impl Reply {
    pub(crate) async fn read(mut response: reqwest::Response, deadline: Instant) -> Self {
        let body = read_until(&mut response, deadline, BODY_BYTES_MAX).await;
        Self {
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body,
        }
    }

    /// The answer as clients see it. The body is always an object within the bounds of payloads: a JSON object as it is,
    /// other JSON as `{"body": ...}`, text as `{"text": ...}`, nothing as `{}`, what could not be read as `{"note": ...}`.
    /// What looks like JSON and is none that everybody can read is text with a note.
    pub fn into_response(self) -> ProviderResponse {
        let body = match &self.body {
            Ok(body) => object(body),
            Err(why) => Note::of(*why),
        };
        ProviderResponse {
            status: ResponseStatus::Success,
            body,
            headers: headers::shown(&self.headers),
        }
    }
}

/// What a refusal says, as far as it comes. One that is read to its end leaves a connection that can be used again.
pub(crate) async fn refusal(mut response: reqwest::Response, deadline: Instant) -> Bytes {
    let deadline = deadline.min(Instant::now() + REFUSAL_PATIENCE);
    let mut said = Bytes::new();
    while said.len() < REFUSAL_BYTES_MAX
        && let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await
    {
        said = joined(said, chunk);
    }
    said.truncate(REFUSAL_BYTES_MAX);
    said
}

async fn read_until(
    response: &mut reqwest::Response,
    deadline: Instant,
    bytes_max: usize,
) -> Result<Bytes, Unread> {
    let reading = read(response, bytes_max);
    timeout_at(deadline, reading)
        .await
        .unwrap_or(Err(Unread::TooSlow))
}

/// A body that comes in one piece is not copied.
async fn read(response: &mut reqwest::Response, bytes_max: usize) -> Result<Bytes, Unread> {
    let announced = response.content_length().unwrap_or_default();
    if announced > bytes_max as u64 {
        return Err(Unread::TooLong);
    }
    let mut read = Bytes::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| Unread::Broken)? {
        if read.len() + chunk.len() > bytes_max {
            return Err(Unread::TooLong);
        }
        read = joined(read, chunk);
    }
    Ok(read)
}

/// Takes the buffer over when nobody else holds it, so a long body grows in place.
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
        // It goes into an object.
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

/// Escapes make a text longer.
fn within_bounds(body: Arc<RawValue>) -> Arc<RawValue> {
    match body.get().len() > BODY_BYTES_MAX {
        true => Note::of(Unread::TooLong),
        false => body,
    }
}

const NOT_STRICT: &str = "accepted, but the answer's body is not JSON of at most 64 levels, with whole surrogate pairs and \
                          numbers in the range of a double";

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
    fn of(why: Unread) -> Arc<RawValue> {
        raw(&Self {
            note: format!("accepted, but the answer's body could not be read: {why}"),
        })
    }
}

/// `value` is one of the objects above, which always serialize.
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

    fn shown(body: Result<&[u8], Unread>) -> String {
        let reply = Reply {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: body.map(Bytes::copy_from_slice),
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
    fn a_body_that_not_everybody_can_read_is_shown_as_text_with_a_note() {
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
        for why in [Unread::Broken, Unread::TooLong, Unread::TooSlow] {
            let body = shown(Err(why));
            assert!(body.starts_with(r#"{"note":"accepted, but"#), "{body}");
        }
    }
}
