//! The effective configuration as it is shown.

use super::*;

fn shown(text: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
    let owned = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acteon.toml");
    std::fs::write(&path, text).unwrap();
    let inputs = Inputs {
        path: Some(path),
        environment: owned(environment),
        flags: owned(flags),
    };
    let registries = Registries::new();
    let shown = show::<TestPipeline>(&inputs, &registries.adapters()).unwrap();
    shown.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn every_value_is_shown_with_where_it_was_said_and_no_secret_is() {
    let text = r#"
[server]
host = "0.0.0.0"
[executor]
timeout_seconds = 5
[state]
backend = "remote"
url = "hunter2"
[circuit_breaker.providers."my hook"]
failure_threshold = 9
[[sources]]
name = "orders"
type = "kafka"
brokers = "k:9092"
topics = ["a", "b"]
group_id = "g"
client = { "sasl.password" = "env:PASSWORD", "sasl.username" = "hunter2" }
[sources.defaults]
tenant = "t"
[[providers]]
name = "my hook"
type = "webhook"
url = "http://user:hunter2@example.com/"
max_retries = 1
auth = { type = "bearer", token = "hunter2" }
[[providers]]
name = "spare"
type = "log"
"#;
    let environment = [("PASSWORD", "hunter2"), ("ACTEON_LOG__LEVEL", "warn")];
    let shown = shown(text, &environment, &[("server.port", "9")]);
    assert!(!shown.contains("hunter2"), "{shown}");
    insta::assert_snapshot!(shown);
}

#[test]
fn what_is_shown_can_be_read_again_and_means_the_same() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/full.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let environment = [("CRM_TOKEN", "x")];
    let first = shown(&text, &environment, &[]);
    let read = |text: &str| {
        let settings = load_text(text, &environment, &[]).unwrap();
        format!("{settings:?}")
    };
    assert_eq!(read(&text), read(&first));
    let comments_off = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.split("  # ").next().unwrap().trim().to_owned())
            .collect()
    };
    let again = shown(&first, &environment, &[]);
    assert_eq!(comments_off(&first), comments_off(&again));
}

#[test]
fn a_configuration_with_mistakes_is_not_shown_but_explained() {
    let inputs = Inputs {
        environment: vec![("ACTEON_SERVER__PORT".into(), "x".into())],
        ..Inputs::default()
    };
    let registries = Registries::new();
    let problems = show::<TestPipeline>(&inputs, &registries.adapters()).unwrap_err();
    assert!(
        problems
            .to_string()
            .starts_with("ACTEON_SERVER__PORT: server.port: expected")
    );
}
