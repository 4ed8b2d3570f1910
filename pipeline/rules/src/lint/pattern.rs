//! Regular expressions that an operator could replace.

/// The equivalent operator, as in a rule file. None if there is none.
pub(super) fn simpler(pattern: &str) -> Option<String> {
    let from_start = pattern.strip_prefix('^');
    let rest = from_start.unwrap_or_else(|| pattern.strip_prefix(".*").unwrap_or(pattern));
    let (text, to_end) = plain(rest)?;
    if text.is_empty() {
        return None;
    }
    let operator = match (from_start, to_end) {
        (Some(_), true) => "eq",
        (Some(_), false) => "starts_with",
        (None, true) => "ends_with",
        (None, false) => "contains",
    };
    Some(format!("{operator}: {text:?}"))
}

/// The plain text that the rest of a pattern matches, and whether it is anchored at the end. None if it has
/// metacharacters other than escaped ones and `.*` at the end.
fn plain(rest: &str) -> Option<(String, bool)> {
    let mut text = String::new();
    let mut signs = rest.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '$' => return signs.as_str().is_empty().then_some((text, true)),
            '.' => return (signs.as_str() == "*").then_some((text, false)),
            '\\' => text.push(signs.next().filter(char::is_ascii_punctuation)?),
            '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' => return None,
            plain => text.push(plain),
        }
    }
    Some((text, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_is_another_operator_is_told_as_that() {
        let rows = [
            ("^test_", Some("starts_with: \"test_\"")),
            ("^test_.*", Some("starts_with: \"test_\"")),
            ("\\.internal$", Some("ends_with: \".internal\"")),
            (".*error", Some("contains: \"error\"")),
            (".*a-b.*", Some("contains: \"a-b\"")),
            ("^a\\$b$", Some("eq: \"a$b\"")),
            ("^order$", Some("eq: \"order\"")),
            ("\\^x", Some("contains: \"^x\"")),
            ("^.*x", None),
            ("^x.*$", None),
            ("a.b", None),
            ("a$b", None),
            ("^(a|b)$", None),
            ("(?i)error", None),
            ("\\d", None),
            ("\\bx", None),
            ("x*", None),
            ("xy?", None),
            ("x{2}", None),
            ("[ab]", None),
            (".*", None),
            ("^$", None),
            ("^", None),
        ];
        for (pattern, expected) in rows {
            assert_eq!(simpler(pattern).as_deref(), expected, "{pattern}");
        }
    }
}
