//! The options that are refused, and with which sentences.

use super::{ALERT, machine, options};
use crate::{Machine, Since};

fn problems(toml: &str) -> Vec<String> {
    let problems = Machine::check(&options(toml)).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn states_without_a_way_out_are_terminal_and_stale_is_added() {
    let machine = machine(ALERT);
    let states: Vec<_> = machine.states().collect();
    assert_eq!(
        states,
        ["open", "firing", "acknowledged", "resolved", "stale"]
    );
    let terminal: Vec<_> = states
        .iter()
        .map(|state| machine.is_terminal(state).unwrap())
        .collect();
    assert_eq!(terminal, [false, false, false, true, true]);
}

#[test]
fn a_state_that_only_a_transition_names_is_added_with_a_warning() {
    let checked = Machine::check(&options(
        "name = 'm'\ninitial_state = 'a'\nstates = ['a']\ntransitions = [{ from = 'a', to = 'b' }]",
    ));
    let checked = checked.unwrap();
    assert_eq!(checked.warnings.len(), 1);
    assert_eq!(
        checked.warnings[0].to_string(),
        "transitions[0].to: \"b\" is not one of `states`, and is added to them"
    );
    assert_eq!(checked.machine.is_terminal("b"), Some(true));
}

#[test]
fn everything_wrong_is_reported_at_once() {
    let found = problems(
        r#"
        name = ""
        initial_state = "opne"
        states = ["open", "open", "lost", "done"]
        terminal_states = ["dune"]
        transitions = [{ from = "open", to = "done" }, { from = "open", to = "done" }]
        timeouts = [
            { state = "open", after_seconds = 59, transition_to = "open" },
            { state = "open", after_seconds = 9, transition_to = "done", max_repeats = 2, since = "entered" },
            { state = "done", in_state = "done", after_seconds = 9, transition_to = "open" },
            { after_seconds = 9, transition_to = "open" },
        ]
        retention_seconds = 9999999999
        "#,
    );
    let expected = [
        "name: must have 1 to 256 bytes",
        "states[1]: \"open\" is listed twice",
        "initial_state: \"opne\" is not one of `states`; did you mean \"open\"?",
        "transitions[1].to: the transition from \"open\" to \"done\" is listed twice",
        "timeouts[0].after_seconds: must be at least 60 for a timeout to its own state, which is a reminder",
        "timeouts[1].max_repeats: is only for a timeout to its own state, which is a reminder",
        "timeouts[2].in_state: means the same as `state`; give one of them",
        "timeouts[3].state: must have 1 to 256 bytes",
        "terminal_states[0]: \"dune\" is not one of `states`; did you mean \"done\"?",
        "retention_seconds: must be at most 3155760000",
        "timeouts[1].state: \"open\" has another timeout since \"entered\"",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_state_that_nothing_leads_to_is_refused() {
    let found = problems(
        "name = 'm'\ninitial_state = 'a'\nstates = ['a', 'b', 'c']\ntransitions = [{ from = 'a', to = 'b' }]",
    );
    assert_eq!(
        found,
        ["states[2]: \"c\" cannot be reached from the initial state \"a\""]
    );
}

#[test]
fn timeouts_that_follow_each_other_in_no_time_are_refused() {
    let found = problems(
        r#"
        name = "m"
        initial_state = "a"
        states = ["a", "b"]
        timeouts = [
            { state = "a", after_seconds = 0, transition_to = "b" },
            { state = "b", after_seconds = 0, transition_to = "a" },
        ]
        "#,
    );
    assert_eq!(
        found,
        ["timeouts: these follow each other in no time: a -> b -> a"]
    );
}

#[test]
fn a_timeout_that_ends_an_event_counts_from_its_last_report() {
    let machine = machine(
        r#"
        name = "m"
        initial_state = "a"
        states = ["a", "done"]
        timeouts = [
            { in_state = "a", after_seconds = 60, transition_to = "a" },
            { in_state = "a", after_seconds = 60, transition_to = "done" },
        ]
        "#,
    );
    let since: Vec<_> = machine.states[0]
        .timeouts
        .iter()
        .map(|row| row.since)
        .collect();
    assert_eq!(since, [Since::Entered, Since::LastReport]);
}

#[test]
fn a_state_named_stale_that_can_be_left_needs_staleness_switched_off() {
    let toml = "name = 'm'\ninitial_state = 'stale'\nstates = ['stale', 'b']\ntransitions = [{ from = 'stale', to = 'b' }]";
    assert_eq!(
        problems(toml),
        ["stale_after_seconds: must be 0 because the state \"stale\" is not terminal"]
    );
    machine(&format!("{toml}\nstale_after_seconds = 0"));
}
