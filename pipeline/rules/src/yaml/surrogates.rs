//! JSON writers escape a character beyond 16 bits as a surrogate pair, `"\ud83d\ude00"`, which YAML does not support.
//! Each half is replaced by the escape of a private-use character of the same length, so that places stay, and restored
//! in the parsed scalars.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// The first surrogate, and the number of surrogates.
const FIRST: u16 = 0xd800;
const COUNT: u16 = 0x800;
/// The distances to the private-use ranges that can replace them.
const SHIFTS: [u16; 3] = [COUNT, 2 * COUNT, 3 * COUNT];

/// Both halves of a pair, with the backslashes before it.
static PAIR: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let high = "(d[89ab][0-9a-f]{2}|D[89AB][0-9A-F]{2})";
    let low = "(d[c-f][0-9a-f]{2}|D[C-F][0-9A-F]{2})";
    Regex::new(&format!(r"(\\*)\\u{high}\\u{low}")).ok()
});
/// Any 16-bit escape.
static ESCAPE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\\(?:u|U0000)([0-9a-fA-F]{4})").ok());

/// A file in which surrogates are replaced by private-use characters.
pub(super) struct Pairs<'t> {
    pub(super) text: Cow<'t, str>,
    /// The distance they were moved; 0 if there are none.
    shift: u16,
}

impl<'t> Pairs<'t> {
    /// Leaves the text unchanged if it uses every private-use range.
    pub(super) fn hidden(text: &'t str) -> Self {
        let shown = Self {
            text: Cow::Borrowed(text),
            shift: 0,
        };
        let Some(pair) = PAIR.as_ref().filter(|pair| pair.is_match(text)) else {
            return shown;
        };
        let Some(shift) = SHIFTS.into_iter().find(|shift| is_free(*shift, text)) else {
            return shown;
        };
        let hidden = pair.replace_all(text, |found: &Captures<'_>| {
            let before = &found[1];
            // After an odd number of backslashes, the next one is itself escaped.
            if before.len() % 2 == 1 {
                return found[0].to_owned();
            }
            let high = moved(&found[2], shift);
            let low = moved(&found[3], shift);
            format!(r"{before}\u{high}\u{low}")
        });
        Self {
            text: hidden,
            shift,
        }
    }

    /// The scalar with its surrogates restored; in an escaped scalar, the characters that the pairs encode.
    pub(super) fn restored<'s>(&self, scalar: Cow<'s, str>, is_escaped: bool) -> Cow<'s, str> {
        if self.shift == 0 {
            return scalar;
        }
        let from = FIRST + self.shift;
        let back = self.shift.wrapping_neg();
        let is_private = |unit: u16| (from..from + COUNT).contains(&unit);
        if is_escaped {
            let units = scalar.encode_utf16();
            let units = units.map(|unit| match is_private(unit) {
                true => unit - self.shift,
                false => unit,
            });
            return String::from_utf16_lossy(&units.collect::<Vec<_>>()).into();
        }
        let Some(escape) = ESCAPE.as_ref() else {
            return scalar;
        };
        let restored =
            escape.replace_all(&scalar, |found: &Captures<'_>| {
                match u16::from_str_radix(&found[1], 16).is_ok_and(is_private) {
                    true => format!(r"\u{}", moved(&found[1], back)),
                    false => found[0].to_owned(),
                }
            });
        restored.into_owned().into()
    }
}

/// Whether the private-use range does not occur in the text, neither as characters nor as escapes.
fn is_free(shift: u16, text: &str) -> bool {
    let taken = FIRST + shift..FIRST + shift + COUNT;
    let is_taken = |unit: u16| taken.contains(&unit);
    let mut escapes = ESCAPE.iter().flat_map(|escape| escape.captures_iter(text));
    !text.encode_utf16().any(is_taken)
        && !escapes.any(|found| u16::from_str_radix(&found[1], 16).is_ok_and(is_taken))
}

