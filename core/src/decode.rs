//! Decodes an [`Action`] in one pass over the JSON and leaves the payload raw.
//!
//! The fast reader gives no reason for refusing bytes. They are read again by the slow one, whose errors name the
//! place.

pub(crate) mod reader;
mod wire;

use std::cell::Cell;
use std::fmt;

use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::Deserializer;
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_path_to_error::Track;
use thiserror::Error;

use self::reader::{JsonReader, Malformed, Numbers};
pub use self::wire::FIELDS;
use self::wire::{Fill, WireAction};
use crate::action::{Action, Payload};

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// The longest `dedup_key`, `status` or `fingerprint`, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// Some writers of UTF-8 begin with it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The nesting depth of an action with the deepest payload.
const DEPTH_MAX: usize = Payload::DEPTH_MAX + 1;

/// Why bytes are not an action. The message names the problem and its place, never the content.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes are not JSON.
    #[error("invalid JSON at line {line} column {column}: {message}")]
    #[allow(missing_docs)]
    Json {
        message: String,
        line: usize,
        column: usize,
    },
    /// The bytes are JSON, but not an action.
    #[error("{}{message}", At(path))]
    #[allow(missing_docs)]
    Action { path: String, message: String },
}

struct At<'a>(&'a str);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, "`{}`: ", self.0)
        }
    }
}

impl DecodeError {
    fn action(path: &str, message: impl Into<String>) -> Self {
        Self::Action {
            path: path.to_owned(),
            message: message.into(),
        }
    }
}

/// Values of a source for fields that its messages lack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Defaults {
    pub namespace: Option<CompactString>,
    pub tenant: Option<CompactString>,
    pub provider: Option<CompactString>,
    pub action_type: Option<CompactString>,
}

/// A decoded action. It may lack fields that the source supplies: see [`Draft::complete`].
#[derive(Debug)]
pub struct Draft(WireAction);

/// Reads one action. The payload shares `bytes`.
///
/// # Errors
/// If `bytes` are not an action.
pub fn decode(bytes: &Bytes) -> Result<Draft, DecodeError> {
    let text = text(bytes)?;
    if let Ok(draft) = at_once(bytes, text) {
        return Ok(draft);
    }
    check_depth(bytes, DEPTH_MAX)?;
    decode_slowly(bytes, text)
}

/// Reads one action with the fast reader.
fn at_once(bytes: &Bytes, text: &str) -> Result<Draft, Malformed> {
    let mut wire = WireAction::default();
    let mut reader = JsonReader::new(text, DEPTH_MAX);
    wire.fill(&mut reader, bytes)?;
    reader.end()?;
    Ok(Draft(wire))
}

/// Reads a JSON array of actions. Each item has its own result. The payloads share `bytes`.
///
/// # Errors
/// If `bytes` is not a JSON array.
pub fn decode_batch(bytes: &Bytes) -> Result<Vec<Result<Draft, DecodeError>>, DecodeError> {
    Ok(decode_batch_up_to(bytes, usize::MAX)?.unwrap_or_default())
}

/// As [`decode_batch`], but gives up and returns `None` if there are more than `actions_max`. An item can be as short
/// as two bytes, but costs some hundred bytes of memory.
///
/// # Errors
/// If `bytes` is not a JSON array.
pub fn decode_batch_up_to(
    bytes: &Bytes,
    actions_max: usize,
) -> Result<Option<Vec<Result<Draft, DecodeError>>>, DecodeError> {
    let text = text(bytes)?;
    if let Ok(drafts) = batch_at_once(bytes, text, actions_max) {
        return Ok(Some(drafts.into_iter().map(Ok).collect()));
    }
    check_depth(bytes, DEPTH_MAX + 1)?;
    let too_many = Cell::new(false);
    let mut reader = serde_json::Deserializer::from_str(text);
    let items: Result<Vec<&RawValue>, _> = UpTo::new(actions_max, &too_many)
        .deserialize(&mut reader)
        .and_then(|items| reader.end().map(|()| items));
    match items {
        Ok(items) => Ok(Some(
            items
                .into_iter()
                .map(|item| decode_slowly(bytes, item.get()))
                .collect(),
        )),
        Err(_) if too_many.get() => Ok(None),
        Err(error) if error.is_data() => {
            Err(DecodeError::action("", "expected a JSON array of actions"))
        }
        Err(error) => Err(json_error(&error)),
    }
}

