//! Mistakes and warnings of state machines, with their locations.

use acteon_config::Inputs;

use crate::check::check;
use crate::{AdapterSet, Metrics};

/// What `acteon-server check` reports about a file.
async fn checked(text: &str) -> Result<Vec<String>, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("acteon.toml");
    std::fs::write(&path, text).unwrap();
    let inputs = Inputs {
        path: Some(path),
        ..Inputs::default()
    };
    let file = AdapterSet::built_in().read(&inputs);
    let (metrics, _) = Metrics::detached();
    let lines = |problems: &mut dyn Iterator<Item = String>| {
        let prefix = format!("{}/", folder.path().display());
        problems.map(|line| line.replace(&prefix, "")).collect()
    };
    match check(file, metrics).await {
        Ok(result) => Ok(lines(&mut result.warnings.iter().map(ToString::to_string))),
        Err(problems) => Err(lines(&mut problems.iter().map(ToString::to_string))),
    }
}

#[tokio::test]
async fn everything_wrong_with_machines_is_reported_at_its_place() {
    let text = r#"
[[state_machines]]
name = "alert"
initial_state = "opne"
states = ["open", "done"]

[[state_machines]]
name = "job"
initial_state = "open"
states = ["open"]
timeouts = [
    { state = "open", after_seconds = 9, transition_to = "open" },
]
"#;
    let expected = [
        "acteon.toml:4:17: state_machines.alert.initial_state: \"opne\" is not one of `states`; did you mean \"open\"?",
        "acteon.toml:12:39: state_machines.job.timeouts[0].after_seconds: must be at least 60 for a timeout to its own state, which is a reminder",
    ];
    assert_eq!(checked(text).await.unwrap_err(), expected);
}

#[tokio::test]
async fn a_state_that_is_not_declared_is_a_warning() {
    let text = r#"
[[state_machines]]
name = "alert"
initial_state = "open"
states = ["open"]
transitions = [{ from = "open", to = "done" }]
"#;
    let expected = "acteon.toml:6:38: state_machines.alert.transitions[0].to: \"done\" is not one of `states`, and is added to them";
    assert_eq!(checked(text).await.unwrap(), [expected]);
}
