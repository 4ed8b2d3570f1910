//! Writes an action as JSON, for sinks that send it whole. The payload's bytes are sent unchanged: they were parsed
//! once already.

use acteon_core::{Action, FailureCode, SinkError};
use bytes::Bytes;
use serde::Serialize;

use crate::request_body::RequestBody;

/// The approximate size of the fields besides payload and labels.
const FIELDS_BYTES: usize = 512;
/// A payload up to this size is copied: writing one buffer costs less than writing three.
const COPIED_BYTES_MAX: usize = 16 << 10;

/// The wire form of `action`: the same bytes as its `Serialize` writes, without parsing the payload again.
///
/// # Errors
/// `SERIALIZATION`, which well-formed names and times never cause.
pub fn action_json(action: &Action) -> Result<RequestBody, SinkError> {
    written(action).map_err(|error| {
        let message = "the action could not be serialized as JSON";
        SinkError::permanent(FailureCode::Serialization, message).with_source(error)
    })
}

fn written(action: &Action) -> serde_json::Result<RequestBody> {
    let mut body = RequestBody::default();
    let payload = action.payload.as_bytes();
    let is_copied = payload.len() <= COPIED_BYTES_MAX;
    let room = if is_copied { payload.len() } else { 0 };
    let mut out = Object(Vec::with_capacity(room + FIELDS_BYTES));
    write_names(action, &mut out)?;
    if is_copied {
        out.0.extend_from_slice(payload);
    } else {
        let before = std::mem::replace(&mut out.0, Vec::with_capacity(FIELDS_BYTES));
        body.push(before);
        body.push(payload.clone());
    }
    write_rest(action, &mut out)?;
    body.push(out.0);
    Ok(body)
}

/// The same in one piece of memory, for clients that copy it anyway.
pub(crate) fn action_bytes(action: &Action) -> serde_json::Result<Bytes> {
    let payload = action.payload.as_bytes();
    let mut out = Object(Vec::with_capacity(payload.len() + FIELDS_BYTES));
    write_names(action, &mut out)?;
    out.0.extend_from_slice(payload);
    write_rest(action, &mut out)?;
    Ok(out.0.into())
}

fn write_names(action: &Action, out: &mut Object) -> serde_json::Result<()> {
    out.field("{\"id\":", &action.id)?;
    out.field(",\"namespace\":", &action.namespace)?;
    out.field(",\"tenant\":", &action.tenant)?;
    out.field(",\"provider\":", &action.provider)?;
    out.field(",\"action_type\":", &action.action_type)?;
    out.0.extend_from_slice(b",\"payload\":");
    Ok(())
}

fn write_rest(action: &Action, out: &mut Object) -> serde_json::Result<()> {
    out.field(",\"metadata\":", &action.labels)?;
    out.field(",\"dedup_key\":", &action.dedup_key)?;
    out.field(",\"status\":", &action.status)?;
    out.field(",\"fingerprint\":", &action.fingerprint)?;
    out.field(",\"starts_at\":", &action.starts_at)?;
    out.field(",\"ends_at\":", &action.ends_at)?;
    out.field(",\"created_at\":", &action.created_at)?;
    out.field(",\"trace_context\":", &action.trace_context)?;
    out.0.push(b'}');
    Ok(())
}

struct Object(Vec<u8>);

impl Object {
    fn field<T: Serialize>(&mut self, before: &str, value: &T) -> serde_json::Result<()> {
        self.0.extend_from_slice(before.as_bytes());
        serde_json::to_writer(&mut self.0, value)
    }
}

#[cfg(test)]
mod tests {
    use acteon_core::decode::decode;
    use acteon_core::{Labels, Payload};
    use bytes::Bytes;
    use http_body::Body as _;
    use http_body_util::BodyExt;

    use super::*;

    fn action(json: &str) -> Action {
        let draft = decode(&Bytes::copy_from_slice(json.as_bytes())).unwrap();
        complete(draft)
    }

    fn complete(draft: acteon_core::decode::Draft) -> Action {
        draft
            .complete(
                &Default::default(),
                || "made".into(),
                "2026-01-01T00:00:00Z".parse().unwrap(),
            )
            .unwrap()
    }

    async fn sent(action: &Action) -> Bytes {
        let body = reqwest::Body::from(action_json(action).unwrap());
        body.collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn a_long_payload_is_sent_out_of_the_memory_it_is_in_and_with_its_length() {
        let mut action = action(
            r#"{"id":"a","namespace":"n","tenant":"t","provider":"p","action_type":"x","payload":null}"#,
        );
        for length in [COPIED_BYTES_MAX - 2, COPIED_BYTES_MAX - 1] {
            action.payload = Payload::from_value(&"x".repeat(length)).unwrap();
            let payload = action.payload.as_bytes().clone();
            let body = reqwest::Body::from(action_json(&action).unwrap());
            let expected = serde_json::to_vec(&action).unwrap();
            assert_eq!(body.size_hint().exact(), Some(expected.len() as u64));
            assert_eq!(sent(&action).await, expected);
            let frames = frames(body).await;
            let is_shared = frames.iter().any(|f| f.as_ptr() == payload.as_ptr());
            assert_eq!(is_shared, length >= COPIED_BYTES_MAX - 1);
        }
    }

    async fn frames(mut body: reqwest::Body) -> Vec<Bytes> {
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        frames
    }

    #[tokio::test]
    async fn what_is_written_is_what_the_action_serializes_to() {
        let mut full = action(
            r#"{"id":"a\"\\ü","namespace":"n","tenant":"t","provider":"p","action_type":"x",
                "payload": {"a": [1, 2.50, "\u00e4\n"], "b":null}, "metadata": {"k": "v\"", "l": ""},
                "dedup_key": "d", "status": "s", "fingerprint": "f", "starts_at": "2026-01-01T00:00:00.5Z",
                "ends_at": "2026-01-02T00:00:00Z", "created_at": "2025-12-31T00:00:00Z"}"#,
        );
        let expected = serde_json::to_vec(&full).unwrap();
        assert_eq!(sent(&full).await, expected);
        assert_eq!(action_bytes(&full).unwrap(), expected);
        full.trace_context = Labels::from_iter([("traceparent", "00-1-2-01")]);
        full.payload = Payload::null();
        (full.dedup_key, full.status, full.fingerprint) = (None, None, None);
        (full.starts_at, full.ends_at) = (None, None);
        let expected = serde_json::to_vec(&full).unwrap();
        assert_eq!(sent(&full).await, expected);
        assert_eq!(action_bytes(&full).unwrap(), expected);
    }
}