/// The digits of the moved character, in the same case.
fn moved(digits: &str, shift: u16) -> String {
    let unit = u16::from_str_radix(digits, 16).unwrap_or_default();
    let moved = unit.wrapping_add(shift);
    match digits.starts_with(|first: char| first.is_ascii_uppercase()) {
        true => format!("{moved:04X}"),
        false => format!("{moved:04x}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use crate::problems::FileProblems;
    use crate::yaml::{Data, Node, read};

    /// As a writer does that leaves nothing beyond ASCII in its output.
    fn escaped(json: &Value) -> String {
        let plain = json.to_string();
        let units = plain.chars().map(|character| match character.is_ascii() {
            true => character.to_string(),
            false => {
                let mut units = [0; 2];
                let units = character.encode_utf16(&mut units).iter();
                units.map(|unit| format!("\\u{unit:04x}")).collect()
            }
        });
        units.collect()
    }

    fn loaded(text: &str) -> Result<Node, String> {
        let mut problems = FileProblems::of("a.yaml");
        let node = read(text, "anything", &mut problems);
        let listed = problems.into_list();
        node.filter(|_| listed.is_empty())
            .ok_or_else(|| listed.iter().map(ToString::to_string).collect())
    }

    fn json(node: &Node) -> Value {
        match &node.data {
            Data::Null => Value::Null,
            Data::Bool(flag) => (*flag).into(),
            Data::Number(number) => number.get().to_json(),
            Data::Text(text) => text.as_str().into(),
            Data::List(items) => items.iter().map(json).collect(),
            Data::Map(entries) => {
                let members = entries.iter();
                let members = members.map(|(key, node)| (key.text.clone(), json(node)));
                Value::Object(members.collect())
            }
        }
    }

    #[test]
    fn what_json_writers_escape_is_read_and_all_else_is_left_as_it_is() {
        let rows = [
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\uD83D\uDE00 \\\ud83d\ude00""#, "😀 \\😀"),
            (r#""\\ud83d\\ude00""#, r"\ud83d\ude00"),
            (r"'\ud83d\ude00'", r"\ud83d\ude00"),
            (r"\uD83D\uDe00 plain", r"\uD83D\uDe00 plain"),
            (r"\uD83D\uDE00 \ud83d\ude00", r"\uD83D\uDE00 \ud83d\ude00"),
            ("|-\n  \"\\ud83d\\ude00\"", r#""\ud83d\ude00""#),
            ("\"\u{e03d}\\ue03e\\ud83d\\ude00\"", "\u{e03d}\u{e03e}😀"),
            ("\"\u{e03d}\\uf7ff\\ud83d\\ude00\"", "\u{e03d}\u{f7ff}😀"),
            ("\"\u{e03d}\\uee00\"", "\u{e03d}\u{ee00}"),
        ];
        for (text, expected) in rows {
            let node = loaded(text).unwrap_or_else(|problem| panic!("{text}: {problem}"));
            assert_eq!(json(&node), expected, "{text}");
        }
    }

    #[test]
    fn half_a_pair_is_a_mistake_and_places_behind_a_pair_are_right() {
        for text in [r#""\ud83d""#, r#""\ude00\ud83d""#, r#""\ud83d\\ude00""#] {
            assert!(loaded(text).unwrap_err().contains("escape"), "{text}");
        }
        let problem = loaded(r#"{"\ud83d\ude00": 1, "\uD83D\uDE00": 2}"#).unwrap_err();
        assert_eq!(problem, "a.yaml:1:21: the key `😀` occurs twice");
    }

    fn value() -> impl Strategy<Value = Value> {
        let text = "([a-z\"\\\\/\n\u{e000}\u{e800}é😀𝄞]|ud83d){0,6}";
        let scalar = prop_oneof![
            any::<i32>().prop_map(Value::from),
            text.prop_map(Value::from),
            Just(Value::Null),
        ];
        scalar.prop_recursive(3, 12, 3, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec((text, inner), 0..3)
                    .prop_map(|members| { Value::Object(members.into_iter().collect()) }),
            ]
        })
    }

    proptest! {
        #[test]
        fn json_that_is_escaped_to_ascii_is_yaml(value in value()) {
            let node = loaded(&escaped(&value)).map_err(TestCaseError::fail)?;
            prop_assert_eq!(json(&node), value);
        }
    }
}
