//! What the parser of CEL complains of, in the words of this language: what was found, and what is meant or expected.

/// What other languages write, and what CEL has for it.
const MEANT: [(&str, &str); 9] = [
    ("=", "=="),
    ("&", "&&"),
    ("|", "||"),
    ("and", "&&"),
    ("or", "||"),
    ("is", "=="),
    ("eq", "=="),
    ("like", "matches"),
    ("<>", "!="),
];

/// The message for one of the parser's.
pub(super) fn told(message: &str) -> String {
    let parts = message
        .strip_prefix("mismatched input ")
        .and_then(|rest| rest.split_once(" expecting "))
        .or_else(|| {
            message
                .strip_prefix("unexpected single ")?
                .split_once(", expected ")
        });
    let Some((found, expected)) = parts else {
        return message.replace('\'', "`");
    };
    let found = found.trim_matches('\'');
    if let Some(meant) = meant(found) {
        return format!("found `{found}`; did you mean `{meant}`?");
    }
    let expected = match expected.trim_matches('\'') {
        "<EOF>" => "an operator or the end".to_owned(),
        "expression" => "a value".to_owned(),
        other => format!("`{other}`"),
    };
    match found {
        "<EOF>" => format!("the expression ends here; expected {expected}"),
        _ => format!("found `{found}`; expected {expected}"),
    }
}

fn meant(found: &str) -> Option<&'static str> {
    let found = found.to_ascii_lowercase();
    let known = MEANT.iter().find(|(written, _)| *written == found);
    known.map(|(_, meant)| *meant)
}