/// Reads the whole batch with the fast reader.
fn batch_at_once(bytes: &Bytes, text: &str, actions_max: usize) -> Result<Vec<Draft>, Malformed> {
    let mut drafts = Vec::new();
    let mut reader = JsonReader::new(text, DEPTH_MAX + 1);
    reader.list(|reader| {
        if drafts.len() == actions_max {
            return Err(Malformed);
        }
        let mut wire = WireAction::default();
        wire.fill(reader, bytes)?;
        drafts.push(Draft(wire));
        Ok(())
    })?;
    reader.end()?;
    Ok(drafts)
}

/// Reads a list of values as their text. Fails at the first one beyond `max`, and sets `exceeded`.
struct UpTo<'a> {
    max: usize,
    exceeded: &'a Cell<bool>,
}

impl<'a> UpTo<'a> {
    fn new(max: usize, exceeded: &'a Cell<bool>) -> Self {
        Self { max, exceeded }
    }
}

impl<'de> DeserializeSeed<'de> for UpTo<'_> {
    type Value = Vec<&'de RawValue>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for UpTo<'_> {
    type Value = Vec<&'de RawValue>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of actions")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            if items.len() == self.max {
                self.exceeded.set(true);
                return Err(serde::de::Error::custom("too many actions"));
            }
            items.push(item);
        }
        Ok(items)
    }
}

/// Reads `json`, a part of `bytes`, with the reader whose errors name the place.
fn decode_slowly(bytes: &Bytes, json: &str) -> Result<Draft, DecodeError> {
    check_pairs(json)?;
    let mut wire = WireAction::default();
    let mut track = Track::new();
    let mut reader = serde_json::Deserializer::from_str(json);
    Fill::new(&mut wire, bytes)
        .deserialize(serde_path_to_error::Deserializer::new(
            &mut reader,
            &mut track,
        ))
        .map_err(|inner| {
            if inner.is_data() {
                let path = track.path().to_string();
                let path = if path == "." { String::new() } else { path };
                let message = inner.to_string();
                let message = message.split(" at line ").next().unwrap_or_default();
                DecodeError::action(&path, message)
            } else {
                json_error(&inner)
            }
        })?;
    reader.end().map_err(|e| json_error(&e))?;
    Ok(Draft(wire))
}

/// Refuses JSON with half of a surrogate pair, which is not text. Malformed JSON is left to the slow reader, which
/// reports why.
fn check_pairs(json: &str) -> Result<(), DecodeError> {
    let mut reader = JsonReader::new(json, DEPTH_MAX);
    if reader.value().is_ok() || serde_json::from_str::<&RawValue>(json).is_err() {
        return Ok(());
    }
    let (line, column) = line_and_column(&json.as_bytes()[..reader.place()]);
    let what = "the string holds half of a surrogate pair";
    let message = format!("at line {line} column {column}: {what}");
    Err(DecodeError::action("", message))
}

/// The text of `json` without surrounding white space, if every reader accepts it (I-JSON, RFC 7493): UTF-8, whole
/// surrogate pairs, numbers in the range of a double, at most `levels_max` nested lists and objects.
pub fn strict_json(json: &[u8], levels_max: usize) -> Option<&str> {
    let text = simdutf8::basic::from_utf8(json).ok()?;
    let mut reader = JsonReader::new(text, levels_max).with(Numbers::InRange);
    let text = reader.value().ok()?;
    reader.end().ok()?;
    Some(text)
}

fn json_error(error: &serde_json::Error) -> DecodeError {
    let text = error.to_string();
    let message = text
        .split(" at line ")
        .next()
        .unwrap_or_default()
        .to_owned();
    DecodeError::Json {
        message,
        line: error.line(),
        column: error.column(),
    }
}

/// Checks that JSON is UTF-8, which the readers rely on. A byte order mark is skipped.
fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    simdutf8::compat::from_utf8(bytes).map_err(|error| {
        let (line, column) = line_and_column(&bytes[..error.valid_up_to()]);
        DecodeError::Json {
            message: "not UTF-8 text".to_owned(),
            line,
            column,
        }
    })
}

