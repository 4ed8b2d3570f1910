use acteon_core::Action;
use serde_json::{Value, json};

use crate::{TemplateFile, TemplateSet, example_action};

fn file(name: &str, text: &str) -> TemplateFile {
    TemplateFile {
        name: name.into(),
        text: text.into(),
    }
}

fn set(files: &[(&str, &str)]) -> TemplateSet {
    compiled(files).unwrap()
}

fn compiled(files: &[(&str, &str)]) -> Result<TemplateSet, Vec<String>> {
    let files: Vec<_> = files.iter().map(|(name, text)| file(name, text)).collect();
    let compiled = TemplateSet::compile(&files, |provider| provider != "stranger");
    compiled.map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn action(json: &Value) -> Action {
    example_action("mail", None, Some(&json.to_string())).unwrap()
}

fn payload(set: &TemplateSet, action: &Action) -> Value {
    let rendered = set.render("mail", action).unwrap();
    assert_eq!(rendered.faults, []);
    rendered.payload.parse().unwrap()
}

#[test]
fn templates_replace_fields_and_the_rest_of_the_payload_stays() {
    let set = set(&[(
        "mail/subject.txt",
        "{{ payload.title }} in {{ labels.team }}\n",
    )]);
    let action =
        action(&json!({"payload": {"title": "Disk", "to": "a@b"}, "metadata": {"team": "db"}}));
    assert_eq!(
        payload(&set, &action),
        json!({"title": "Disk", "to": "a@b", "subject": "Disk in db"})
    );
    assert!(set.render("other", &action).is_none());
}

#[test]
fn the_template_of_an_action_type_wins_over_that_of_every_type() {
    let set = set(&[
        ("mail/subject.txt", "any"),
        ("mail/body.txt", "{{ action.action_type }}"),
        ("mail/order%2Fpaid/subject.txt", "paid"),
    ]);
    let paid = action(&json!({"action_type": "order/paid", "payload": null}));
    assert_eq!(
        payload(&set, &paid),
        json!({"subject": "paid", "body": "order/paid"})
    );
    let other = action(&json!({"action_type": "other", "payload": {}}));
    assert_eq!(
        payload(&set, &other),
        json!({"subject": "any", "body": "other"})
    );
}

#[test]
fn values_are_escaped_as_the_ending_of_the_file_says() {
    let set = set(&[
        ("mail/text.txt", "{{ payload.x }}"),
        ("mail/html_body.html", "<b>{{ payload.x }}</b>"),
        (
            "mail/blocks.json",
            "[{% for x in [payload.x] %}{\"text\": {{ x }}}{% endfor %}]",
        ),
    ]);
    let action = action(&json!({"payload": {"x": "<\"&{{ x }}"}}));
    let rendered = payload(&set, &action);
    assert_eq!(rendered["text"], "<\"&{{ x }}");
    assert_eq!(rendered["html_body"], "<b>&lt;&quot;&amp;{{ x }}</b>");
    assert_eq!(rendered["blocks"], json!([{"text": "<\"&{{ x }}"}]));
}

#[test]
fn a_template_of_the_whole_payload_replaces_it() {
    let set = set(&[
        (
            "mail/payload.json",
            "{\"n\": {{ payload.events | length }}}",
        ),
        ("mail/more.txt", "m"),
    ]);
    let action = action(&json!({"payload": {"events": [1, 2]}}));
    assert_eq!(payload(&set, &action), json!({"n": 2, "more": "m"}));
}

#[test]
fn templates_include_shared_ones_and_use_their_macros() {
    let set = set(&[
        ("_shared/footer.txt", "-- {{ action.tenant }}"),
        (
            "_shared/macros.txt",
            "{% macro link(to) %}<{{ to }}>{% endmacro %}",
        ),
        (
            "mail/body.txt",
            "{% from \"_shared/macros.txt\" import link %}{{ link(payload.url) }} {% include \"_shared/footer.txt\" %}",
        ),
    ]);
    let action = action(&json!({"payload": {"url": "u"}}));
    assert_eq!(payload(&set, &action)["body"], "<u> -- example");
}

#[test]
fn a_text_whose_template_fails_says_so_and_shows_the_payload() {
    let set = set(&[
        ("mail/subject.txt", "{{ payload.titel }}"),
        ("mail/body.txt", "Hello\n{{ payload.who.name }}"),
        ("mail/html_body.html", "<p>\n{{ payload.titel }}</p>"),
        ("mail/attachments.json", "[{{ payload.titel }}]"),
        ("mail/reply_to.txt", "ops@example.com"),
    ]);
    let action =
        action(&json!({"payload": {"title": "<x>", "attachments": []}, "action_type": "alert"}));
    let rendered = set.render("mail", &action).unwrap();
    let faults: Vec<_> = rendered.faults.iter().map(ToString::to_string).collect();
    assert!(
        faults
            .contains(&"mail/subject.txt:1: undefined value: `payload.titel` is undefined".into()),
        "{faults:#?}"
    );
    assert!(
        faults
            .iter()
            .any(|fault| fault.starts_with("mail/body.txt:2: ")),
        "{faults:#?}"
    );
    assert_eq!(faults.len(), 4);
    let payload: Value = rendered.payload.parse().unwrap();
    let text = |field: &str| payload[field].as_str().unwrap().to_owned();
    assert!(text("subject").starts_with("alert: the template failed (mail/subject.txt:1: "));
    assert!(!text("subject").contains('\n'));
    assert!(
        text("body").ends_with(r#"{"title":"<x>","attachments":[]}"#),
        "{}",
        text("body")
    );
    assert!(text("html_body").starts_with("<pre>alert: "));
    assert!(text("html_body").contains("&lt;x&gt;"));
    assert_eq!(payload["attachments"], json!([]));
    assert_eq!(payload["reply_to"], "ops@example.com");
}

#[test]
fn a_fault_at_delivery_repeats_no_value_of_the_action() {
    let set = set(&[
        ("mail/a.txt", "{{ payload.secret + 1 }}"),
        ("mail/b.json", "{{ payload.secret | safe }}"),
        ("mail/c.txt", "{{ payload.secret | round }}"),
    ]);
    let action = action(&json!({"payload": {"secret": "s3cret"}}));
    let faults = set.render("mail", &action).unwrap().faults;
    assert_eq!(faults.len(), 3);
    let shown = format!("{faults:?}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn work_and_output_are_bounded() {
    for text in [
        "{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}",
        "{{ 'x' * 10000000000 }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% include \"mail/body.txt\" %}",
    ] {
        let text = format!("{{% if payload.go %}}{text}{{% endif %}}");
        let set = set(&[("mail/body.txt", &text)]);
        let action = action(&json!({"payload": {"go": true}}));
        assert_eq!(
            set.render("mail", &action).unwrap().faults.len(),
            1,
            "{text}"
        );
    }
    let big = "{% for n in range(7000) %}{{ 'x' * 60 }}{% endfor %}";
    let set = set(&[("mail/a.txt", big), ("mail/b.txt", big)]);
    let faults = set
        .render("mail", &action(&json!({"payload": {}})))
        .unwrap()
        .faults;
    assert_eq!(faults.len(), 1);
    assert!(faults[0].message.contains("bytes"), "{faults:?}");
}

#[test]
fn mistakes_are_found_when_templates_are_loaded_with_their_files_and_lines() {
    let found = compiled(&[
        ("mail/a.txt", "fine\n{% if %}"),
        ("mail/b.txt", "\n\n{{ acton.id }}"),
        ("mail/c.txt", "{{ payload.x | uper }}"),
        ("mail/d.txt", "{% include \"_shared/none.txt\" %}"),
        ("mail/e.html", "x"),
        ("mail/e.txt", "x"),
        ("mail/f.md", "x"),
        ("mail/payload.txt", "x"),
        ("mail/deep/er/g.txt", "x"),
        ("loose.txt", "x"),
        ("stranger/a.txt", "x"),
    ]);
    let found = found.unwrap_err();
    let begins = |start: &str| found.iter().any(|fault| fault.starts_with(start));
    for start in [
        "mail/a.txt:2: syntax error",
        "mail/b.txt:3: there is no value `acton`; known: action, payload, labels",
        "mail/c.txt:1: unknown filter",
        "mail/d.txt:1: template not found",
        "mail/e.txt:1: `mail/e.html` is a template of the same field",
        "mail/f.md:1: the name must end in",
        "mail/payload.txt:1: the whole payload is JSON",
        "mail/deep/er/g.txt:1: not read",
        "loose.txt:1: not read",
        "stranger/a.txt:1: there is no provider `stranger`",
    ] {
        assert!(begins(start), "{start}: {found:#?}");
    }
    assert_eq!(found.len(), 10, "{found:#?}");
}

#[test]
fn an_example_is_rendered_strictly_when_templates_are_loaded() {
    let example = r#"{"payload": {"title": "t"}, "metadata": {"team": "db"}}"#;
    set(&[
        ("mail/a.txt", "{{ payload.title }} {{ labels.team }}"),
        ("mail/example.json", example),
    ]);
    let found = compiled(&[
        ("mail/a.txt", "{{ payload.titel }}"),
        ("mail/b.json", "{\"a\": {{ payload.title }}"),
        ("mail/example.json", example),
    ]);
    let found = found.unwrap_err();
    assert!(
        found[0].starts_with("mail/a.txt:1: undefined value: `payload.titel`"),
        "{found:?}"
    );
    assert!(
        found[1].starts_with("mail/b.json:1: the output is not JSON"),
        "{found:?}"
    );
    let found = compiled(&[("mail/example.json", "{\"payload\": ")]).unwrap_err();
    assert!(found[0].starts_with("mail/example.json:1: "), "{found:?}");
}

#[test]
fn what_only_the_missing_example_lacks_is_not_reported() {
    set(&[
        (
            "mail/a.txt",
            "{{ payload.title }} {{ payload.owner.name | upper }} {{ payload.n * 2 }}",
        ),
        ("mail/b.json", "{\"x\": {{ payload.x }}}"),
        (
            "mail/c.txt",
            "{% for e in payload.events %}{{ e.a.b }}{% endfor %}",
        ),
    ]);
}

#[test]
fn values_that_are_long_on_paper_fail_although_they_are_short_in_memory() {
    let hostile = [
        "{{ payload.list | tojson(indent=1000000) }}",
        "{{ ([[payload.list] * 1000] * 1000) | tojson }}",
        "{{ ([[payload.list] * 1000] * 1000) | pprint }}",
    ];
    for text in hostile {
        let set = set(&[("mail/subject.txt", text)]);
        let action = action(&json!({"payload": {"list": vec![1; 100]}}));
        let rendered = set.render("mail", &action).unwrap();
        assert_eq!(rendered.faults.len(), 1, "{text}");
    }
}

#[test]
fn json_in_a_template_is_spaced_or_indented_and_safe_in_html() {
    let action = action(&json!({"payload": {"a": [1, "<b>"]}}));
    let shown = |text: &str| payload(&set(&[("mail/x.txt", text)]), &action)["x"].clone();
    assert_eq!(
        shown("{{ payload | tojson }}"),
        r#"{"a": [1, "\u003cb\u003e"]}"#
    );
    let indented = "[\n  1,\n  \"\\u003cb\\u003e\"\n]";
    assert_eq!(shown("{{ payload.a | tojson(indent=2) }}"), indented);
}

#[test]
fn a_template_that_is_too_complex_to_be_parsed_is_refused() {
    let chain = format!("{{{{ 1{} }}}}", " - 1".repeat(2000));
    let branches = format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 2 %}".repeat(1001));
    for text in [chain, branches] {
        let faults = compiled(&[("mail/x.txt", text.as_str())]).err().unwrap();
        assert!(faults[0].contains("has more than"), "{faults:?}");
    }
    let long = format!("{{{{ payload }}}}{}", "{{ 1 }} text ".repeat(2000));
    assert!(compiled(&[("mail/x.txt", long.as_str())]).is_ok());
}
