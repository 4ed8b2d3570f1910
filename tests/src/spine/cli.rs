//! The command line: what a user is told before anything runs.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::binary;

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn execute(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .current_dir(folder)
        .env("CRM_TOKEN", "a token")
        .output()
        .unwrap()
}

#[test]
fn every_example_configuration_passes_the_check_with_the_real_adapters() {
    let mut checked = 0;
    for entry in fs::read_dir(repository().join("config/examples")).unwrap() {
        let path = entry.unwrap().path();
        let output = execute(repository(), &["-c", &path.to_string_lossy(), "check"]);
        assert!(output.status.success(), "{}: {output:?}", path.display());
        assert!(
            String::from_utf8(output.stdout)
                .unwrap()
                .starts_with("all is well")
        );
        checked += 1;
    }
    assert!(checked >= 3);
}

#[test]
fn check_reports_every_mistake_with_its_place_and_ends_with_failure() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[server]\nprot = 1\n\n[[providers]]\nname = \"x\"\ntype = \"webhok\"\n\n[rules]\ndirectory = 7\n";
    fs::write(folder.path().join("acteon.toml"), text).unwrap();
    let output = execute(folder.path(), &["check"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    for place in ["acteon.toml:2:1", "acteon.toml:6:8", "acteon.toml:9:13"] {
        assert!(said.contains(place), "{place} is not in:\n{said}");
    }
    assert!(said.contains("did you mean `port`?"), "{said}");
    assert!(
        said.contains("webhook"),
        "the known kinds are named: {said}"
    );
}

#[test]
fn check_reports_broken_rules() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    fs::write(folder.path().join("rules/a.yaml"), "rules:\n  - nme: x\n").unwrap();
    fs::write(
        folder.path().join("acteon.toml"),
        "[rules]\ndirectory = \"rules\"\n",
    )
    .unwrap();
    let output = execute(folder.path(), &["check"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("a.yaml:2"), "{said}");
}

#[test]
fn a_server_does_not_start_on_a_port_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = execute(&std::env::temp_dir(), &["--port", &port]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{said}"
    );
}

#[test]
fn the_schema_describes_the_options_of_the_real_adapters() {
    let output = execute(repository(), &["config", "schema"]);
    let schema: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = schema.to_string();
    for option in [
        "allow_cidrs",
        "group_id",
        "max_in_flight_bytes",
        "fallback_provider",
    ] {
        assert!(text.contains(option), "{option} is not described");
    }
}
