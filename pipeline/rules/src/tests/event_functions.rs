//! The functions that read events: values under names, graces, and arguments that are absent.

use std::time::Duration;

use acteon_core::state::{ActiveEventQuestion, Carrying, EventValue, Question};
use serde_json::json;

use super::action;
use super::state::{active, decide, one_rule, own, questions, state_of};

#[test]
fn a_named_value_and_a_grace_are_part_of_the_question() {
    let set = one_rule(
        "{call: has_active_event, args: [down, {cluster: action.payload.cluster}], grace_seconds: 60}",
    );
    let asked = |cluster: &str| {
        Question::ActiveEvent(ActiveEventQuestion {
            event_type: own("down"),
            carrying: Carrying::Named(EventValue {
                name: "cluster".into(),
                value: cluster.into(),
            }),
            grace: Duration::from_secs(60),
        })
    };
    let eu = action(json!({"cluster": "eu"}));
    assert_eq!(questions(&set, &eu), [asked("eu")]);
    assert!(
        decide(&set, &eu, &json!({"down": ["eu"]}))
            .matched_rule
            .is_some()
    );
    // An absent, null or empty value makes the function false, even if such an event is active.
    for payload in [json!({}), json!({"cluster": null}), json!({"cluster": ""})] {
        let action = action(payload);
        assert_eq!(questions(&set, &action), [asked("")]);
        assert!(
            decide(&set, &action, &json!({"down": true}))
                .matched_rule
                .is_none()
        );
    }
    let refused = [
        (
            "{call: has_active_event, args: [down, {}]}",
            "expected one name and its value",
        ),
        (
            "{call: has_active_event, args: [down, {a: b, c: d}]}",
            "expected one name and its value",
        ),
        (
            "{call: has_active_event, args: [{a: down}]}",
            "`has_active_event` takes",
        ),
        (
            "{call: has_active_event, args: [down], grace_seconds: 3601}",
            "an integer from 0 to 3600",
        ),
        (
            "{call: event_in_state, args: [f, x], grace_seconds: -1}",
            "an integer from 0 to 3600",
        ),
    ];
    for (condition, expected) in refused {
        let text = format!("rules: [{{name: r, condition: {condition}, action: {{type: allow}}}}]");
        let message = super::listed(&super::compile(&text).unwrap_err());
        assert!(message.contains(expected), "{condition}: {message}");
    }
}

#[test]
fn cel_has_the_form_with_a_name_too() {
    let set = one_rule("\"has_active_event('down', {'cluster': 'x' + action.payload.cluster})\"");
    let eu = action(json!({"cluster": "eu"}));
    let carrying = Carrying::Named(EventValue {
        name: "cluster".into(),
        value: "xeu".into(),
    });
    assert_eq!(questions(&set, &eu), [active("down", carrying)]);
    assert!(
        decide(&set, &eu, &json!({"down": ["xeu"]}))
            .matched_rule
            .is_some()
    );
    for condition in [
        "event_in_state({'a': 'f'}, 'x')",
        "has_active_event('down', {'a': 'b', 'c': 'd'})",
    ] {
        let text =
            format!("rules: [{{name: r, condition: \"{condition}\", action: {{type: allow}}}}]");
        super::compile(&text).unwrap_err();
    }
}

#[test]
fn a_grace_is_part_of_the_question_about_a_state() {
    let set = one_rule(
        "{any: [
            {call: event_in_state, args: [f, firing], grace_seconds: 60},
            {call: get_event_state, args: [f], grace_seconds: 3600, eq: firing},
            {call: get_event_state, args: [f], eq: firing},
        ]}",
    );
    let expected = [state_of("f", 60), state_of("f", 3600), state_of("f", 0)];
    assert_eq!(questions(&set, &action(json!({}))), expected);
}
