//! The cookbook, case by case: each folder is a separate rule set. It passes its tests, and they match every rule.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::binary;

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The names of the folders.
fn cases() -> Vec<String> {
    let entries = fs::read_dir(repository().join("docs/cookbook")).unwrap();
    let folders = entries
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_dir());
    let mut names: Vec<_> = folders
        .map(|folder| folder.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The output of the binary for a case that passes, in `region`.
fn said_of(case: &str, region: &str, arguments: &[&str]) -> String {
    let folder = format!("docs/cookbook/{case}");
    let mut command = Command::new(binary());
    command
        .current_dir(repository())
        .env("REGION", region)
        .env("ACTEON_RULES__DIRECTORY", repository().join(&folder));
    let config = format!("{folder}/acteon.toml");
    if repository().join(&config).exists() {
        command.args(["-c", &config]);
    }
    let output = command.args(arguments).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{case}: {said}{complaints}");
    said
}

#[test]
fn every_case_passes_its_tests_which_match_every_rule() {
    let cases = cases();
    assert!(cases.len() >= 20, "{cases:?}");
    for case in cases.iter().filter(|case| *case != "region") {
        let said = said_of(case, "", &["test", "--coverage"]);
        assert!(!said.contains("no test matched it"), "{said}");
    }
}

#[test]
fn nothing_in_a_case_is_warned_of() {
    for case in cases() {
        said_of(&case, "eu-1", &["check", "--deny-warnings"]);
    }
}

#[test]
fn the_case_of_regions_holds_in_each_region() {
    for region in ["eu-1", "us-1"] {
        let filter = format!("in {region}");
        let said = said_of("region", region, &["test", "--filter", &filter]);
        assert!(said.contains("1 file, 2 tests: 2 passed"), "{said}");
    }
}

#[test]
fn the_index_names_every_case_once_and_each_says_what_it_is_for() {
    let index = fs::read_to_string(repository().join("docs/cookbook/README.md")).unwrap();
    for case in cases() {
        let link = format!("| [{case}]({case}/rules.yaml) |");
        assert_eq!(index.matches(&link).count(), 1, "{case}");
        let rules = repository()
            .join("docs/cookbook")
            .join(&case)
            .join("rules.yaml");
        let text = fs::read_to_string(rules).unwrap();
        assert!(
            text.starts_with("# "),
            "{case}: rules.yaml begins with what it is for"
        );
    }
}
