//! The contents of a crate's folder and manifest: shared lints, shared versions, the same files in every adapter, a row
//! in the table of crates.

use super::house::{Crate, House};
use super::{Violation, assert_kept, places};

/// Required in every adapter.
const ADAPTER_FILES: &[&str] = &["README.md", "src/lib.rs", "src/config.rs", "src/tests.rs"];
/// At least one of these is required. It shows the kind of adapter.
const ADAPTER_PORTS: &[&str] = &[
    "src/source.rs",
    "src/sink.rs",
    "src/state.rs",
    "src/audit.rs",
];
const README_AS_DOC: &str = "#![doc = include_str!(\"../README.md\")]";
const DOCS_DENIED: &str = "#![deny(missing_docs)]";
/// Third-party crates without features, and so without a default to turn off.
const FEATURELESS: &[&str] = &["async-trait"];

fn is_adapter(folder: &str) -> bool {
    let family = matches!(
        folder.split('/').next(),
        Some("ingest" | "sinks" | "backends")
    );
    family && folder.matches('/').count() == 1 && !folder.ends_with("/kit")
}

fn must_document(folder: &str) -> bool {
    folder == "core" || folder == "tests/testkit" || folder.ends_with("/kit")
}

fn check_adapter(folder: &str, text: impl Fn(&str) -> Option<String>) -> Vec<Violation> {
    let text = |file: &str| text(&format!("{folder}/{file}"));
    let mut found: Vec<_> = ADAPTER_FILES
        .iter()
        .filter(|file| text(file).is_none())
        .map(|file| Violation::of(folder, format!("an adapter has a file `{file}`")))
        .collect();
    if !ADAPTER_PORTS.iter().any(|file| text(file).is_some()) {
        let law = format!("an adapter has one of {}", ADAPTER_PORTS.join(", "));
        found.push(Violation::of(folder, law));
    }
    if text("src/lib.rs").is_some_and(|lib| !lib.contains(README_AS_DOC)) {
        let law = format!("an adapter's README is its crate doc: `{README_AS_DOC}`");
        found.push(Violation::at(&format!("{folder}/src/lib.rs"), 1, law));
    }
    found
}

fn check_manifest(place: &str, manifest: &str) -> Vec<Violation> {
    let manifest: toml::Table = match manifest.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![Violation::of(place, format!("must be TOML: {error}"))],
    };
    let mut found = Vec::new();
    let inherits = |value: Option<&toml::Value>| {
        value
            .and_then(|v| v.get("workspace"))
            .and_then(toml::Value::as_bool)
            == Some(true)
    };
    if !inherits(manifest.get("lints")) {
        found.push(Violation::of(
            place,
            "every crate has `[lints] workspace = true`",
        ));
    }
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let needs = manifest.get(kind).and_then(toml::Value::as_table);
        for (name, need) in needs.into_iter().flatten() {
            if !inherits(Some(need)) {
                let law = format!(
                    "`{name}`: the root manifest has the versions; write `workspace = true`"
                );
                found.push(Violation::of(place, law));
            }
        }
    }
    found
}

fn check_root(manifest: &str) -> Vec<Violation> {
    let manifest: toml::Table = manifest.parse().expect("the root manifest is TOML");
    let needs = manifest["workspace"]["dependencies"]
        .as_table()
        .expect("a table");
    let trimmed = |need: &toml::Value| {
        need.get("path").is_some()
            || need.get("default-features").and_then(toml::Value::as_bool) == Some(false)
    };
    needs
        .iter()
        .filter(|(name, need)| !trimmed(need) && !FEATURELESS.contains(&name.as_str()))
        .map(|(name, _)| {
            let law = format!("`{name}`: write `default-features = false` and name what is needed");
            Violation::of("Cargo.toml", law)
        })
        .collect()
}

