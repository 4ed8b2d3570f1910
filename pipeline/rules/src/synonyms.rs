//! Words of other systems for the keys and values of the rule language, so that errors can name the right one.

/// Foreign words, and the words that they may mean. The known names at that place decide which.
const SYNONYMS: [(&[&str], &[&str]); 43] = [
    (&["equals", "equal", "is", "==", "=", "value"], &["eq"]),
    (&["not_equals", "not_equal", "neq", "!=", "<>"], &["ne"]),
    (&[">", "greater_than", "greater", "above", "over"], &["gt"]),
    (&[">=", "ge", "min", "at_least"], &["gte"]),
    (&["<", "less_than", "less", "below", "under"], &["lt"]),
    (&["max"], &["max_count", "lte"]),
    (&["<=", "le", "at_most"], &["lte"]),
    (&["includes", "substring"], &["contains"]),
    (&["prefix", "begins_with"], &["starts_with", "startsWith"]),
    (&["suffix"], &["ends_with", "endsWith"]),
    (&["regexp", "re", "pattern", "like"], &["matches"]),
    (&["one_of", "any_of", "among"], &["in", "any"]),
    (&["none_of", "not_one_of", "nin"], &["not_in"]),
    (&["present", "is_set", "defined"], &["exists"]),
    (&["and", "every"], &["all"]),
    (&["or", "some"], &["any"]),
    (&["path", "attribute", "property"], &["field"]),
    (&["expression", "expr"], &["cel"]),
    (&["function"], &["call"]),
    (&["arguments", "params"], &["args"]),
    (&["ttl", "expires", "expiry"], &["ttl_seconds"]),
    (
        &["window", "period", "interval", "per", "duration", "seconds"],
        &["window_seconds", "ttl_seconds"],
    ),
    (&["within", "since"], &["within_seconds"]),
    (&["limit"], &["max_count", "throttle"]),
    (&["count", "rate", "maximum"], &["max_count"]),
    (
        &["provider", "target", "to", "destination"],
        &["target_provider", "provider"],
    ),
    (&["providers"], &["targets"]),
    (&["share", "percent", "ratio"], &["weight"]),
    (
        &["by", "dedup_key", "group_by", "fields", "key_fields"],
        &["key"],
    ),
    (&["patch", "merge", "payload"], &["changes"]),
    (&["set"], &["changes", "modify"]),
    (&["message", "because"], &["reason"]),
    (
        &["when", "if", "conditions", "where", "match"],
        &["condition"],
    ),
    (&["then", "do", "actions", "effect"], &["action"]),
    (&["id", "rule", "title"], &["name"]),
    (&["order", "weight", "rank", "prio"], &["priority"]),
    (&["disabled", "active"], &["enabled"]),
    (&["tz", "zone", "time_zone"], &["timezone"]),
    (&["labels", "tags", "annotations"], &["metadata"]),
    (
        &["drop", "ignore", "mute", "silence", "skip"],
        &["suppress"],
    ),
    (&["block", "reject", "forbid", "refuse"], &["deny"]),
    (&["len", "length"], &["size"]),
    (&["rate_limit", "ratelimit"], &["throttle"]),
];

/// The known name that a foreign word means.
pub(crate) fn meant<'k>(found: &str, known: &[&'k str]) -> Option<&'k str> {
    let found = found.to_ascii_lowercase().replace(['-', ' '], "_");
    let of_word = SYNONYMS
        .iter()
        .filter(|(words, _)| words.contains(&found.as_str()));
    let mut names = of_word.flat_map(|(_, names)| names.iter());
    names.find_map(|name| known.iter().find(|known| *known == name).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_tells_which_word_is_meant() {
        assert_eq!(meant("max", &["type", "max_count"]), Some("max_count"));
        assert_eq!(meant("Max", &["gte", "lte"]), Some("lte"));
        assert_eq!(meant("not-equals", &["eq", "ne"]), Some("ne"));
        assert_eq!(meant("max", &["name"]), None);
        assert_eq!(meant("eq", &["eq"]), None);
    }
}
