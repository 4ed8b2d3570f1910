//! Files that try to exhaust a resource, and the largest allowed files.

use std::fmt::Write;

use serde_json::json;

use super::{StateAnswers, action, compile, holds, new_year};
use crate::problems::FileProblems;
use crate::{CompileSettings, RuleFile};

fn message(text: &str) -> String {
    compile(text).expect_err("it is too much")[0]
        .message
        .clone()
}

fn nested(levels: usize) -> String {
    format!(
        "{}{{all: []}}{}",
        "{all: [".repeat(levels - 1),
        "]}".repeat(levels - 1)
    )
}

#[test]
fn conditions_nest_thirty_two_deep_and_no_deeper() {
    let rule = |condition: String| {
        format!("rules: [{{name: r, action: {{type: allow}}, condition: {condition}}}]")
    };
    assert!(holds(&nested(32), &action(json!({}))));
    assert_eq!(
        message(&rule(nested(33))),
        "conditions are nested deeper than 32 levels"
    );
    let not = |levels: usize| {
        format!(
            "{}{{all: []}}{}",
            "{not: ".repeat(levels),
            "}".repeat(levels)
        )
    };
    assert!(compile(&rule(not(31))).is_ok());
    assert_eq!(
        message(&rule(not(32))),
        "conditions are nested deeper than 32 levels"
    );
}

#[test]
fn a_file_of_nothing_but_brackets_is_refused_without_a_crash() {
    let size = RuleFile::BYTES_MAX;
    for unit in [
        "[",
        "{",
        "{a: ",
        "- ",
        "? ",
        "[{",
        "'",
        "\"\\",
        "&a ",
        "!a ",
        "*a ",
        "|\n",
        ": ",
        "a: &a [*a, ",
        "%",
        "---\n",
    ] {
        let text = unit.repeat(size / unit.len());
        assert!(compile(&text).is_err(), "{unit}");
        assert!(compile(&format!("rules: {text}")).is_err(), "{unit}");
    }
    let mut indented = String::new();
    for level in 0..1000 {
        writeln!(indented, "{}a:", " ".repeat(level)).unwrap();
    }
    assert_eq!(message(&indented), "nested deeper than 80 levels");
    let changes = format!("{}1{}", "{a: ".repeat(40), "}".repeat(40));
    let text = format!(
        "rules: [{{name: r, condition: {{all: []}}, action: {{type: modify, changes: {changes}}}}}]"
    );
    assert_eq!(message(&text), "changes are nested deeper than 32 levels");
}

#[test]
fn one_line_cannot_stand_for_millions() {
    let mut text = String::from("a: &a [x, x, x, x, x, x, x, x]\n");
    for (one, other) in ('a'..='y').zip('b'..='z') {
        writeln!(
            text,
            "{other}: &{other} [*{one}, *{one}, *{one}, *{one}, *{one}, *{one}, *{one}]"
        )
        .unwrap();
    }
    let problems = compile(&text).unwrap_err();
    assert!(
        problems
            .iter()
            .any(|p| p.message.starts_with("YAML aliases are not supported"))
    );
}

#[test]
fn a_file_beyond_its_size_is_refused_and_one_at_its_size_is_read() {
    let mut text = String::from("rules: []\n#");
    text.push_str(&"x".repeat(RuleFile::BYTES_MAX - text.len()));
    assert!(compile(&text).is_ok());
    text.push('x');
    assert_eq!(message(&text), "a rule file may be 1048576 bytes long");
}

#[test]
fn a_file_full_of_wrong_keys_is_read_in_time_and_its_problems_are_counted() {
    let mut text = String::from("rules:\n  - name: r\n");
    let mut count = 0;
    while text.len() < RuleFile::BYTES_MAX - 40 {
        writeln!(text, "    k{count}: 1").unwrap();
        count += 1;
    }
    let problems = compile(&text).unwrap_err();
    assert_eq!(problems.len(), 201);
    assert!(
        problems[200]
            .message
            .ends_with("more problems are not listed")
    );
}

#[test]
fn all_regular_expressions_together_may_not_take_memory_without_limit() {
    let rules = |distinct: usize| -> String {
        let all = (0..200).map(|n| {
            let pattern = format!("\\\\w{{10}}x{}", n % distinct);
            format!("  - {{ name: r{n}, condition: {{ field: action.id, matches: \"{pattern}\" }}, action: {{ type: deny }} }}\n")
        });
        format!("rules:\n{}", all.collect::<String>())
    };
    let problems = compile(&rules(200)).unwrap_err();
    assert!(
        problems[0].message.contains("of all rules take more than"),
        "{}",
        problems[0]
    );
    assert!(compile(&rules(2)).is_ok(), "equal ones are compiled once");
}

#[test]
fn a_regular_expression_may_not_take_memory_without_limit() {
    for pattern in [
        "(\\w{1000}){1000}",
        "((((((((((x{100}){100}){100}){100}){100}){100}){100}){100}){100})",
    ] {
        let text = format!(
            "rules: [{{name: r, action: {{type: allow}}, condition: {{field: action.id, matches: '{pattern}'}}}}]"
        );
        assert!(
            message(&text).starts_with("the regular expression is wrong"),
            "{pattern}"
        );
    }
    let deep = format!("{}x{}", "(".repeat(1000), ")".repeat(1000));
    let text = format!(
        "rules: [{{name: r, action: {{type: allow}}, condition: {{field: action.id, matches: '{deep}'}}}}]"
    );
    assert!(message(&text).starts_with("the regular expression is wrong"));
}

#[test]
fn ten_thousand_rules_over_a_large_payload_are_decided_in_time() {
    let mut files = Vec::new();
    for part in 0..10 {
        let mut text = String::from("rules:\n");
        for i in 0..1000 {
            writeln!(text, "- {{name: r{part}-{i}, action: {{type: deny}}, condition: {{field: action.payload.k{i}.x{part}, eq: {i}}}}}").unwrap();
        }
        files.push(super::file(&format!("{part}.yaml"), &text));
    }
    let set = crate::RuleSet::compile(&files, &CompileSettings::default()).unwrap();
    let payload: serde_json::Map<_, _> = (0..100_000)
        .map(|i| (format!("k{i}"), json!({"y": i})))
        .collect();
    let decision = set.decide(&action(payload), new_year(), &StateAnswers::default());
    assert_eq!(decision.matched_rule, None);
}

#[test]
fn an_anchor_without_an_alias_and_another_version_of_yaml_are_refused() {
    for (text, expected) in [
        ("rules: &a []\n", "YAML anchors are not supported"),
        (
            "rules: [&a { name: x }]\n",
            "YAML anchors are not supported",
        ),
        (
            "rules: [{ name: &a x }]\n",
            "YAML anchors are not supported",
        ),
        (
            "# rules\n%YAML 2.0\n---\nrules: []\n",
            "rule files are YAML 1.2",
        ),
        ("%YAML 1.1\n---\nrules: []\n", "rule files are YAML 1.2"),
    ] {
        let mut problems = FileProblems::of("test");
        crate::yaml::read(text, "anything", &mut problems);
        let problems = problems.into_list();
        let found = problems.iter().any(|p| p.message.starts_with(expected));
        assert!(found, "{text}: {problems:?}");
    }
    let mut problems = FileProblems::of("test");
    crate::yaml::read("%YAML 1.2\n---\nrules: []\n", "anything", &mut problems);
    assert_eq!(problems.into_list(), []);
}
