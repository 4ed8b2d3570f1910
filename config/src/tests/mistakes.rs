//! Reports of mistakes in the file.

use super::*;
use crate::errors::PROBLEMS_MAX;

#[test]
fn all_mistakes_are_told_at_once_with_place_and_key() {
    insta::assert_snapshot!(errors(
        r#"
sever = 1
[server]
prot = 8080
port = "8080"
max_batch_actions = 0
shutdown_timeout_seconds = 1.5
[state]
backend = "redsi"
[audit]
delivery = "confirm"
ttl = 5
redact = { fields = ["a", 2], enable = true }
hash_chain = true
[rules]
default_timezone = "Europe/Berlni"
directory = ["a"]
[pipeline]
max_in_flight_bytes = 5_000_000_000
on_state_error = "ignore"
[log]
level = "information"
[auth]
enabled = true
"#
    ));
}

#[test]
fn mistakes_in_entries_of_lists_name_the_entry() {
    insta::assert_snapshot!(errors(
        r#"
[[sources]]
type = "kafka"
brokers = ["a"]
group_id = "g"
start = "erliest"
throttled = "block"
topic = "t"

[[sources]]
name = "queue"
type = "kafak"
defaults = { tennant = "t", namespace = "" }

[[providers]]
name = "hook"
type = "webhook"
timeout = 5
success_codes = [200, 70000, "x"]
auth = { type = "bearer", tokn = "x" }

[[providers]]
name = "other"
type = "webhook"
url = "x"
auth = { type = "digest" }
headers = { a = 1 }

[[providers]]
name = "third"
type = "webhook"
url = "x"
auth = { token = "x" }

[[providers]]
queue = 0
"#
    ));
}

#[test]
fn names_must_be_unique_and_must_name_something() {
    insta::assert_snapshot!(errors(
        r#"
[[providers]]
name = "a"
type = "log"
fallback_provider = "b"

[[providers]]
name = "b"
type = "log"
fallback_provider = "a"

[[providers]]
name = "twice"
type = "log"

[[providers]]
name = "twice"
type = "log"
fallback_provider = "twcie"

[[providers]]
name = "own"
type = "log"
fallback_provider = "own"

[[providers]]
name = "line\nbreak"
type = "log"

[[sources]]
name = "s"
type = "kafka"
brokers = "x"
topics = ["t"]
group_id = "g"
defaults = { provider = "hook" }

[[sources]]
name = "s"
type = "kafka"
brokers = "x"
topics = ["t"]
group_id = "g"

[circuit_breaker.providers.owm]
enabled = false
"#
    ));
}

#[test]
fn values_that_could_never_work_are_refused() {
    insta::assert_snapshot!(errors(
        r#"
[audit]
redact = { fields = ["card.number", "", "a..b", ".c", " "] }

[rules]
environment = ["HOME", "A B", "", "A=B"]

[[sources]]
name = "http"
type = "kafka"
brokers = "x"
topics = ["t"]
group_id = "g"
defaults = { tenant = "a\nb", namespace = "n" }
"#
    ));
}

#[test]
fn what_only_an_adapter_can_judge_is_told_all_at_once() {
    insta::assert_snapshot!(errors(
        r#"
[[providers]]
name = "s"
type = "strict"
first = "one"
second = "two"
third = ["::1", "three", "four"]
to = 5
scheme = "plian"
anything = { a = [1, { b = 2 }] }
unknown = 1
"#
    ));
}

#[test]
fn alternatives_of_all_sorts_are_accepted() {
    let one = "[[providers]]\nname = \"s\"\ntype = \"strict\"\n";
    for options in [
        "to = \"a\"",
        "to = [\"a\", \"b\"]",
        "scheme = \"plain\"",
        "scheme = { signed = { key = \"k\" } }",
        "anything = 5",
        "anything = { a = [1, { b = 2.5 }] }",
    ] {
        loaded(&format!("{one}{options}\n"));
    }
}

