//! Splits an input into its parts, with defaults for missing ones.

use std::sync::LazyLock;

use acteon_core::Action;
use acteon_core::decode::{Defaults, decode};
use bytes::Bytes;
use jiff::Timestamp;
use memchr::memmem;

/// The line that separates two parts.
pub(crate) const BETWEEN: &[u8] = b"\n=====\n";

/// The parts of `input`. The last part may contain further separators.
pub(crate) fn split<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut rest = Some(input);
    std::array::from_fn(|number| {
        let Some(text) = rest.take() else {
            return &[][..];
        };
        let at = memmem::find(text, BETWEEN).filter(|_| number + 1 < N);
        let Some(at) = at else {
            return text;
        };
        rest = text.get(at + BETWEEN.len()..);
        &text[..at]
    })
}

/// As text, with a replacement character for each invalid byte.
pub(crate) fn text(part: &[u8]) -> String {
    String::from_utf8_lossy(part).into_owned()
}

/// The action in `json`, with defaults for missing names.
pub(crate) fn action(json: &[u8]) -> Option<Action> {
    let draft = decode(&Bytes::copy_from_slice(json)).ok()?;
    draft.complete(&defaults(), || "id-1".into(), *NOW).ok()
}

/// An action with values of every kind.
pub(crate) fn sample() -> Action {
    action(SAMPLE.as_bytes()).unwrap_or_else(|| panic!("the sample is an action"))
}

pub(crate) fn defaults() -> Defaults {
    Defaults {
        namespace: Some("shop".into()),
        tenant: Some("acme".into()),
        provider: Some("crm".into()),
        action_type: Some("order".into()),
    }
}

/// The creation time of an action that has none.
pub(crate) static NOW: LazyLock<Timestamp> =
    LazyLock::new(|| Timestamp::from_second(1_767_225_600).unwrap_or_default());

const SAMPLE: &str = r#"{"id":"a-1","namespace":"shop","tenant":"acme","provider":"crm","action_type":"order",
"metadata":{"env":"prod","cluster":"eu"},"dedup_key":"k","status":"open","fingerprint":"f","payload":{"amount":120,
"rate":0.5,"n":-3,"name":"Zoë","a":{"b":{"c":[1,2,{"d":null}]}},"a.b":true,"tags":["urgent","x"],"items":[]}}"#;
