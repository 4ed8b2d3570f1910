//! The README word for word: its commands are run in order against the binary, and what it shows must be in the
//! answers. Its configuration and rules are checked by the binary, too.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Server, binary};

/// A marked block of the README, and what is shown after it.
struct Example {
    name: String,
    language: String,
    text: String,
    shown: Option<Shown>,
}

enum Shown {
    /// A part of the answer.
    Json(Value),
    /// The whole answer.
    Text(String),
}

fn examples() -> Vec<Example> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = fs::read_to_string(path).unwrap();
    let mut parts = readme.split("<!-- test: ");
    parts.next();
    parts.map(example).collect()
}

fn example(part: &str) -> Example {
    let (name, rest) = part.split_once(" -->").unwrap();
    let mut blocks = rest.split("```");
    blocks.next();
    let (language, text) = blocks.next().unwrap().split_once('\n').unwrap();
    let shown = blocks.nth(1).and_then(|block| block.split_once('\n'));
    Example {
        name: name.to_owned(),
        language: language.to_owned(),
        text: text.to_owned(),
        shown: shown.and_then(|(language, text)| match language {
            "json" => Some(Shown::Json(serde_json::from_str(text).unwrap())),
            "text" => Some(Shown::Text(text.to_owned())),
            _ => None,
        }),
    }
}

/// The search path with the binary's folder before all others.
fn search_path() -> OsString {
    let own = binary().parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(own).chain(std::env::split_paths(&others));
    std::env::join_paths(all).unwrap()
}

/// True when all that is shown stands in the answer; the answer may hold more.
fn shows(answer: &Value, shown: &Value) -> bool {
    match (answer, shown) {
        (Value::Object(answer), Value::Object(shown)) => shown
            .iter()
            .all(|(key, value)| answer.get(key).is_some_and(|found| shows(found, value))),
        (Value::Array(answer), Value::Array(shown)) => {
            answer.len() == shown.len() && answer.iter().zip(shown).all(|(a, s)| shows(a, s))
        }
        _ => answer == shown,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_commands_do_what_it_says() {
    let server = Server::start("[rules]\ndirectory = \"{rules}\"\n", &[]).await;
    let mut compared = 0;
    for example in examples()
        .into_iter()
        .filter(|example| example.language == "sh")
    {
        let text = example
            .text
            .replace("http://127.0.0.1:8080", &server.url(""));
        let folder = server.rules().parent().unwrap().to_owned();
        let mut command = Command::new("sh");
        command.args(["-ec", &text]).current_dir(folder);
        command.env("PATH", search_path());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap())
            .await
            .unwrap();
        assert!(
            output.status.success(),
            "{} failed: {output:?}",
            example.name
        );
        if let Some(Shown::Text(shown)) = &example.shown {
            assert_eq!(&String::from_utf8_lossy(&output.stdout), shown);
            compared += 1;
        }
        if let Some(Shown::Json(shown)) = &example.shown {
            let answer = serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|e| panic!("{} answered {output:?}: {e}", example.name));
            assert!(
                shows(&answer, shown),
                "{}: {shown} is not in {answer}",
                example.name
            );
            compared += 1;
        }
    }
    assert!(compared >= 5, "only {compared} answers were compared");
}

#[test]
fn its_configuration_and_rules_pass_the_check() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    for example in examples() {
        match example.language.as_str() {
            "toml" => fs::write(folder.path().join("acteon.toml"), example.text).unwrap(),
            "yaml" => fs::write(folder.path().join("rules/readme.yaml"), example.text).unwrap(),
            _ => {}
        }
    }
    let output = Command::new(binary())
        .arg("check")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("all is well with "), "{said}");
    assert!(
        said.ends_with("acteon.toml: 1 source, 1 provider, 1 rule\n"),
        "{said}"
    );
}
