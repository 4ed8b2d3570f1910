//! Every metric is listed in the guide, and the guide lists no metric that does not exist.

use std::collections::BTreeSet;
use std::fs;

use super::house::{House, is_test_file};
use super::{Violation, assert_kept};

const GUIDE: &str = "docs/guide/metrics.md";

/// The metric names between two `quote` characters.
fn names(text: &str, quote: char) -> BTreeSet<String> {
    let parts = text.split(quote);
    let is_name = |part: &&str| {
        part.starts_with("acteon_")
            && part
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    parts.filter(is_name).map(str::to_owned).collect()
}

fn check(counted: &BTreeSet<String>, described: &BTreeSet<String>) -> Vec<Violation> {
    let missing = counted.difference(described);
    let missing = missing.map(|name| Violation::of(GUIDE, format!("`{name}` is not described")));
    let unknown = described.difference(counted);
    let unknown = unknown.map(|name| Violation::of(GUIDE, format!("nothing counts `{name}`")));
    missing.chain(unknown).collect()
}

#[test]
fn the_guide_describes_every_metric() {
    let house = House::read();
    let places = |path: &str| path.ends_with("/events.rs") || path == "server/src/metrics.rs";
    let sources = house.sources();
    let counting = sources
        .iter()
        .filter(|s| places(&s.path) && !is_test_file(&s.path));
    let counted = counting
        .flat_map(|source| names(&source.text, '"'))
        .collect();
    let guide = fs::read_to_string(house.root.join(GUIDE)).unwrap();
    assert_kept(&check(&counted, &names(&guide, '`')));
}

#[test]
fn a_metric_without_description_and_a_description_without_metric_are_found() {
    let counted = names(r#"counter!("acteon_a_total", "to" => "acteon_ b")"#, '"');
    let described = names("| `acteon_c` (to) |", '`');
    let found: Vec<_> = check(&counted, &described)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found,
        [
            "docs/guide/metrics.md: `acteon_a_total` is not described",
            "docs/guide/metrics.md: nothing counts `acteon_c`"
        ]
    );
}
