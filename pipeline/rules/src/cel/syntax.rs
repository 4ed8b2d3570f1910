//! Rewords the errors of the CEL parser: what was found, and what is meant or expected.

/// Operators and words of other languages, and their counterparts in CEL.
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

/// The message for an error of the parser.
pub(super) fn reworded(message: &str) -> String {
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
