//! What is wrong with the options is said when the sink is built, all at once.

use super::*;

async fn errors(options: Value) -> Vec<String> {
    let error = build(options).await.err().expect("it is refused");
    error.each().map(ToString::to_string).collect()
}

#[tokio::test]
async fn every_preset_that_comes_with_acteon_is_valid_and_lists_the_options_it_uses() {
    for (name, _) in crate::shipped::SHIPPED {
        let preset = crate::shipped::shipped(name).unwrap();
        crate::values::check(&preset, "preset.").unwrap();
        let text = format!("{preset:?}");
        for part in text.split("options.").skip(1) {
            let option: String = part
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            assert!(preset.options.contains_key(&option), "{name}: {option}");
        }
        for (option, described) in &preset.options {
            assert!(!described.description.is_empty(), "{name}: {option}");
        }
    }
}

#[tokio::test]
async fn one_preset_is_required() {
    let none = "`preset`: set this, `preset_file` or `definition`";
    assert_eq!(errors(json!({})).await, [none]);
    let two = json!({"preset": "generic", "preset_file": "x.toml"});
    assert_eq!(
        errors(two).await,
        ["`preset`: set only one of `preset`, `preset_file` and `definition`"]
    );
    let unknown = errors(json!({"preset": "opsgeny"})).await;
    let known = "`preset`: there is no preset `opsgeny`; known: discord, generic, jsm, opsgenie, teams, telegram";
    assert_eq!(unknown, [known]);
}

#[tokio::test]
async fn missing_and_unknown_options_are_named() {
    let found = errors(json!({"preset": "opsgenie", "options": {"apikey": "k"}})).await;
    let expected = [
        "`options.apikey`: the preset has no such option; known: api_base_url, api_key, source",
        "`options.api_key`: the preset requires it: the key of an API integration",
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn mistakes_in_a_definition_are_found_with_their_places() {
    let definition = json!({
        "base_url": "http://127.0.0.1/{{ payload.host }}",
        "values": {"a": "{{ acton.id }}"},
        "requests": [{
            "when": "action.id ==", "path": "{{ action.id | quoted }}", "headers": {"X-A": "{% if %}"},
            "body": {"list": ["{{ 'x' * 10000000000 }}"]}, "text_body": "both",
        }],
        "answers": [{"at": "error", "class": "permanent"}],
    });
    let found = errors(json!({"definition": definition})).await;
    let places: Vec<_> = found
        .iter()
        .map(|error| error.split('`').nth(1).unwrap())
        .collect();
    let expected = [
        "definition.base_url",
        "definition.values.a",
        "definition.requests[0].when",
        "definition.requests[0].path",
        "definition.requests[0].headers.X-A",
        "definition.requests[0].body.list[0]",
        "definition.requests[0]",
        "definition.answers[0].at",
    ];
    assert_eq!(places, expected, "{found:#?}");
    assert!(
        found[0].contains("a template has no value `payload"),
        "{}",
        found[0]
    );
}

#[tokio::test]
async fn options_and_values_that_the_preset_does_not_have_are_found() {
    let definition = json!({
        "base_url": "http://127.0.0.1/{{ options.path }}",
        "options": {"key": {"description": "the key"}},
        "values": {"a": "{{ options.key }}", "b": "{{ values.a }}"},
        "requests": [{"path": "{{ values.c }}", "headers": {"X-Key": "{{ options.kei }} {{ values.a }}"}}],
    });
    let found = errors(json!({"definition": definition})).await;
    let expected = [
        "`definition.base_url`: a template has no value `options.path`; known: options.key",
        "`definition.values.b`: a template has no value `values`; known: action, payload, labels, options.key, \
         idempotency_key, attempt, again",
        "`definition.requests[0].path`: a template has no value `values.c`; known: action, payload, labels, \
         options.key, values.a, values.b, idempotency_key, attempt, again, answer",
        "`definition.requests[0].headers.X-Key`: a template has no value `options.kei`; known: action, payload, \
         labels, options.key, values.a, values.b, idempotency_key, attempt, again, answer",
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_preset_file_without_an_end_is_refused() {
    let found = errors(json!({"preset_file": "/dev/zero"})).await;
    assert_eq!(found, ["`preset_file`: a preset may have 262144 bytes"]);
}

#[tokio::test]
async fn the_host_may_not_be_one_that_is_forbidden() {
    let found = errors(json!({"preset": "generic", "options": {"url": "http://10.0.0.1/"}})).await;
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("10.0.0.1"), "{found:?}");
}
