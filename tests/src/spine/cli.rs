//! The command line: its output and its errors before anything runs.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::{fs, io};

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
        .env("KAFKA_PASSWORD", "a password")
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
        let said = String::from_utf8(output.stdout).unwrap();
        let expected = format!("all is well with {}: ", path.display());
        assert!(said.starts_with(&expected), "{said}");
        checked += 1;
    }
    assert!(checked >= 3);
}

/// Runs a command with `out` as its standard output; returns its exit status and standard error.
fn answering_to(out: impl Into<Stdio>) -> (Option<i32>, String) {
    let mut command = Command::new(binary());
    let command = command.args(["config", "schema"]).stdout(out);
    let output = command.stderr(Stdio::piped()).output().unwrap();
    let complaints = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), complaints)
}

#[test]
fn a_closed_pipe_ends_the_command_as_sigpipe_would() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    assert_eq!(answering_to(writer), (Some(141), String::new()));
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure_with_its_reason() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let (code, complaints) = answering_to(full);
    assert_eq!(code, Some(1));
    let expected = "cannot write to standard output: No space left on device";
    assert!(complaints.starts_with(expected), "{complaints}");
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
fn check_refuses_two_sources_of_which_one_writes_to_what_the_other_uses() {
    let folder = tempfile::tempdir().unwrap();
    let source = |name: &str, more: &str| {
        format!(
            "[[sources]]\nname = \"{name}\"\ntype = \"kafka\"\nbrokers = \"a:9092, b:9092\"\n\
             topics = [\"{name}\"]\ngroup_id = \"acteon\"\n{more}\n"
        )
    };
    let check = |more: &str| {
        let config = source("orders", more) + &source("bills", more);
        std::fs::write(folder.path().join("acteon.toml"), config).unwrap();
        code_and_output(folder.path(), &["check"])
    };
    assert_eq!(check("").0, Some(0));
    let (code, _, complained) = check("retry_topic = \"late\"");
    let expected = "the sources `orders` and `bills` both use topic `late.1s` at a:9092";
    assert!(
        code != Some(0) && complained.contains(expected),
        "{complained}"
    );
    let (code, _, complained) = check("retry_topic = \"bills\"\ndead_letter_topic = \"orders\"");
    assert!(
        code != Some(0) && complained.contains("`orders`"),
        "{complained}"
    );
}

#[test]
fn check_reports_options_that_only_an_adapter_can_refuse_and_does_not_show_their_values() {
    let folder = tempfile::tempdir().unwrap();
    let source = |name: &str, more: &str| {
        format!(
            "[[sources]]\nname = \"{name}\"\ntype = \"kafka\"\nbrokers = \"127.0.0.1:1\"\n\
             group_id = \"{name}\"\n{more}\n"
        )
    };
    let slow = "topics = [\"a\"]\nclient = { \"max.poll.interval.ms\" = \"4321\" }";
    let twice = "topics = [\"x\", \"x\"]";
    let text = source("slow", slow) + &source("twice", twice);
    fs::write(folder.path().join("acteon.toml"), text).unwrap();
    let (code, _, said) = code_and_output(folder.path(), &["check"]);
    assert_eq!(code, Some(1));
    for error in [
        "acteon.toml:7:10: sources.slow.client: the Kafka client does not accept this",
        "max.poll.interval.ms",
        "acteon.toml:13:16: sources.twice.topics[1]: `x` is named twice",
    ] {
        assert!(said.contains(error), "{error} is not in:\n{said}");
    }
    assert!(!said.contains("4321"), "{said}");
}

#[test]
fn check_reports_broken_rules() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    fs::write(folder.path().join("rules/a.yaml"), "rules:\n  - nme: x\n").unwrap();
    fs::write(folder.path().join("rules/b.yaml"), b"rules: []\n# \xff\n").unwrap();
    let config = "[rules]\ndirectory = \"rules\"\n";
    fs::write(folder.path().join("acteon.toml"), config).unwrap();
    for command in ["check", "run"] {
        let (code, _, said) = code_and_output(folder.path(), &["--port", "0", command]);
        assert_eq!(code, Some(1));
        let lines: Vec<_> = said
            .lines()
            .filter(|line| line.starts_with("rules/"))
            .collect();
        assert_eq!(
            lines,
            [
                "rules/a.yaml:2:5: unknown key `nme`; did you mean `name`?",
                "rules/a.yaml:2:5: the key `name` is missing",
                "rules/a.yaml:2:5: the key `condition` is missing",
                "rules/a.yaml:2:5: the key `action` is missing",
                "rules/b.yaml:2:3: the byte 0xff is not UTF-8; save the file as UTF-8",
            ],
            "{said}"
        );
    }
}

