//! The configuration as the binary reads it: its errors, its secrets, `config show` and `check --connect`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use acteon_services::Kafka;
use acteon_services::process::free_ports;
use tempfile::TempDir;

use crate::harness::{Producer, Receiver, binary};

/// A folder with this configuration.
fn folder(config: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("acteon.toml"), config).unwrap();
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(arguments)
        .current_dir(folder)
        .env_remove("RUST_LOG");
    command
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The errors that `check` and `run` both print for `folder`, without the folder's path and without log lines.
fn refused(folder: &Path, environment: &[(&str, &str)]) -> String {
    let complaint = |arguments: &[&str]| {
        let mut command = command(folder, arguments);
        let output = command.envs(environment.iter().copied()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        assert_eq!(said(&output.stdout), "", "{arguments:?}");
        let complained = said(&output.stderr);
        let lines = complained.lines().filter(|line| !line.starts_with('{'));
        let path = folder.canonicalize().unwrap().display().to_string();
        lines
            .collect::<Vec<_>>()
            .join("\n")
            .replace(&path, "/folder")
    };
    let checked = complaint(&["check"]);
    assert_eq!(checked, complaint(&["run"]));
    checked
}

#[test]
fn check_refuses_all_that_run_refuses_in_the_same_words() {
    let folder = folder(
        r#"
[server]
host = "256.1.1.1"

[rules]
directory = "rules"

[[sources]]
name = "orders"
type = "kafka"
brokers = "127.0.0.1:1"
topics = ["two words", "orders"]
group_id = "g"
client = { "no.such" = "x" }

[[providers]]
name = "scheme"
type = "webhook"
url = "htps://example.com/t0ken"
allow_cidrs = ["10.0.0.0/8", "10.0.0.0/33"]
headers = { "a b" = "t0ken", "X-A" = "t0ken\nb", Host = "t0ken" }
auth = { type = "basic", username = "a:b", password = "t0ken" }

[[providers]]
name = "loopback"
type = "webhook"
url = "http://127.0.0.1:9/t0ken"
"#,
    );
    fs::create_dir(folder.path().join("rules")).unwrap();
    fs::write(folder.path().join("rules/a.yaml"), "rules:\n  - nme: x\n").unwrap();
    let complained = refused(folder.path(), &[]);
    assert!(!complained.contains("t0ken"), "{complained}");
    insta::assert_snapshot!(complained);
}

#[test]
fn mistakes_of_the_file_the_environment_and_the_rules_come_together() {
    let config =
        "[server]\nport = 99999999999999999999\nprot = 1\n\n[rules]\ndirectory = \"rules\"\n\n"
            .to_owned()
            + &orders("127.0.0.1:1", "").replace("[\"\"]", "[]")
            + &hook("https://example.com/")
                .replace("allow_cidrs = [\"127.0.0.0/8\"]", "success_codes = [99]")
            + &hook("http://127.0.0.1:9/")
                .replace("name = \"hook\"", "name = \"loopback\"")
                .replace("127.0.0.0/8", "10.0.0.0/8");
    let folder = folder(&config);
    fs::create_dir(folder.path().join("rules")).unwrap();
    let rules = "rules:\n  - { name: a, condition: { all: [] }, action: { type: reroute, provider: hoko } }\n";
    fs::write(folder.path().join("rules/a.yaml"), rules).unwrap();
    let environment = [("ACTEON_SERVER_PORT", "9"), ("RUST_LOG", "debgu")];
    insta::assert_snapshot!(refused(folder.path(), &environment));
}

#[test]
fn a_directory_of_rules_that_is_none_is_named_with_its_key_and_its_whole_path() {
    let missing = folder("[rules]\ndirectory = \"rules\"\n");
    let errors = refused(missing.path(), &[]);
    assert_eq!(
        errors,
        "acteon.toml:2:13: rules.directory: there is no directory `/folder/rules`"
    );
    fs::write(missing.path().join("rules"), "").unwrap();
    let errors = refused(missing.path(), &[]);
    assert_eq!(
        errors,
        "acteon.toml:2:13: rules.directory: `/folder/rules` is a file, and the rules are read from a directory"
    );
}

#[test]
fn a_file_under_another_name_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("acteon.tml"), "[server]\nport = 1\n").unwrap();
    insta::assert_snapshot!(refused(folder.path(), &[]));
}

