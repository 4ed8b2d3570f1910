//! The examples and the guide name every key of the schema, and no other.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::binary;

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(REPOSITORY).join(path)).unwrap()
}

fn schema() -> Value {
    let output = Command::new(binary())
        .args(["config", "schema"])
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The keys of the schema. An adapter's keys begin with its family and kind: `providers.webhook.url`.
fn keys_of_schema() -> BTreeSet<String> {
    let schema = schema();
    let mut keys = BTreeSet::new();
    for (section, shape) in schema["properties"].as_object().unwrap() {
        let table = if shape["type"] == "array" {
            &shape["items"]
        } else {
            shape
        };
        let mut ours = BTreeSet::new();
        collect(&schema, table, section, &mut ours);
        for branch in table["allOf"].as_array().into_iter().flatten() {
            let tag = branch["if"]["properties"]
                .as_object()
                .unwrap()
                .iter()
                .next()
                .unwrap();
            let kind = tag.1["const"].as_str().unwrap();
            let mut options = BTreeSet::new();
            collect(&schema, &branch["then"], section, &mut options);
            let is_ours = |key: &String| ours.iter().any(|ours| ours.starts_with(key));
            let own = options.into_iter().filter(|key| !is_ours(key));
            keys.extend(own.map(|key| key.replacen('.', &format!(".{kind}."), 1)));
        }
        keys.extend(ours);
    }
    keys
}

/// The keys inside `shape`. A table with arbitrary keys counts as one key.
fn collect(schema: &Value, shape: &Value, path: &str, keys: &mut BTreeSet<String>) {
    let shape = match shape["$ref"].as_str() {
        Some(reference) => schema.pointer(reference.trim_start_matches('#')).unwrap(),
        None => shape,
    };
    let alternatives = ["anyOf", "oneOf"].map(|keyword| shape[keyword].as_array());
    for alternative in alternatives.into_iter().flatten().flatten() {
        collect(schema, alternative, path, keys);
    }
    if !shape["items"].is_null() {
        collect(schema, &shape["items"], path, keys);
    }
    let properties = shape["properties"].as_object();
    for (key, inside) in properties.into_iter().flatten() {
        let path = format!("{path}.{key}");
        let before = keys.len();
        collect(schema, inside, &path, keys);
        if keys.len() == before {
            keys.insert(path);
        }
    }
}

/// The keys in the file, spelt as [`keys_of_schema`] spells them.
fn keys_of_file(text: &str, known: &BTreeSet<String>) -> BTreeSet<String> {
    let file: toml::Table = text.parse().unwrap();
    let mut keys = BTreeSet::new();
    for (section, value) in &file {
        let entries = match value {
            toml::Value::Array(entries) => entries.iter().collect(),
            entry => vec![entry],
        };
        for entry in entries {
            let kind = ["type", "backend"]
                .iter()
                .find_map(|tag| entry.get(tag)?.as_str());
            given(entry, section, &mut |path| {
                let of_kind = kind.map(|kind| path.replacen('.', &format!(".{kind}."), 1));
                let key = of_kind
                    .into_iter()
                    .chain([path.to_owned()])
                    .find(|key| known.contains(key));
                let is_known = key.is_some();
                keys.extend(key);
                is_known
            });
        }
    }
    keys
}

/// The text with the keys that the example has in comments, because they name files that a machine may not have.
fn with_switched_off(text: &str) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Calls `found` with each path of a value until `found` returns true.
fn given(value: &toml::Value, path: &str, found: &mut impl FnMut(&str) -> bool) {
    if found(path) {
        return;
    }
    for item in value.as_array().into_iter().flatten() {
        given(item, path, found);
    }
    for (key, inside) in value.as_table().into_iter().flatten() {
        given(inside, &format!("{path}.{key}"), found);
    }
}

/// A section has one backend, so the other backends have their own examples.
#[test]
fn the_full_example_and_those_of_backends_give_every_key_of_the_schema() {
    let known = keys_of_schema();
    assert!(known.len() > 80, "{known:?}");
    let examples = ["config/examples/full.toml", "config/examples/sqlite.toml"];
    let given = examples.map(|example| keys_of_file(&with_switched_off(&read(example)), &known));
    let given = given.into_iter().flatten().collect();
    let missing: Vec<_> = known.difference(&given).collect();
    assert!(missing.is_empty(), "the examples leave out {missing:?}");
}

/// The keys in the first cells of the guide's tables. A key that begins with a dot continues the one before it.
fn keys_of_guide(guide: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut prefix = String::new();
    for line in guide.lines() {
        let Some(cell) = line.strip_prefix('|').and_then(|row| row.split('|').next()) else {
            continue;
        };
        let spans: Vec<_> = cell.split('`').skip(1).step_by(2).collect();
        match cell.trim() {
            "key" => prefix.clear(),
            "key of every source" => prefix = "sources.".into(),
            "key of every provider" => prefix = "providers.".into(),
            "key of every state machine" => prefix = "state_machines.".into(),
            header if header.starts_with("key of ") => {
                let family = header.rsplit(' ').next().unwrap().trim_end_matches('`');
                let family = match family {
                    "source" => "sources",
                    "provider" => "providers",
                    other => other,
                };
                prefix = format!("{family}.{}.", spans[0]);
            }
            _ => {
                let mut before = "";
                for span in spans {
                    match span.strip_prefix('.') {
                        Some(key) => {
                            let table = before.rsplit_once('.').map_or("", |(table, _)| table);
                            keys.insert(format!("{prefix}{table}.{key}"));
                        }
                        None => {
                            keys.insert(format!("{prefix}{span}"));
                            before = span;
                        }
                    }
                }
            }
        }
    }
    keys
}

#[test]
fn the_guide_names_every_key_of_the_schema_and_no_other() {
    let known = keys_of_schema();
    let named = keys_of_guide(&read("docs/guide/configuration.md"));
    let missing: Vec<_> = known.difference(&named).collect();
    assert!(missing.is_empty(), "the guide leaves out {missing:?}");
    let invented: Vec<_> = named.difference(&known).collect();
    assert!(
        invented.is_empty(),
        "the guide names {invented:?}, which there are not"
    );
}

/// The blocks of TOML in a document.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let blocks = text.split("```toml\n").skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap())
}