#[test]
fn an_invalid_rules_directory_is_reported_with_its_key_and_its_full_path() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("acteon.toml");
    fs::write(&config, "[rules]\ndirectory = \"ruels\"\n").unwrap();
    let path = folder.path().join("ruels");
    let expected = format!(
        "rules.directory: there is no directory `{}`\n",
        path.display()
    );
    let config = config.to_str().unwrap();
    for (command, status) in [("check", 1), ("run", 1), ("test", 2)] {
        let arguments = ["-c", config, "--port", "0", command];
        let (code, _, said) = code_and_output(&std::env::temp_dir(), &arguments);
        assert_eq!(code, Some(status));
        assert!(said.ends_with(&expected), "{said}");
    }
    fs::write(&path, "rules: []").unwrap();
    let is_file = "is a file, and the rules are read from a directory";
    for (command, why) in [
        ("check", is_file),
        ("run", is_file),
        ("test", "cannot be read: Not a directory"),
    ] {
        let arguments = ["-c", config, "--port", "0", command];
        let (code, _, said) = code_and_output(folder.path(), &arguments);
        assert_ne!(code, Some(0));
        assert!(said.contains(why), "{said}");
    }
    let (_, _, said) = code_and_output(folder.path(), &["test", "nowhere"]);
    let path = folder.path().join("nowhere");
    let expected = format!("there is no directory `{}`\n", path.display());
    assert_eq!(said, expected);
}

#[test]
fn rules_lie_beside_the_configuration_wherever_the_process_runs() {
    let folder = suspicious();
    let elsewhere = tempfile::tempdir().unwrap();
    let config = folder.path().join("acteon.toml");
    let arguments = ["-c", config.to_str().unwrap(), "check"];
    let (code, said, warned) = code_and_output(elsewhere.path(), &arguments);
    assert_eq!(code, Some(0), "{warned}");
    assert!(said.ends_with("6 rules\n"), "{said}");
    let path = folder.path().join("rules/a.yaml").display().to_string();
    assert!(warned.contains(&path), "{warned}");
}

/// A folder with one configured provider and rules, each suspicious for a different reason.
fn suspicious() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let provider = "[[providers]]\nname = \"pager\"\ntype = \"log\"\n";
    file(
        "acteon.toml",
        &format!("[rules]\ndirectory = \"rules\"\n{provider}"),
    );
    let conditions = [
        "{ field: action.tenant, in: [a, b] }",
        "{ field: action.tenant, eq: a }",
        "{ field: action.payload.n, gt: 5, lt: 3 }",
        "{ field: action.provider, eq: pagr }",
        "{ field: action.payload.n, matches: \"^x\" }",
        "{ field: action.payload.m, eq: 1 }",
    ];
    let rule = |(at, condition)| {
        format!("  - {{ name: r{at}, condition: {condition}, action: {{ type: suppress }} }}\n")
    };
    let rules: String = conditions.iter().enumerate().map(rule).collect();
    file("rules/a.yaml", &format!("rules:\n{rules}"));
    folder
}

#[test]
fn check_warns_of_what_looks_wrong_and_fails_only_when_asked_to() {
    let folder = suspicious();
    let (code, said, warned) = code_and_output(folder.path(), &["check"]);
    assert_eq!(code, Some(0), "{said}{warned}");
    let read = folder.path().canonicalize().unwrap().join("acteon.toml");
    let counts = "0 sources, 1 provider, 6 rules";
    let well = format!(
        "all is well with {} but for 4 warnings: {counts}\n",
        read.display()
    );
    assert_eq!(said, well);
    let places = ["3:5", "4:28", "5:58", "6:64"];
    assert_eq!(warned.lines().count(), places.len(), "{warned}");
    for place in places {
        assert!(
            warned.contains(&format!("warning: rules/a.yaml:{place}: ")),
            "{place} is not in:\n{warned}"
        );
    }
    let (code, said, _) = code_and_output(folder.path(), &["check", "--deny-warnings"]);
    assert_eq!((code, said), (Some(1), well));
}

#[test]
fn the_tests_beside_the_rules_show_check_which_fields_there_are() {
    let folder = suspicious();
    let test = folder.path().join("rules/a.test.yaml");
    fs::write(&test, "dispatch: { payload: { n: 1 } }").unwrap();
    let (_, _, warned) = code_and_output(folder.path(), &["check"]);
    let missing = "warning: rules/a.yaml:7:37: no action in the rule tests has `action.payload.m`";
    assert!(warned.contains(missing), "{warned}");
    assert!(!warned.contains("`action.payload.n`;"), "{warned}");
    fs::write(&test, b"\xff").unwrap();
    let (code, _, warned) = code_and_output(folder.path(), &["check"]);
    assert_eq!(code, Some(0));
    assert!(
        warned.contains("warning: rules/a.test.yaml:1:1: the byte 0xff is not UTF-8"),
        "{warned}"
    );
    assert!(!warned.contains(missing), "{warned}");
}

#[test]
fn the_example_rules_give_no_warnings() {
    let folder = tempfile::tempdir().unwrap();
    let rules = repository().join("examples/rules").canonicalize().unwrap();
    fs::write(
        folder.path().join("acteon.toml"),
        format!("[rules]\ndirectory = {rules:?}\n"),
    )
    .unwrap();
    let (code, said, warned) = code_and_output(folder.path(), &["check", "--deny-warnings"]);
    assert_eq!((code, warned.as_str()), (Some(0), ""), "{said}");
}

