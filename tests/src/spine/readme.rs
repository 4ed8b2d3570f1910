//! The README word for word: its commands run in order against the binary, and their output must contain the output it
//! shows. The binary also checks its configuration and rules.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Server, binary};

/// A marked block of a page, and the output shown after it.
pub(super) struct Example {
    pub(super) name: String,
    language: String,
    pub(super) text: String,
    shown: Option<Shown>,
}

impl Example {
    /// Runs the commands in `folder` after these replacements, and compares the output with the page. Returns the output.
    pub(super) async fn run(&self, folder: &Path, replaced: &[(&str, &str)]) -> String {
        let replace = |text: String, (from, to): &(&str, &str)| text.replace(from, to);
        let text = replaced.iter().fold(self.text.clone(), replace);
        let mut command = Command::new("sh");
        command.args(["-ec", &text]).current_dir(folder);
        command.env("PATH", search_path());
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = output.await.unwrap();
        assert!(output.status.success(), "{} failed: {output:?}", self.name);
        let output = String::from_utf8(output.stdout).unwrap();
        let is_shown = |shown: &Shown| shown.is_shown_by(&output);
        assert!(
            self.shown.as_ref().is_none_or(is_shown),
            "{}: {output}",
            self.name
        );
        output
    }
}

/// The output that a page shows for a command.
enum Shown {
    /// A part of the answer: the text before it says that it is abridged.
    Part(Value),
    /// The whole answer.
    Whole(Value),
    /// The whole output, not JSON.
    Text(String),
}

impl Shown {
    /// The first block after a command, and the text before it.
    fn read(before: &str, block: &str) -> Option<Self> {
        let (language, text) = block.split_once('\n')?;
        let json = || serde_json::from_str(text).unwrap();
        match language {
            "json" if before.contains("Abridged") => Some(Self::Part(json())),
            "json" => Some(Self::Whole(json())),
            "text" => Some(Self::Text(text.to_owned())),
            _ => None,
        }
    }

    fn is_shown_by(&self, output: &str) -> bool {
        let answer = || serde_json::from_str(output).unwrap_or(Value::Null);
        match self {
            Self::Part(part) => shows(&answer(), part),
            Self::Whole(whole) => answer() == *whole,
            Self::Text(text) => output == text,
        }
    }
}

/// A file of the repository.
pub(super) fn text_of(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).unwrap()
}

/// What `make demo` prints, as the README shows it.
pub(super) fn demo_sample() -> String {
    let readme = text_of("README.md");
    let (_, after) = readme.split_once("<!-- demo -->\n```text\n").unwrap();
    after.split_once("```").unwrap().0.to_owned()
}

/// The marked blocks of a page.
pub(super) fn examples(page: &str) -> Vec<Example> {
    let text = text_of(page);
    let mut parts = text.split("<!-- test: ");
    parts.next();
    parts.map(example).collect()
}

/// The marked block of this name on a page.
pub(super) fn marked(page: &str, name: &str) -> Example {
    let found = examples(page)
        .into_iter()
        .find(|example| example.name == name);
    found.unwrap_or_else(|| panic!("{page} has no example `{name}`"))
}

fn example(part: &str) -> Example {
    let (name, rest) = part.split_once(" -->").unwrap();
    let mut blocks = rest.split("```");
    blocks.next();
    let (language, text) = blocks.next().unwrap().split_once('\n').unwrap();
    let before = blocks.next().unwrap_or_default();
    let block = blocks.next().unwrap_or_default();
    Example {
        name: name.to_owned(),
        language: language.to_owned(),
        text: text.to_owned(),
        shown: Shown::read(before, block),
    }
}

/// The search path with the binary's folder first.
fn search_path() -> OsString {
    let own = binary().parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(own).chain(std::env::split_paths(&others));
    std::env::join_paths(all).unwrap()
}

/// True if the answer contains everything shown; it may contain more.
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
    let examples = examples("README.md").into_iter();
    for example in examples.filter(|example| example.language == "sh") {
        let folder = server.rules().parent().unwrap().to_owned();
        let url = server.url("");
        example
            .run(&folder, &[("http://127.0.0.1:8080", &url)])
            .await;
        compared += usize::from(example.shown.is_some());
    }
    assert!(compared >= 5, "only {compared} answers were compared");
}

#[test]
fn its_configuration_and_rules_pass_the_check() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    for example in examples("README.md") {
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

#[test]
fn its_configuration_and_rules_for_kafka_are_the_files_of_the_example() {
    let files = [
        ("kafka-config", "examples/kafka/acteon.toml"),
        ("kafka-rule", "examples/kafka/rules/once.yaml"),
    ];
    for (name, file) in files {
        let found = examples("README.md")
            .into_iter()
            .find(|example| example.name == name);
        assert_eq!(found.unwrap().text, text_of(file), "{file}");
    }
}
