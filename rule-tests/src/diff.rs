//! Where two JSON values differ, path by path.

use serde_json::{Map, Number, Value};

/// How many differences of one value are listed.
const LISTED_MAX: usize = 20;
/// How many characters of a value are shown.
const SHOWN_MAX: usize = 200;

/// One place at which two values differ.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// From the root, as in rules: `items.0."a.b"`. Empty for the whole value.
    pub(crate) path: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// What counts as a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadMatch {
    /// All of it.
    Exact,
    /// Only the expected parts: further keys are allowed, and an expected null matches an absent value.
    Subset,
}

/// All differences, in the order of the expected value; the last one counts the differences that are not listed.
pub(crate) fn differences(expected: &Value, found: &Value, mode: PayloadMatch) -> Vec<Difference> {
    let mut walk = Walk {
        mode,
        listed: Vec::new(),
        unlisted: 0,
    };
    walk.value("", Some(expected), Some(found));
    if walk.unlisted > 0 {
        walk.listed.push(Difference {
            path: "...".to_owned(),
            expected: "the same".to_owned(),
            found: format!("{} more differences", walk.unlisted),
        });
    }
    walk.listed
}

struct Walk {
    mode: PayloadMatch,
    listed: Vec<Difference>,
    unlisted: usize,
}

impl Walk {
    fn value(&mut self, path: &str, expected: Option<&Value>, found: Option<&Value>) {
        match (expected, found) {
            (Some(Value::Object(expected)), Some(Value::Object(found))) => {
                self.object(path, expected, found);
            }
            (Some(Value::Array(expected)), Some(Value::Array(found))) => {
                for at in 0..expected.len().max(found.len()) {
                    let path = join(path, &at.to_string());
                    self.value(&path, expected.get(at), found.get(at));
                }
            }
            (Some(Value::Null), None) if self.mode == PayloadMatch::Subset => {}
            (Some(Value::Number(one)), Some(Value::Number(other))) if equal(one, other) => {}
            (expected, found) if expected == found => {}
            (expected, found) => self.report(path, expected, found),
        }
    }

    fn object(&mut self, path: &str, expected: &Map<String, Value>, found: &Map<String, Value>) {
        for (key, value) in expected {
            self.value(&join(path, key), Some(value), found.get(key));
        }
        if self.mode == PayloadMatch::Exact {
            let unexpected = found.iter().filter(|(key, _)| !expected.contains_key(*key));
            for (key, value) in unexpected {
                self.value(&join(path, key), None, Some(value));
            }
        }
    }

    fn report(&mut self, path: &str, expected: Option<&Value>, found: Option<&Value>) {
        if self.listed.len() == LISTED_MAX {
            self.unlisted += 1;
            return;
        }
        self.listed.push(Difference {
            path: path.to_owned(),
            expected: expected.map_or_else(|| "nothing".to_owned(), shown),
            found: found.map_or_else(|| "nothing".to_owned(), shown),
        });
    }
}

/// Compares like rules: `1` equals `1.0`. Integers that would round to the same float are different.
fn equal(one: &Number, other: &Number) -> bool {
    let mixed = one.is_f64() != other.is_f64();
    one == other || (mixed && one.as_f64() == other.as_f64())
}

/// A path with one more key, quoted as in a rule if necessary.
fn join(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && !key.contains(['.', '"', ' ']);
    let key = if plain {
        key.to_owned()
    } else {
        Value::from(key).to_string()
    };
    match path {
        "" => key,
        path => format!("{path}.{key}"),
    }
}

/// A value as compact JSON, cut if it is long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_MAX) {
        None => text,
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(expected: &Value, found: &Value, mode: PayloadMatch) -> Vec<String> {
        let differences = differences(expected, found, mode);
        let line = |d: &Difference| format!("{}: {} / {}", d.path, d.expected, d.found);
        differences.iter().map(line).collect()
    }

    #[test]
    fn every_place_is_told_by_its_path() {
        let expected = json!({"a": {"b.c": [1, {"d": "x"}]}, "gone": null, "same": 1.0});
        let found = json!({"a": {"b.c": [1, {"d": "y"}, 3]}, "same": 1, "new": [true]});
        assert_eq!(
            told(&expected, &found, PayloadMatch::Exact),
            [
                r#"a."b.c".1.d: "x" / "y""#,
                r#"a."b.c".2: nothing / 3"#,
                "gone: null / nothing",
                "new: nothing / [true]",
            ]
        );
        assert_eq!(
            told(&json!(1), &json!("1"), PayloadMatch::Exact),
            [r#": 1 / "1""#]
        );
    }

    #[test]
    fn of_parts_only_what_is_expected_counts() {
        let found = json!({"a": {"b": 1, "c": 2}, "list": [{"x": 1, "y": 2}]});
        let expected = json!({"a": {"b": 1}, "list": [{"x": 1}], "gone": null});
        assert_eq!(told(&expected, &found, PayloadMatch::Subset), [""; 0]);
        let expected = json!({"a": {"c": null}, "list": []});
        assert_eq!(
            told(&expected, &found, PayloadMatch::Subset),
            ["a.c: null / 2", r#"list.0: nothing / {"x":1,"y":2}"#]
        );
    }

    #[test]
    fn large_integers_stay_apart_and_long_differences_are_cut() {
        let one = json!(9_007_199_254_740_993_u64);
        let other = json!(9_007_199_254_740_992_u64);
        assert_eq!(told(&one, &other, PayloadMatch::Exact).len(), 1);
        let long = json!("x".repeat(1000));
        assert!(told(&long, &json!(0), PayloadMatch::Exact)[0].len() < 250);
        let many: Vec<u32> = (0..50).collect();
        let lines = told(&json!([]), &json!(many), PayloadMatch::Exact);
        assert_eq!(lines.len(), LISTED_MAX + 1);
        assert_eq!(lines[LISTED_MAX], "...: the same / 30 more differences");
    }
}
