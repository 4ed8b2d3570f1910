//! The limits of Slack on blocks and attachments, as data. Content that exceeds one is cut with a note: a long message
//! must arrive, too.

use acteon_sinks_kit::cut;
use serde_json::{Map, Value, json};

use crate::markup::Markup;

/// The maximum number of blocks in a message, and in an attachment.
const BLOCKS_MAX: usize = 50;
const ATTACHMENTS_MAX: usize = 100;
/// The limit of a text object that `TEXTS` does not name.
const TEXT_MAX: usize = 3000;

/// The limits of texts: the type of the object they are in, the key, and the characters.
const TEXTS: &[(&str, &str, usize)] = &[
    ("header", "text", 150),
    ("section", "fields", 2000),
    ("image", "title", 2000),
    ("image", "alt_text", 2000),
    ("button", "text", 75),
    ("markdown", "text", 12_000),
];

/// Strings that are texts themselves, and not in a text object.
const PLAIN_TEXTS: &[(&str, &str)] = &[("image", "alt_text"), ("markdown", "text")];

/// The limits of lists: the type of the block, the key, and the elements.
const LISTS: &[(&str, &str, usize)] = &[
    ("section", "fields", 10),
    ("context", "elements", 10),
    ("actions", "elements", 25),
];

/// The texts of an attachment and of its fields.
const ATTACHMENT_TEXTS: &[(&str, usize)] = &[
    ("text", TEXT_MAX),
    ("pretext", TEXT_MAX),
    ("fallback", TEXT_MAX),
    ("value", 2000),
    ("title", 300),
    ("author_name", 300),
    ("footer", 300),
];

/// Brings blocks within the limits.
pub(crate) fn fit_blocks(blocks: &mut Vec<Value>, markup: Markup) {
    blocks
        .iter_mut()
        .for_each(|block| fit(block, TEXT_MAX, markup));
    cut_list(
        blocks,
        BLOCKS_MAX,
        |note| json!({"type": "context", "elements": [text_object(note)]}),
    );
}

/// Brings attachments within the limits.
pub(crate) fn fit_attachments(attachments: &mut Vec<Value>, markup: Markup) {
    for attachment in attachments.iter_mut().filter_map(Value::as_object_mut) {
        fit_attachment_texts(attachment, markup);
        let fields = attachment.get_mut("fields").and_then(Value::as_array_mut);
        for field in fields.into_iter().flatten() {
            if let Some(field) = field.as_object_mut() {
                fit_attachment_texts(field, markup);
            }
        }
        if let Some(blocks) = attachment.get_mut("blocks").and_then(Value::as_array_mut) {
            fit_blocks(blocks, markup);
        }
    }
    cut_list(attachments, ATTACHMENTS_MAX, |note| json!({ "text": note }));
}

fn fit_attachment_texts(object: &mut Map<String, Value>, markup: Markup) {
    for (key, max) in ATTACHMENT_TEXTS {
        if let Some(Value::String(text)) = object.get_mut(*key) {
            *text = markup.text(text, *max);
        }
    }
}

/// Fits the texts and lists inside `value`. `text_max` is the limit of a text object in this place.
fn fit(value: &mut Value, text_max: usize, markup: Markup) {
    let object = match value {
        Value::Array(elements) => {
            let elements = elements.iter_mut();
            return elements.for_each(|element| fit(element, text_max, markup));
        }
        Value::Object(object) => object,
        _ => return,
    };
    let kind = object.get("type").and_then(Value::as_str);
    let kind = kind.unwrap_or_default().to_owned();
    if let ("plain_text" | "mrkdwn", Some(Value::String(text))) =
        (kind.as_str(), object.get_mut("text"))
    {
        *text = match kind.as_str() {
            "mrkdwn" => shown(&markup.text(text, text_max)),
            _ => shown(&cut(text, text_max, |_| 1)),
        };
        return;
    }
    for (key, inside) in object.iter_mut() {
        fit_member(&kind, key, inside, markup);
    }
}

fn fit_member(kind: &str, key: &str, inside: &mut Value, markup: Markup) {
    let is_here = |of: &str, name: &str| of == kind && name == key;
    let text = TEXTS.iter().find(|(of, name, _)| is_here(of, name));
    let text_max = text.map_or(TEXT_MAX, |(.., max)| *max);
    let list = LISTS.iter().find(|(of, name, _)| is_here(of, name));
    match (inside, list) {
        (Value::String(text), _) if PLAIN_TEXTS.iter().any(|(of, name)| is_here(of, name)) => {
            *text = match kind {
                "markdown" => shown(&markup.text(text, text_max)),
                _ => shown(&cut(text, text_max, |_| 1)),
            };
        }
        (Value::Array(elements), Some((.., max))) if kind == "actions" => {
            // Buttons leave no place for a note.
            elements.truncate(*max);
            elements
                .iter_mut()
                .for_each(|element| fit(element, text_max, markup));
        }
        (Value::Array(elements), list) => {
            elements
                .iter_mut()
                .for_each(|element| fit(element, text_max, markup));
            if let Some((.., max)) = list {
                cut_list(elements, *max, text_object);
            }
        }
        (inside, _) => fit(inside, text_max, markup),
    }
}

/// Slack refuses empty texts.
fn shown(text: &str) -> String {
    if text.is_empty() { " " } else { text }.to_owned()
}

fn text_object(note: &str) -> Value {
    json!({"type": "plain_text", "text": note})
}

/// Replaces the end of a list that is too long by a note.
fn cut_list(list: &mut Vec<Value>, max: usize, note: impl FnOnce(&str) -> Value) {
    if list.len() > max {
        let cut = list.len() - (max - 1);
        list.truncate(max - 1);
        list.push(note(&format!("… [{cut} more cut]")));
    }
}
