//! The parts of an input, and what stands in when one is missing.

use std::sync::LazyLock;

use acteon_core::Action;
use acteon_core::decode::{Defaults, decode};
use bytes::Bytes;
use jiff::Timestamp;
use memchr::memmem;

/// The line between two parts.
pub(crate) const BETWEEN: &[u8] = b"\n=====\n";

/// The parts of `input`, the last one whole.
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

/// As text, with a mark for each byte that is none.
pub(crate) fn text(part: &[u8]) -> String {
    String::from_utf8_lossy(part).into_owned()
}

/// The action that `json` is, with names for those it lacks.
pub(crate) fn action(json: &[u8]) -> Option<Action> {
    let draft = decode(&Bytes::copy_from_slice(json)).ok()?;
    draft.complete(&defaults(), || "id-1".into(), *NOW).ok()
}

/// An action that has something of everything.
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

/// When an action was made that does not say.
pub(crate) static NOW: LazyLock<Timestamp> =
    LazyLock::new(|| Timestamp::from_second(1_767_225_600).unwrap_or_default());

const SAMPLE: &str = r#"{"id":"a-1","namespace":"shop","tenant":"acme","provider":"crm","action_type":"order",
"metadata":{"env":"prod","cluster":"eu"},"dedup_key":"k","status":"open","fingerprint":"f","payload":{"amount":120,
"rate":0.5,"n":-3,"name":"Zoë","a":{"b":{"c":[1,2,{"d":null}]}},"a.b":true,"tags":["urgent","x"],"items":[]}}"#;
