//! An action as a CloudEvent, by version 1.0 of the specification.

use acteon_core::Action;
use bytes::Bytes;
use compact_str::{CompactString, ToCompactString, format_compact};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::ser::{SerializeMap, Serializer as _};

/// What is percent-encoded in a part of a source.
const SOURCE_PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An attribute: its name and value.
pub(crate) type Attribute<'a> = (&'a str, CompactString);

/// The attributes of an action. A label whose name is legal for an attribute, and not the name of another, is an
/// extension; empty labels and labels with other names are left out.
pub(crate) fn attributes(action: &Action) -> Vec<Attribute<'_>> {
    let mut all = required(action);
    let mut extend = |name, value: Option<CompactString>| all.extend(value.map(|v| (name, v)));
    extend("acteondedupkey", action.dedup_key.clone());
    extend("acteonstatus", action.status.clone());
    extend("acteonfingerprint", action.fingerprint.clone());
    extend(
        "acteonstartsat",
        action.starts_at.map(|t| t.to_compact_string()),
    );
    extend(
        "acteonendsat",
        action.ends_at.map(|t| t.to_compact_string()),
    );
    for (name, value) in action.trace() {
        extend(name, Some(value.into()));
    }
    for (name, value) in action.labels.iter() {
        let is_set = all.iter().any(|(set, _)| *set == name);
        if !is_set && is_attribute(name) && !value.is_empty() {
            all.push((name, value.into()));
        }
    }
    all
}

fn required(action: &Action) -> Vec<Attribute<'_>> {
    let source = action
        .labels
        .get("source")
        .filter(|label| !label.is_empty());
    vec![
        ("specversion", "1.0".into()),
        ("id", action.id.clone()),
        (
            "source",
            source.map_or_else(|| own_source(action), Into::into),
        ),
        ("type", action.action_type.clone()),
        ("time", action.created_at.to_compact_string()),
        ("acteonnamespace", action.namespace.clone()),
        ("acteontenant", action.tenant.clone()),
        ("acteonprovider", action.provider.clone()),
    ]
}

/// The source of an action that has no label `source`. Ids are unique only in a namespace and tenant.
fn own_source(action: &Action) -> CompactString {
    let part = |name| utf8_percent_encode(name, SOURCE_PART);
    format_compact!(
        "/acteon/{}/{}",
        part(&action.namespace),
        part(&action.tenant)
    )
}

/// True for the name of an attribute that an event may have beside its data.
fn is_attribute(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_of_the_format = name.starts_with("data") || name == "actiontype";
    !name.is_empty() && name.bytes().all(legal) && !is_of_the_format
}

/// The event as one JSON document, with the payload as its data.
pub(crate) fn document(action: &Action) -> serde_json::Result<Bytes> {
    let payload = action.payload.as_bytes();
    let mut out = Vec::with_capacity(payload.len() + 512);
    let mut json = serde_json::Serializer::new(&mut out);
    let mut map = json.serialize_map(None)?;
    for (name, value) in attributes(action) {
        map.serialize_entry(name, &value)?;
    }
    map.serialize_entry("datacontenttype", "application/json")?;
    map.end()?;
    // The payload was parsed once already: its bytes take the place of the closing brace.
    out.pop();
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(payload);
    out.push(b'}');
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use acteon_core::decode::decode;
    use serde_json::{Value, json};

    use super::*;

    fn action(json: &Value) -> Action {
        let draft = decode(&Bytes::from(json.to_string())).unwrap();
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        draft
            .complete(&Default::default(), || "made".into(), now)
            .unwrap()
    }

    fn full() -> Action {
        action(&json!({
            "id": "a-1", "namespace": "ops", "tenant": "acme", "provider": "bus", "action_type": "order.created",
            "payload": {"order": 7.50}, "dedup_key": "d", "status": "firing", "fingerprint": "f",
            "starts_at": "2025-12-31T00:00:00Z", "created_at": "2026-01-01T09:00:00Z",
            "metadata": {
                "source": "/shop", "subject": "orders/7", "region": "eu", "Upper": "x", "with-dash": "x",
                "id": "not the id", "data": "x", "empty": "",
            },
        }))
    }

    #[test]
    fn the_document_has_the_attributes_the_legal_labels_and_the_payload_as_received() {
        let document = document(&full()).unwrap();
        let text = std::str::from_utf8(&document).unwrap();
        assert!(
            text.ends_with(r#","data":{"order":7.5}}"#)
                || text.ends_with(r#","data":{"order":7.50}}"#)
        );
        let mut read: Value = serde_json::from_str(text).unwrap();
        read.as_object_mut().unwrap().remove("data");
        assert_eq!(
            read,
            json!({
                "specversion": "1.0", "id": "a-1", "source": "/shop", "type": "order.created",
                "time": "2026-01-01T09:00:00Z", "subject": "orders/7", "datacontenttype": "application/json",
                "acteonnamespace": "ops", "acteontenant": "acme", "acteonprovider": "bus", "acteondedupkey": "d",
                "acteonstatus": "firing", "acteonfingerprint": "f", "acteonstartsat": "2025-12-31T00:00:00Z",
                "region": "eu",
            })
        );
    }

    #[test]
    fn an_action_without_the_label_source_comes_from_acteon() {
        let mut action = full();
        for label in ["", "x"] {
            action.labels = [("source", label)].into_iter().collect();
            let source = attributes(&action)
                .into_iter()
                .find(|(name, _)| *name == "source");
            let expected = match label {
                "" => "/acteon/ops/acme",
                label => label,
            };
            assert_eq!(source.unwrap().1, expected);
        }
    }

    #[test]
    fn no_attribute_appears_twice() {
        let action = full();
        let mut names: Vec<_> = attributes(&action)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