#[test]
fn broken_toml_is_told_with_its_place() {
    insta::assert_snapshot!(errors(
        "[server\nport = \n[log]\nlevel = \"info\nlevel = \"warn\"\n"
    ));
}

#[test]
fn a_key_given_twice_is_a_mistake() {
    insta::assert_snapshot!(errors("[server]\nport = 1\nport = 2\n[server]\n"));
}

#[test]
fn values_that_toml_allows_and_nothing_wants_are_refused() {
    insta::assert_snapshot!(errors("[server]\nport = 1979-05-27\nhost = 07:32:00\n"));
    insta::assert_snapshot!(errors("a = nan\nb = 99999999999999999999\nc = -inf\n"));
}

#[test]
fn lists_and_tables_nested_too_deep_are_refused() {
    let lists = |depth| format!("a = {}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(errors(&lists(40)).contains("nested too deep"));
    assert!(errors(&lists(100_000)).contains("max recursion depth"));
    let dotted = |depth| vec!["a"; depth].join(".");
    assert!(errors(&format!("{} = 1", dotted(100_000))).contains("recursion limit"));
    let keys = dotted(70);
    let both = format!("{} 1 {}", format!("{keys} = {{").repeat(70), "}".repeat(70));
    assert!(!errors(&both.replace("{ 1 }", &format!("{{ {keys} = 1 }}"))).is_empty());
}

#[test]
fn a_number_out_of_range_is_told_with_the_range_and_hides_nothing_else() {
    insta::assert_snapshot!(errors(
        "[server]\nport = 99999999999999999999\nhost = 1\n[pipeline]\nmax_batch = -0\nlease_seconds = 0\n\
         [log]\nlevel = \"loud\"\n[telemetry]\nratio = nan\n"
    ));
}

#[test]
fn text_without_quotes_is_told_so_wherever_it_is() {
    insta::assert_snapshot!(errors(
        "[server]\nhost = localhost\nport = 8080\n[admin]\nhost = 127.0.0.1 # here\n[rules]\ndirectory = /etc/rules\n\
         default_timezone = Europe/Berlin\n[log]\nlevel = info\n[audit]\nenabled = yes\n"
    ));
}

#[test]
fn another_language_in_place_of_toml_is_called_by_its_name() {
    let reported = [
        errors("{\n  \"server\": {\"port\": 8080}\n}\n"),
        errors("# the server\n\nserver:\n  port: 8080\n"),
        errors("---\nserver: {port: 8080}\n"),
        errors("# still TOML\n[server]\nport: 8080\n"),
    ];
    insta::assert_snapshot!(reported.join("\n"));
}

#[test]
fn sections_of_another_kind_are_refused() {
    insta::assert_snapshot!(errors(
        "server = 5\nproviders = { name = \"a\" }\nsources = [1]\n"
    ));
}

#[test]
fn the_admin_listener_cannot_stand_where_the_servers_stands() {
    insta::assert_snapshot!(errors("[admin]\nport = 8080\n"));
}

#[test]
fn without_the_default_backend_the_absent_section_is_a_mistake() {
    let (sources, sinks) = Default::default();
    let (states, audits) = Default::default();
    let adapters = Adapters {
        sources: &sources,
        sinks: &sinks,
        states: &states,
        audits: &audits,
    };
    let loaded: Result<Config, _> = load(&Inputs::default(), &adapters);
    let errors = loaded.unwrap_err();
    insta::assert_snapshot!(errors);
}

#[test]
fn a_file_that_is_nothing_but_mistakes_tells_the_first_of_them_and_how_many_there_are() {
    for unit in ["=", "[a]\n", "a.b = \n"] {
        let errors = load_text(&unit.repeat(5000), &[], &[]).unwrap_err();
        let problems: Vec<_> = errors.iter().collect();
        assert_eq!(problems.len(), PROBLEMS_MAX + 1, "{unit}");
        assert!(problems[0].to_string().starts_with("acteon.toml:"));
        let last = problems[PROBLEMS_MAX].to_string();
        assert!(last.ends_with(" more problems are not shown"), "{last}");
    }
}
