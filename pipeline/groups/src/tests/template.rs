//! Templates of summaries: what they yield, and where they are bounded.

use serde_json::{Value, json};

use super::{json, summary};
use crate::{SummaryTemplate, TemplateProblem};

fn rendered(template: Value) -> Value {
    let summary = summary(&[r#"{"pod":"a","n":1}"#, r#"{"pod":"b","n":2}"#], 1);
    let (payload, error) = summary.payload(Some(&SummaryTemplate::new(template)));
    assert!(error.is_none(), "{error:?}");
    json(&payload)
}

#[test]
fn strings_are_templates_and_everything_else_stays() {
    let template = json!({
        "text": "{{ event_count }} alerts in {{ labels.cluster }}: {{ events | map(attribute='pod') | join(', ') }}",
        "list": ["{{ rule }}", 7, true, null],
        "{{ rule }}": "plain",
    });
    let expected = json!({
        "text": "3 alerts in prod: a, b",
        "list": ["by-cluster", 7, true, null],
        "{{ rule }}": "plain",
    });
    assert_eq!(rendered(template), expected);
}

#[test]
fn a_string_of_one_expression_yields_its_value_with_its_type() {
    let template = json!({
        "count": "{{ event_count }}", "pods": "{{ events | map(attribute='pod') | list }}",
        "first": " {{- events[0] -}} ", "absent": "{{ events[0].owner.name }}",
    });
    let expected = json!({
        "count": 3, "pods": ["a", "b"], "first": {"pod": "a", "n": 1}, "absent": null,
    });
    assert_eq!(rendered(template), expected);
}

#[test]
fn text_of_an_event_is_data_and_never_a_template_or_markup() {
    let summary = summary(&[r#""{{ rule }} <b> \" }""#], 0);
    let template = SummaryTemplate::new(json!("got {{ events[0] }}"));
    let (payload, _) = summary.payload(Some(&template));
    assert_eq!(json(&payload), json!("got {{ rule }} <b> \" }"));
}

#[test]
fn a_template_that_fails_leaves_the_default_payload_with_its_error() {
    let failing = [
        json!("{{ events[0].pod + 1 }}"),
        json!("{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}"),
        json!("{{ 'x' * 10000000000 }}"),
        json!("{{ '%1000000000d' | format(1) }}"),
        json!(["{{ 'x' * 400000 }}", "{{ 'x' * 400000 }}"]),
    ];
    for template in failing {
        let summary = summary(&[r#"{"pod":"a"}"#], 0);
        let (payload, error) = summary.payload(Some(&SummaryTemplate::new(template.clone())));
        let error = error.unwrap_or_else(|| panic!("{template} does not fail"));
        let payload = json(&payload);
        assert_eq!(payload["template_error"], json!(error.to_string()));
        assert_eq!(payload["event_count"], json!(1));
    }
}

#[test]
fn checking_finds_what_cannot_work_for_any_group() {
    let invalid = [
        "{{ rule",
        "{% for x in events %}",
        "{{ rule | uper }}",
        "{{ rul }}",
        "{{ frobnicate(1) }}",
        "{{ 1 is evn }}",
        "{% include 'x' %}",
        "{{ 'x' * 10000000000 }}",
    ];
    for text in invalid {
        assert!(SummaryTemplate::check(text).is_err(), "{text}");
    }
    let problem = SummaryTemplate::check("{{ event_cuont }} alerts");
    assert_eq!(
        problem,
        Err(TemplateProblem::UnknownValue("event_cuont".into()))
    );
}

#[test]
fn checking_accepts_what_only_the_example_lacks() {
    let valid = [
        "plain",
        "{{ event_count }}",
        "{{ events[0].amount * 2 }}",
        "{{ labels['payload.region'] | upper }}",
        "{{ events | sum(attribute='amount') }}",
        "{% for e in events %}{{ loop.index }}. {{ e.a.b }}\n{% endfor %}",
        "{% set n = namespace(x=0) %}{{ n.x }}",
        "{{ events | map(attribute='pod') | unique | sort | join(', ') }}",
        "{{ events | tojson }}",
    ];
    for text in valid {
        assert_eq!(SummaryTemplate::check(text), Ok(()), "{text}");
    }
}