#[test]
fn the_schema_of_rule_files_is_the_one_that_is_checked_in() {
    let (code, said, _) = code_and_output(repository(), &["rules", "schema"]);
    assert_eq!(code, Some(0));
    let kept = fs::read_to_string(repository().join("docs/rules.schema.json")).unwrap();
    assert!(said == kept, "docs/rules.schema.json is another one");
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

fn code_and_output(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = execute(folder, arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn the_example_rules_pass_their_tests_which_match_every_rule() {
    let arguments = ["test", "examples/rules", "--coverage"];
    let (code, said, complaints) = code_and_output(repository(), &arguments);
    assert_eq!(code, Some(0), "{said}{complaints}");
    assert!(
        said.starts_with("ok      examples/rules/10-noise.test.yaml"),
        "{said}"
    );
    assert!(said.contains("3 files, 8 tests: 8 passed, 0 failed"));
    assert!(said.contains("5 of 5 rules matched by a test"), "{said}");
    assert!(!said.contains("no test matched it"), "{said}");
}

/// A folder with rules for one configured provider, and the given rule test.
fn tested(timeline: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    file(
        "acteon.toml",
        "[rules]\ndirectory = \"rules\"\n[executor]\nmax_retries = 1\n\
         [[providers]]\nname = \"pager\"\ntype = \"log\"\n",
    );
    file(
        "rules/a.yaml",
        "rules: [{ name: mute, condition: { field: action.payload.n, eq: 1 }, action: { type: suppress } }]",
    );
    let defaults = "{ namespace: n, tenant: t, provider: pager, action_type: a }";
    file(
        "rules/a.test.yaml",
        &format!("defaults: {defaults}\ntests:\n  - name: one\n    timeline: [{timeline}]\n"),
    );
    folder
}

#[test]
fn rule_tests_run_under_the_configuration_that_is_there() {
    let folder = tested(
        "{ at: 0s, given: { providers: { pager: unavailable } }, dispatch: {}, expect: { outcome: Failed } },
                { at: 1m, expect: { provider: pager, calls: 2 } }",
    );
    let (code, said, complaints) = code_and_output(folder.path(), &["test"]);
    assert_eq!(code, Some(0), "{said}{complaints}");
    assert!(
        said.starts_with("ok      rules/a.test.yaml  1 test\n"),
        "{said}"
    );
}

#[test]
fn a_failed_rule_test_exits_with_one_and_is_reported_as_text_and_as_junit() {
    let folder =
        tested("{ at: 90s, dispatch: { payload: { n: 1 } }, expect: { outcome: Executed } }");
    let (code, said, complaints) = code_and_output(folder.path(), &["test", "--junit", "out.xml"]);
    assert_eq!(code, Some(1), "{said}{complaints}");
    for line in [
        "FAILED  rules/a.test.yaml  1 test, 1 failed",
        "rules/a.test.yaml:3: one",
        "  at 1m30s, step 1 (line 4)",
        "      expected  Executed",
        "      found     Suppressed by mute",
    ] {
        assert!(
            said.lines().any(|said| said == line),
            "{line} is not in:\n{said}"
        );
    }
    let xml = fs::read_to_string(folder.path().join("out.xml")).unwrap();
    assert!(
        xml.contains("message=\"outcome: expected Executed, found Suppressed by mute\""),
        "{xml}"
    );
}

#[test]
fn when_there_is_nothing_to_test_the_end_is_two_with_a_reason() {
    let passing = "{ at: 0s, dispatch: {}, expect: { outcome: Executed } }";
    let assert_refused = |folder: &Path, arguments: &[&str], wanted: &str| {
        let (code, said, complaints) = code_and_output(folder, arguments);
        assert_eq!(code, Some(2), "{said}{complaints}");
        assert!(
            complaints.contains(wanted),
            "{wanted} is not in:\n{complaints}"
        );
    };
    let folder = tested("{ at: 0s, dispach: {}, expect: { provider: pagr, calls: 0 } }");
    let wrong = "a.test.yaml:4:26: unknown key `dispach`; did you mean `dispatch`?";
    assert_refused(folder.path(), &["test"], wrong);
    assert_refused(folder.path(), &["test"], "did you mean `pager`?");
    let folder = tested(passing);
    assert_refused(folder.path(), &["test", "--filter", "two"], "\"two\"");
    fs::write(folder.path().join("rules/b.yaml"), "rules: [{ nam: x }]").unwrap();
    assert_refused(folder.path(), &["test"], "rules/b.yaml:1:11: unknown key");
    let empty = tempfile::tempdir().unwrap();
    assert_refused(empty.path(), &["test"], "no directory is given");
    let folder = tested(passing);
    fs::remove_file(folder.path().join("rules/a.test.yaml")).unwrap();
    assert_refused(folder.path(), &["test"], "contains no tests");
    fs::write(folder.path().join("acteon.toml"), "[rulez]\n").unwrap();
    assert_refused(folder.path(), &["test", "rules"], "acteon.toml:1:2");
}
