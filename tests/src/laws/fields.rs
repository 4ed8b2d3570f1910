//! The fields of an action are a table in `core`. Schemas and paths elsewhere have the same fields.

use std::collections::BTreeSet;

use syn::{Fields, Item};

use super::house::{House, Source};
use super::{Violation, assert_kept};

const TABLE: &str = "core/src/action.rs";
/// Files with a struct that has every field of an action.
const SCHEMAS: [&str; 2] = [
    "ingest/http/src/openapi.rs",
    "admin-api/src/rest/evaluate.rs",
];
/// Files that name every field of an action but the payload in a string.
const PATHS: [&str; 1] = ["pipeline/rules/src/path.rs"];

/// The names of the table's rows: `Metadata metadata: Labels = labels,`.
fn table(text: &str) -> BTreeSet<String> {
    let rows = text
        .lines()
        .skip_while(|line| !line.contains("macro_rules! action_fields"))
        .take_while(|line| *line != "}");
    let names = rows.filter_map(|row| row.trim().split_once(':')?.0.split_once(' '));
    names.map(|(_, name)| name.to_owned()).collect()
}

/// The fields of the struct that has the most of these names.
fn schema(source: &Source, names: &BTreeSet<String>) -> BTreeSet<String> {
    let file = source.parse().expect("a file that parses");
    let structs = file.items.iter().filter_map(|item| match item {
        Item::Struct(item) => Some(&item.fields),
        _ => None,
    });
    let fields = |fields: &Fields| -> BTreeSet<String> {
        let idents = fields.iter().filter_map(|field| field.ident.as_ref());
        idents.map(ToString::to_string).collect()
    };
    let of = structs.map(fields);
    of.max_by_key(|fields| fields.intersection(names).count())
        .unwrap_or_default()
}

fn missing(path: &str, names: &BTreeSet<String>, found: &BTreeSet<String>) -> Vec<Violation> {
    let missing = names.difference(found);
    missing
        .map(|name| Violation::of(path, format!("the action's field `{name}` is missing")))
        .collect()
}

#[test]
fn every_description_of_an_action_has_its_fields() {
    let house = House::read();
    let read = |path: &str| Source::new(path, &house.text(path).expect("a file"));
    let mut names = table(&read(TABLE).text);
    assert_eq!(names.len(), 14, "{names:?}");
    let mut violations = Vec::new();
    for path in SCHEMAS {
        let found = schema(&read(path), &names);
        violations.extend(missing(path, &names, &found));
    }
    names.remove("payload");
    for path in PATHS {
        let text = read(path).text;
        let is_named = |name: &&String| text.contains(&format!("\"{name}\""));
        let found = names.iter().filter(is_named).cloned().collect();
        violations.extend(missing(path, &names, &found));
    }
    assert_kept(&violations);
}

#[test]
fn a_field_that_a_schema_lacks_is_found() {
    let rows =
        "macro_rules! action_fields {\n    Id id: Text = id,\n    Tag tag: Text = tag,\n}\n x: y";
    let names = table(rows);
    let schema = schema(
        &Source::new("a.rs", "struct X { id: u8, more: u8 } struct Y;"),
        &names,
    );
    let found: Vec<_> = missing("a.rs", &names, &schema)
        .into_iter()
        .map(|v| v.law)
        .collect();
    assert_eq!(found, ["the action's field `tag` is missing"]);
}