fn check_map(krate: &Crate, map: &str) -> Option<Violation> {
    let law = format!(
        "the table of crates is complete: `{}/` is missing",
        krate.folder
    );
    (!map.contains(&format!("`{}/`", krate.folder))).then(|| Violation::of("ARCHITECTURE.md", law))
}

#[test]
fn manifests_share_lints_and_versions() {
    let house = House::read();
    let mut violations = check_root(&house.text("Cargo.toml").expect("a root manifest"));
    for krate in &house.crates {
        let place = format!("{}/Cargo.toml", krate.folder);
        let manifest = house.text(&place).expect("a manifest");
        violations.extend(check_manifest(&place, &manifest));
    }
    assert_kept(&violations);
}

#[test]
fn two_adapters_can_be_read_side_by_side() {
    let house = House::read();
    let adapters = house.crates.iter().filter(|c| is_adapter(&c.folder));
    let violations: Vec<_> = adapters
        .flat_map(|c| check_adapter(&c.folder, |path| house.text(path)))
        .collect();
    assert_kept(&violations);
}

#[test]
fn core_testkit_and_kits_are_documented() {
    let house = House::read();
    let documented = house.crates.iter().filter(|c| must_document(&c.folder));
    let violations: Vec<_> = documented
        .map(|c| format!("{}/src/lib.rs", c.folder))
        .filter(|lib| {
            house
                .text(lib)
                .is_none_or(|text| !text.contains(DOCS_DENIED))
        })
        .map(|lib| {
            Violation::at(
                &lib,
                1,
                format!("this crate is documented: `{DOCS_DENIED}`"),
            )
        })
        .collect();
    assert_kept(&violations);
}

#[test]
fn the_architecture_page_names_every_crate() {
    let house = House::read();
    let map = house
        .text("ARCHITECTURE.md")
        .expect("ARCHITECTURE.md is there");
    let violations: Vec<_> = house
        .crates
        .iter()
        .filter_map(|c| check_map(c, &map))
        .collect();
    assert_kept(&violations);
}

#[test]
fn a_manifest_with_lints_or_versions_of_its_own_is_found() {
    let good = "[lints]\nworkspace = true\n[dependencies]\na.workspace = true\n\
                b = { workspace = true, features = [\"x\"] }\n";
    assert_kept(&check_manifest("a/Cargo.toml", good));
    let bad = "[dependencies]\na = \"1\"\n[dev-dependencies]\nb = { version = \"2\" }\n";
    assert_eq!(check_manifest("a/Cargo.toml", bad).len(), 3);
    let root = "[workspace.dependencies]\na = \"1\"\nb = { path = \"b\" }\n\
                c = { version = \"1\", default-features = false }\nasync-trait = \"0.1\"\n";
    let found = check_root(root);
    assert_eq!(places(&found), ["Cargo.toml"]);
    assert!(found[0].law.starts_with("`a`"));
}

#[test]
fn an_adapter_without_its_files_is_found() {
    assert!(is_adapter("sinks/log") && !is_adapter("sinks/kit") && !is_adapter("sinks"));
    assert_eq!(check_adapter("sinks/x", |_| None).len(), 5);
    let bare = |path: &str| (path == "sinks/x/src/lib.rs").then(|| "//! X.".to_owned());
    let found = check_adapter("sinks/x", bare);
    assert_eq!(
        places(&found),
        [
            "sinks/x",
            "sinks/x",
            "sinks/x",
            "sinks/x",
            "sinks/x/src/lib.rs:1"
        ]
    );
    assert_kept(&check_adapter("sinks/x", |_| {
        Some(README_AS_DOC.to_owned())
    }));
}

#[test]
fn a_crate_without_a_row_is_found() {
    let krate = Crate {
        name: "acteon-x".into(),
        folder: "sinks/x".into(),
        needs: Vec::new(),
    };
    assert!(check_map(&krate, "`sinks/` and `sinks/log/`").is_some());
    assert!(check_map(&krate, "`sinks/x/`").is_none());
}