/// The position after `before`, counted from 1.
fn line_and_column(before: &[u8]) -> (usize, usize) {
    let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
    let line = memchr::memchr_iter(b'\n', before).count() + 1;
    (line, before.len() - line_start + 1)
}

/// Refuses text in which lists and objects are nested deeper than `max`, before any parser recurses into it. The
/// text need not be well formed.
fn check_depth(json: &[u8], max: usize) -> Result<(), DecodeError> {
    let opening = count_opening(json);
    if opening <= max || depth_within(json, max) {
        return Ok(());
    }
    let message = format!("nested deeper than {} levels", Payload::DEPTH_MAX);
    Err(DecodeError::action("", message))
}

/// How many opening brackets there are, those inside strings included. In chunks whose count fits a byte, which the
/// compiler turns into vector instructions.
fn count_opening(json: &[u8]) -> usize {
    // `[` and `{` differ in this one bit.
    let is_opening = |byte: &u8| u8::from(byte | 0x20 == b'{');
    let chunks = json.chunks(usize::from(u8::MAX));
    chunks
        .map(|chunk| usize::from(chunk.iter().map(is_opening).sum::<u8>()))
        .sum()
}

fn depth_within(json: &[u8], max: usize) -> bool {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => at = end_of_string(json, at + 1),
            b'[' | b'{' => {
                depth += 1;
                if depth > max {
                    return false;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    true
}

/// The position of the closing quote of the string that begins at `at`.
fn end_of_string(json: &[u8], mut at: usize) -> usize {
    while let Some(found) = json
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += found;
        if json[at] == b'"' {
            return at;
        }
        at += 2;
    }
    json.len()
}

impl Draft {
    /// True if the producer supplied an id.
    pub fn has_id(&self) -> bool {
        self.0.id.is_some()
    }

    /// Fills missing fields from `defaults`, `make_id` and `now`, and checks every name.
    ///
    /// # Errors
    /// If a field is missing or malformed. Names the first one.
    pub fn complete(
        self,
        defaults: &Defaults,
        make_id: impl FnOnce() -> CompactString,
        now: Timestamp,
    ) -> Result<Action, DecodeError> {
        let wire = self.0;
        let named = |field, value: Option<_>, default: &Option<_>| {
            let value: CompactString = value
                .or_else(|| default.clone())
                .ok_or_else(|| DecodeError::action(field, "is missing"))?;
            checked(field, value, NAME_BYTES_MAX)
        };
        let optional = |field, value: Option<CompactString>| {
            value
                .map(|text| checked(field, text, KEY_BYTES_MAX))
                .transpose()
        };
        let id = match wire.id {
            Some(id) => checked("id", id, NAME_BYTES_MAX)?,
            None => make_id(),
        };
        Ok(Action {
            id,
            namespace: named("namespace", wire.namespace, &defaults.namespace)?,
            tenant: named("tenant", wire.tenant, &defaults.tenant)?,
            provider: named("provider", wire.provider, &defaults.provider)?,
            action_type: named("action_type", wire.action_type, &defaults.action_type)?,
            payload: wire
                .payload
                .ok_or_else(|| DecodeError::action("payload", "is missing"))?,
            labels: wire.metadata.unwrap_or_default(),
            dedup_key: optional("dedup_key", wire.dedup_key)?,
            status: optional("status", wire.status)?,
            fingerprint: optional("fingerprint", wire.fingerprint)?,
            starts_at: wire.starts_at,
            ends_at: wire.ends_at,
            created_at: wire.created_at.unwrap_or_else(|| now.into()),
            trace_context: wire.trace_context.unwrap_or_default(),
        })
    }
}

fn checked(field: &str, text: CompactString, max: usize) -> Result<CompactString, DecodeError> {
    if text.is_empty() {
        return Err(DecodeError::action(field, "must not be empty"));
    }
    if text.len() > max {
        let message = format!("is {} bytes long, {max} are allowed", text.len());
        return Err(DecodeError::action(field, message));
    }
    // Checks all bytes, even after one that is not plain: the compiler checks sixteen at a time.
    let plain = |so_far, byte| so_far & matches!(byte, b' '..=b'~');
    let is_plain = text.bytes().fold(true, plain);
    if !is_plain && text.chars().any(char::is_control) {
        return Err(DecodeError::action(field, "holds a control character"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
