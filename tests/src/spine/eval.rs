//! `eval`: one action against rules, offline, with the same result as the playground.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Server, binary};

const RULES: &str = r#"
rules:
  - { name: quiet-tests, condition: { field: action.metadata.env, eq: test }, action: { type: suppress, reason: tests are quiet } }
  - { name: off, enabled: false, condition: { all: [] }, action: { type: deny } }
  - { name: mark, continue: true, condition: { field: time.hour, lt: 6 }, action: { type: modify, changes: { night: true } } }
  - { name: often, condition: { state_counter: "alerts of {{ action.tenant }}", gte: 3 }, action: { type: deny } }
  - { name: large, condition: "action.payload.n > 100", on_error: skip, action: { type: reroute, target_provider: desk } }
"#;

fn action(env: &str, more: &Value) -> Value {
    let mut action = json!({
        "id": "a-1", "namespace": "shop", "tenant": "acme", "provider": "ops", "action_type": "alert",
        "payload": {"n": 7}, "metadata": {"env": env}, "evaluate_at": "2026-01-01T03:00:00Z",
    });
    let more = more.as_object().unwrap().clone();
    action.as_object_mut().unwrap().extend(more);
    action
}

/// The exit code, standard output and standard error.
fn eval(folder: &Path, arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(binary())
        .arg("eval")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code();
    (code, text(output.stdout), text(output.stderr))
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    fs::write(folder.path().join("rules/a.yaml"), RULES).unwrap();
    folder
}

#[test]
fn an_action_is_tried_against_a_directory_or_a_file_and_each_rule_says_why() {
    let folder = folder();
    let quiet = action("test", &json!({})).to_string();
    let expected = "suppress by quiet-tests

matched      quiet-tests  suppress  tests are quiet
skipped      off          deny      the rule is disabled
3 later rules were not tried
state    {\"key\":\"alerts of acme\",\"within_seconds\":86400,\"count\":0,\"last_seconds_ago\":null}
";
    fs::write(folder.path().join("action.json"), &quiet).unwrap();
    let ways: [(&[&str], &str); 4] = [
        (&["-f", "rules", "action.json"], ""),
        (&["--rules", "rules/a.yaml"], &quiet),
        (&["-f", "rules/", "-"], &quiet),
        (&["-c", "acteon.toml", "action.json"], ""),
    ];
    let config = "[rules]\ndirectory = \"rules\"\n";
    fs::write(folder.path().join("acteon.toml"), config).unwrap();
    for (arguments, input) in ways {
        let (code, said, complained) = eval(folder.path(), arguments, input);
        assert_eq!(said, expected, "{arguments:?}: {complained}");
        assert_eq!((code, complained.as_str()), (Some(0), ""));
    }
    // The rules come through a pipe.
    let arguments = ["-f", "/dev/stdin", "action.json"];
    assert_eq!(eval(folder.path(), &arguments, RULES).1, expected);
    let (code, said, _) = eval(folder.path(), &[], &action("prod", &json!({})).to_string());
    let expected = "modify by mark

not matched  quiet-tests  suppress  action.metadata.env is \"prod\"; expected eq: \"test\"
skipped      off          deny      the rule is disabled
matched      mark         modify
not matched  often        deny      state_counter \"alerts of {{ action.tenant }}\" within 86400 s is 0; expected gte: 3
not matched  large        reroute   action.payload.n is 7; expected gt: 100
state    {\"key\":\"alerts of acme\",\"within_seconds\":86400,\"count\":0,\"last_seconds_ago\":null}
payload  {
  \"n\": 7,
  \"night\": true
}
";
    assert_eq!((code, said.as_str()), (Some(0), expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn as_json_it_says_what_the_api_answers() {
    let server = Server::start("[rules]\ndirectory = \"{rules}\"\n", &[("a.yaml", RULES)]).await;
    let rules = server.rules();
    for more in [
        json!({}),
        json!({"mock_state": {"alerts of acme": 3}}),
        json!({"mock_state": {}, "evaluate_all": true, "include_disabled": true}),
        json!({"payload": {}}),
    ] {
        for env in ["test", "prod"] {
            let action = action(env, &more);
            let mut answered = server.post("/v1/rules/evaluate", &action).await.body;
            let arguments = ["--json", "-f", rules.to_str().unwrap()];
            let (code, said, _) = eval(&rules, &arguments, &action.to_string());
            let mut said: Value = serde_json::from_str(&said).unwrap();
            let expected = if said["has_errors"] == true { 1 } else { 0 };
            assert_eq!(code, Some(expected), "{said}");
            comparable(&mut answered);
            comparable(&mut said);
            assert_eq!(said, answered);
        }
    }
}

/// Removes measured times and the files of rules: the API has their names, the command line their paths.
fn comparable(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| !name.ends_with("duration_us") && name != "source");
            members.values_mut().for_each(comparable);
        }
        Value::Array(items) => items.iter_mut().for_each(comparable),
        _ => {}
    }
}

#[test]
fn when_nothing_can_be_evaluated_the_end_is_two_with_all_mistakes() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("wrong.yaml"), "rules:\n  - nme: x\n").unwrap();
    fs::write(path("broken.json"), "{\n  \"namespace\": oops }").unwrap();
    let valid = action("test", &json!({})).to_string();
    let missing = path("nowhere").display().to_string();
    fs::create_dir(path("empty")).unwrap();
    fs::write(path("empty/A.YML"), RULES).unwrap();
    let rows: [(&[&str], &str, &[&str]); 7] = [
        (
            &["-f", "wrong.yaml", "broken.json"],
            "",
            &["wrong.yaml:2:5: unknown key `nme`", "broken.json:2:16: "],
        ),
        (
            &["-f", "rules"],
            "{\"namespace\": \"n\"}",
            &["standard input: `tenant`: is missing"],
        ),
        (&["-f", "rules"], "", &["standard input:1:1: "]),
        (&["-f", "nowhere"], &valid, &[&missing]),
        (
            &["-f", "empty"],
            &valid,
            &["`empty` holds no rules", "empty/A.YML:1:1: not read"],
        ),
        (
            &["-f", "rules", "nothing.json"],
            "",
            &["nothing.json: cannot be read"],
        ),
        (&[], &valid, &["`-f RULES`", "`rules.directory`"]),
    ];
    for (arguments, input, expected) in rows {
        let (code, said, complained) = eval(folder.path(), arguments, input);
        assert_eq!((code, said.as_str()), (Some(2), ""), "{complained}");
        for expected in expected {
            assert!(
                complained.contains(expected),
                "{expected} is not in:\n{complained}"
            );
        }
    }
    let mock = action("prod", &json!({"mock_state": {"alerts of acme": "many"}}));
    let (code, _, complained) = eval(folder.path(), &["-f", "rules"], &mock.to_string());
    assert_eq!(code, Some(2));
    assert!(complained.contains("alerts of acme"), "{complained}");
}