/// The first path of `value` that is not a known key of any adapter.
fn unknown(value: &toml::Value, path: &str, known: &BTreeSet<String>) -> Option<String> {
    let (section, key) = path.split_once('.').unwrap_or((path, ""));
    let is_it = |name: &String| {
        let (of, rest) = name.split_once('.').unwrap();
        let of_kind = || rest.split_once('.').is_some_and(|(_, own)| own == key);
        of == section && (rest == key || of_kind())
    };
    if known.iter().any(is_it) {
        return None;
    }
    match value {
        toml::Value::Table(inside) => inside
            .iter()
            .find_map(|(key, value)| unknown(value, &format!("{path}.{key}"), known)),
        toml::Value::Array(entries)
            if key.is_empty() || entries.iter().all(toml::Value::is_table) =>
        {
            entries.iter().find_map(|entry| unknown(entry, path, known))
        }
        _ => Some(path.to_owned()),
    }
}

#[test]
fn the_configurations_that_documents_show_have_only_keys_that_there_are() {
    let known = keys_of_schema();
    let mut paths = Vec::new();
    let mut shown = 0;
    documents(Path::new(REPOSITORY), &mut paths);
    let of_users = [
        "README.md",
        "configuration.md",
        "delivery.md",
        "operating.md",
        "rules.md",
    ];
    paths.retain(|path| of_users.iter().any(|name| path.ends_with(name)));
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        for block in blocks(&text) {
            let table: toml::Table = block
                .parse()
                .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let found = table
                .iter()
                .find_map(|(key, value)| unknown(value, key, &known));
            assert_eq!(
                found,
                None,
                "{} shows a key that there is not",
                path.display()
            );
            shown += 1;
        }
    }
    assert!(shown > 5, "{shown}");
}

/// The documents of the repository, and the examples.
fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            documents(&path, found);
        } else if name.ends_with(".md") || name.ends_with(".toml") {
            found.push(path);
        }
    }
}

#[test]
fn every_command_that_a_document_shows_is_one() {
    let is_command = |words: &[&str]| {
        let output = Command::new(binary())
            .args(words)
            .arg("--help")
            .output()
            .unwrap();
        output.status.success()
    };
    let mut paths = Vec::new();
    let mut shown = BTreeSet::new();
    documents(Path::new(REPOSITORY), &mut paths);
    for path in paths {
        let bytes = fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for rest in text.split("acteon-server ").skip(1) {
            let end = rest.find(['`', '\n', '#', '<', '|']).unwrap_or(rest.len());
            let is_word = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            let words: Vec<_> = rest[..end].split_whitespace().take_while(is_word).collect();
            let words: Vec<_> = words
                .into_iter()
                .take_while(|word| !word.starts_with('-'))
                .collect();
            let is_group = matches!(words.first(), Some(&"config" | &"rules"));
            let command = &words[..words.len().min(if is_group { 2 } else { 1 })];
            assert!(
                is_command(command),
                "{}: there is no `{}`",
                path.display(),
                command.join(" ")
            );
            shown.insert(command.join(" "));
        }
    }
    assert!(shown.len() > 5, "{shown:?}");
}
