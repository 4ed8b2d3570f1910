//! Error messages for text that is not TOML: the parser's own, or a better one if the intention is clear.

use toml::de::Error;

use crate::errors::{Complaint, PROBLEMS_MAX};
use crate::tree::ValueOrigin;

/// The maximum length of a line to explain. Longer lines were not typed by hand.
const LINE_BYTES_MAX: usize = 4096;

/// Explains the errors that the parser found in `text`.
pub(crate) fn explain(text: &str, errors: &[Error]) -> Vec<Complaint> {
    if let Some((at, language)) = another_language(text) {
        let message = format!(
            "this is {language}, but the configuration must be TOML, such as `[server]` with `port = 8080` below it"
        );
        return vec![Complaint::new(&[], &ValueOrigin::File(at), message)];
    }
    let complaints = errors.iter().enumerate().map(|(at, error)| {
        let start = error.span().map_or(0, |span| span.start);
        // In some texts the parser finds an error in each byte. Explaining all of them would take minutes.
        let is_shown = at < PROBLEMS_MAX;
        match is_shown.then(|| intended(text, start)).flatten() {
            Some((at, message)) => Complaint::new(&[], &ValueOrigin::File(at), message),
            None => Complaint::new(&[], &ValueOrigin::File(start), error.message()),
        }
    });
    let mut complaints: Vec<_> = complaints.collect();
    complaints.dedup();
    complaints
}

/// The start of the first line with content, and its language, if that is not TOML.
fn another_language(text: &str) -> Option<(usize, &'static str)> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_start_matches('\u{feff}').trim();
        let begin = at + (line.len() - line.trim_start().len());
        at += line.len();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if content.starts_with('{') {
            return Some((begin, "JSON"));
        }
        if content == "---" {
            return Some((begin, "YAML"));
        }
        let name_end = content.find(':')?;
        let name = &content[..name_end];
        let value = &content[name_end + 1..];
        let is_name = name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' '));
        let is_yaml = is_name && (value.is_empty() || value.starts_with([' ', '#']));
        return is_yaml.then_some((begin, "YAML"));
    }
    None
}

/// A better message for the line at `offset`, and the byte where its mistake starts.
fn intended(text: &str, offset: usize) -> Option<(usize, String)> {
    let line_start = text.get(..offset)?.rfind('\n').map_or(0, |at| at + 1);
    let line = text[line_start..].lines().next()?;
    if line.len() > LINE_BYTES_MAX {
        return None;
    }
    let is_key = |key: &str| {
        let legal = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | ' ');
        key.chars().all(legal)
    };
    let (key, value) = match (line.split_once('='), line.split_once(':')) {
        (Some(pair), _) => pair,
        (None, Some((key, _))) if is_key(key) => {
            let message = "a key and its value are separated by `=`, not by `:`";
            return Some((line_start + key.len(), message.to_owned()));
        }
        (None, _) => return None,
    };
    let begin = line_start + key.len() + 1 + (value.len() - value.trim_start().len());
    let value = value.split('#').next().unwrap_or_default().trim();
    let key = key.trim();
    let message = match value.to_lowercase().as_str() {
        "yes" | "on" | "true" => format!("write `{key} = true`"),
        "no" | "off" | "false" => format!("write `{key} = false`"),
        _ => format!("text needs quotes: `{key} = \"...\"`"),
    };
    (is_text(value) && is_key(key) && offset >= begin).then_some((begin, message))
}

/// True for text that lacks quotes.
fn is_text(value: &str) -> bool {
    let begins = |c: char| c.is_alphabetic() || matches!(c, '/' | '.' | '$' | '~');
    let has_others = value.contains(['"', '\'', '[', '{']);
    (value.starts_with(begins) && !has_others) || is_address(value)
}

/// True for an IP address, with or without a port.
fn is_address(value: &str) -> bool {
    value.parse::<std::net::IpAddr>().is_ok() || value.parse::<std::net::SocketAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_mistakes_without_end_those_that_are_shown_are_explained() {
        let text = "a = b\n".repeat(20_000);
        let errors = toml::de::DeTable::parse_recoverable(&text).1;
        let complaints = explain(&text, &errors);
        let explained = |complaint: &&Complaint| format!("{complaint:?}").contains("needs quotes");
        assert!(complaints.len() > PROBLEMS_MAX, "{}", complaints.len());
        let count = complaints.iter().filter(explained).count();
        assert!((1..=PROBLEMS_MAX).contains(&count), "{count}");
    }
}
