//! An action as JSON, for sinks that send it whole. The payload's bytes are copied in as they are: they were
//! parsed once already.

use acteon_core::{Action, FailureCode, SinkError};
use bytes::Bytes;
use serde::Serialize;

/// What the fields besides payload and labels take up, about.
const FIELDS_BYTES: usize = 512;

/// The wire form of `action`: the same bytes that its `Serialize` writes, without reading the payload again.
///
/// # Errors
/// `SERIALIZATION`, which names and times that are well formed never cause.
pub fn action_json(action: &Action) -> Result<Bytes, SinkError> {
    let mut out = Object(Vec::with_capacity(action.payload.len() + FIELDS_BYTES));
    write(action, &mut out).map_err(|error| {
        let message = "the action could not be written as JSON";
        SinkError::permanent(FailureCode::Serialization, message).with_source(error)
    })?;
    out.0.push(b'}');
    Ok(out.0.into())
}

fn write(action: &Action, out: &mut Object) -> serde_json::Result<()> {
    out.field("{\"id\":", &action.id)?;
    out.field(",\"namespace\":", &action.namespace)?;
    out.field(",\"tenant\":", &action.tenant)?;
    out.field(",\"provider\":", &action.provider)?;
    out.field(",\"action_type\":", &action.action_type)?;
    out.0.extend_from_slice(b",\"payload\":");
    out.0.extend_from_slice(action.payload.as_bytes());
    out.field(",\"metadata\":", &action.labels)?;
    out.field(",\"dedup_key\":", &action.dedup_key)?;
    out.field(",\"status\":", &action.status)?;
    out.field(",\"fingerprint\":", &action.fingerprint)?;
    out.field(",\"starts_at\":", &action.starts_at)?;
    out.field(",\"ends_at\":", &action.ends_at)?;
    out.field(",\"created_at\":", &action.created_at)?;
    out.field(",\"trace_context\":", &action.trace_context)
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

    #[test]
    fn what_is_written_is_what_the_action_serializes_to() {
        let mut full = action(
            r#"{"id":"a\"\\ü","namespace":"n","tenant":"t","provider":"p","action_type":"x",
                "payload": {"a": [1, 2.50, "\u00e4\n"], "b":null}, "metadata": {"k": "v\"", "l": ""},
                "dedup_key": "d", "status": "s", "fingerprint": "f", "starts_at": "2026-01-01T00:00:00.5Z",
                "ends_at": "2026-01-02T00:00:00Z", "created_at": "2025-12-31T00:00:00Z"}"#,
        );
        let expected = serde_json::to_vec(&full).unwrap();
        assert_eq!(action_json(&full).unwrap(), expected);
        full.trace_context = Labels::from_iter([("traceparent", "00-1-2-01")]);
        full.payload = Payload::null();
        (full.dedup_key, full.status, full.fingerprint) = (None, None, None);
        (full.starts_at, full.ends_at) = (None, None);
        let expected = serde_json::to_vec(&full).unwrap();
        assert_eq!(action_json(&full).unwrap(), expected);
    }
}