#[test]
fn check_names_the_file_that_it_read_or_that_there_is_none() {
    let good = folder("[server]\nport = 0\n");
    let whole = good.path().canonicalize().unwrap();
    let output = command(good.path(), &["check"]).output().unwrap();
    let counts = "0 sources, 0 providers, 0 rules\n";
    let expected = format!("all is well with {}/acteon.toml: {counts}", whole.display());
    assert_eq!(said(&output.stdout), expected);
    fs::remove_file(good.path().join("acteon.toml")).unwrap();
    let output = command(good.path(), &["check"]).output().unwrap();
    let none = format!("there is no {}/acteon.toml", whole.display());
    let expected = format!("all is well with the defaults ({none}): {counts}");
    assert_eq!(said(&output.stdout), expected);
}

#[test]
fn a_port_in_use_is_told_with_how_to_choose_another() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = format!("[server]\nport = {port}\n[admin]\nhost = \"localhost\"\nport = {port}\n");
    let folder = folder(&config);
    let output = command(folder.path(), &["--port", "0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complained = said(&output.stderr).replace(&port.to_string(), "PORT");
    let lines = complained.lines().filter(|line| !line.starts_with('{'));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn encrypt(arguments: &[&str], key: (&str, &str), secret: &str) -> Output {
    let mut command = command(Path::new("."), &[&["encrypt"], arguments].concat());
    let pipes = command
        .env(key.0, key.1)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = pipes.stderr(Stdio::piped()).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(secret.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_encrypt_writes_is_read_where_the_key_is_and_refused_where_it_is_not() {
    let receiver = Receiver::accepting().await;
    let url = format!("{}\n", receiver.url());
    let output = encrypt(&["--kid", "new"], ("ACTEON_AUTH_KEY_NEW", KEY), &url);
    assert!(output.status.success(), "{output:?}");
    let envelope = said(&output.stdout);
    let config = format!(
        "[[providers]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\nallow_cidrs = [\"127.0.0.0/8\"]\n",
        envelope.trim_end()
    );
    let folder = folder(&config);
    let mut check = command(folder.path(), &["check", "--connect"]);
    let output = check.env("ACTEON_AUTH_KEY_NEW", KEY).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let errors = refused(folder.path(), &[("ACTEON_AUTH_KEY", KEY)]);
    let expected = "acteon.toml:4:7: providers.hook.url: `ENC[...]` needs the key in the environment variable \
                    `ACTEON_AUTH_KEY_NEW`, which is not set";
    assert_eq!(errors, expected);
    let output = encrypt(&[], ("ACTEON_AUTH_KEY", "short"), "x");
    assert_eq!(output.status.code(), Some(1));
    let expected = "`ACTEON_AUTH_KEY` must hold 64 hex digits or the base64 of 32 bytes\n";
    assert_eq!(said(&output.stderr), expected);
}

#[test]
fn what_is_in_force_is_shown_with_where_it_comes_from_and_without_secrets() {
    let folder = folder(
        "[server]\nport = 1\n[[providers]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"https://example.com/t0ken\"\n\
         headers = { \"X-Key\" = \"env:HOOK_KEY\" }\n",
    );
    let mut show = command(folder.path(), &["config", "show", "--host", "localhost"]);
    let show = show
        .env("HOOK_KEY", "t0ken")
        .env("ACTEON_SERVER__PORT", "2");
    let output = show.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let shown = said(&output.stdout);
    assert!(!shown.contains("t0ken"), "{shown}");
    let said_where = |line: &str, place: &str| {
        let found = shown.lines().find(|shown| shown.starts_with(line));
        let found = found.unwrap_or_else(|| panic!("no {line} in:\n{shown}"));
        assert!(found.ends_with(&format!("  # {place}")), "{found}");
    };
    said_where("host = \"localhost\"", "--host");
    said_where("port = 2", "ACTEON_SERVER__PORT");
    said_where("max_connections = 10000", "default");
    said_where("url = \"(hidden)\"", "acteon.toml:6:7");
    said_where("X-Key = \"env:HOOK_KEY\"", "acteon.toml:7:23");
}

fn connect(config: &str) -> (Option<i32>, String, String) {
    let folder = folder(config);
    let output = command(folder.path(), &["check", "--connect"])
        .output()
        .unwrap();
    (
        output.status.code(),
        said(&output.stdout),
        said(&output.stderr),
    )
}

fn hook(url: &str) -> String {
    format!(
        "[[providers]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{url}\"\nallow_cidrs = [\"127.0.0.0/8\"]\n"
    )
}

fn orders(brokers: &str, topic: &str) -> String {
    format!(
        "[[sources]]\nname = \"orders\"\ntype = \"kafka\"\nbrokers = \"{brokers}\"\ntopics = [\"{topic}\"]\n\
         group_id = \"{topic}-group\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn check_connects_to_all_that_is_configured_when_asked_to() {
    let kafka = Kafka::shared().await;
    let receiver = Receiver::accepting().await;
    let producer = Producer::to_new_topic(kafka, 1).await;
    let config = orders(kafka.bootstrap(), producer.topic()) + &hook(receiver.url());
    let (code, said, complained) = connect(&config);
    assert_eq!((code, complained.as_str()), (Some(0), ""), "{said}");
    let host = receiver
        .url()
        .trim_start_matches("http://")
        .trim_end_matches('/');
    for line in [
        "source `orders`: 1 broker answers, and the topic exists".to_owned(),
        format!("provider `hook`: connected to {host} without TLS"),
        "state backend `memory`: it answers".to_owned(),
        "audit backend `memory`: it answers".to_owned(),
    ] {
        assert!(
            said.lines().any(|said| said == line),
            "no {line} in:\n{said}"
        );
    }
    assert!(
        said.lines()
            .last()
            .unwrap()
            .starts_with("all is well with "),
        "{said}"
    );
    assert_eq!(receiver.requests(), 0, "nothing is sent");
    let (code, _, complained) = connect(&orders(kafka.bootstrap(), "no-such-topic"));
    let expected =
        "acteon.toml:5:11: sources.orders.topics[0]: topic `no-such-topic` does not exist";
    assert!(
        code == Some(1) && complained.starts_with(expected),
        "{complained}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_whom_it_could_not_reach_and_fails() {
    let [port] = free_ports().unwrap();
    let config = orders(&format!("127.0.0.1:{port}"), "orders")
        + &hook(&format!("https://127.0.0.1:{port}/t0ken"));
    let (code, said, complained) = connect(&config);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        !said.contains("all is well") && !complained.contains("t0ken"),
        "{said}{complained}"
    );
    for line in [
        "acteon.toml:4:11: sources.orders.brokers: no broker answers".to_owned(),
        format!(
            "acteon.toml:10:7: providers.hook.url: 127.0.0.1:{port} cannot be reached: Connection refused"
        ),
    ] {
        assert!(
            complained.lines().any(|said| said.starts_with(&line)),
            "no {line} in:\n{complained}"
        );
    }
}

#[test]
fn a_default_file_that_is_a_link_to_nowhere_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/nowhere/acteon.toml", folder.path().join("acteon.toml")).unwrap();
    let errors = refused(folder.path(), &[]);
    assert!(errors.starts_with("acteon.toml: "), "{errors}");
}
