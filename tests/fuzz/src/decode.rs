//! Actions and batches from bytes: every accepted action can be written and read back, alone and in a batch.

use acteon_core::Action;
use acteon_core::decode::{DecodeError, Draft, decode, decode_batch, decode_batch_up_to};
use bytes::Bytes;
use serde_json::value::RawValue;

use crate::Reading;
use crate::parts::{NOW, defaults};

pub(crate) fn feed(input: &[u8]) -> Reading {
    let bytes = Bytes::copy_from_slice(input);
    let alone = decode(&bytes).and_then(complete);
    check(alone.as_ref());
    same_in_a_batch(input, alone.as_ref());
    match batch(&bytes) {
        Reading::Refused if alone.is_err() => Reading::Refused,
        _ => Reading::Accepted,
    }
}

fn complete(draft: Draft) -> Result<Action, DecodeError> {
    draft.complete(&defaults(), || "id-1".into(), *NOW)
}

fn check(action: Result<&Action, &DecodeError>) {
    match action {
        Ok(action) => round_trip(action),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// An accepted action is JSON to other parsers, and reads back equal.
fn round_trip(action: &Action) {
    let raw = action.payload.parse::<Box<RawValue>>();
    assert!(raw.is_ok(), "a payload is JSON: {raw:?}");
    let written = serde_json::to_vec(action).map(Bytes::from);
    let written = written.unwrap_or_else(|error| panic!("an action can be written: {error}"));
    let again = decode(&written).and_then(complete);
    assert_eq!(again.as_ref(), Ok(action));
}

/// A batch of one gives the same result as the action alone.
fn same_in_a_batch(input: &[u8], alone: Result<&Action, &DecodeError>) {
    // A byte order mark is only allowed before the whole text.
    let item = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
    let list = [b"[", item, b"]"].concat();
    match decode_batch(&list.into()) {
        Ok(items) if items.len() == 1 => {
            let item = items.into_iter().next().map(|item| item.and_then(complete));
            let item = item.as_ref().and_then(|item| item.as_ref().ok());
            assert_eq!(item, alone.ok(), "alone and in a batch");
        }
        // No item, or several: not an action alone.
        Ok(_) | Err(_) => assert!(alone.is_err(), "accepted alone, but not in a batch"),
    }
}

fn batch(bytes: &Bytes) -> Reading {
    let Ok(items) = decode_batch(bytes) else {
        // It may exceed the length bound before the parser finds that it is not a batch.
        assert!(!matches!(decode_batch_up_to(bytes, 1), Ok(Some(_))));
        return Reading::Refused;
    };
    let count = items.len();
    for item in items {
        check(item.and_then(complete).as_ref());
    }
    let up_to = |max| decode_batch_up_to(bytes, max).map(|items| items.map(|items| items.len()));
    assert_eq!(up_to(count), Ok(Some(count)));
    if count > 0 {
        assert_eq!(up_to(count - 1), Ok(None));
    }
    Reading::Accepted
}
