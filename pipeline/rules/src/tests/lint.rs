//! Warnings of each kind with their places, and rules without warnings.

mod random;

use compact_str::CompactString;

use super::{file, listed};
use crate::{CompileSettings, KnownProviders, RuleFile, RuleSet, lint};

fn settings() -> CompileSettings {
    CompileSettings {
        environment: vec![("REGION".into(), "eu".into())],
        providers: KnownProviders::Only(["mail", "slack"].map(CompactString::from).into()),
        ..CompileSettings::default()
    }
}

fn warnings(files: &[RuleFile], examples: &[RuleFile]) -> String {
    let set = RuleSet::compile(files, &settings()).unwrap_or_else(|p| panic!("{}", listed(&p)));
    listed(&lint(&set, files, &settings(), examples))
}

/// The warnings for these rules, without examples.
fn said(rules: &str) -> String {
    warnings(&[file("rules.yaml", rules)], &[])
}

/// A rule whose match ends the evaluation.
fn stops(name: &str, condition: &str) -> String {
    format!("  - {{ name: {name}, condition: {condition}, action: {{ type: suppress }} }}\n")
}

const KINDS: &str = r#"rules:
  - name: all mail
    condition: { field: action.provider, eq: mail }
    action: { type: allow }
  - name: big mail
    condition:
      all:
        - { field: action.payload.amount, gt: 100 }
        - { field: action.provider, eq: mail }
    action: { type: deny }
  - name: two at once
    condition: { field: action.tenant, starts_with: a, eq: b }
    action: { type: deny }
  - name: nothing at all
    condition: { any: [] }
    action: { type: deny }
  - name: a label is no number
    condition: { field: action.metadata.level, gt: 5 }
    action: { type: deny }
  - name: weekend
    condition: "time.weekday == 'saturday' || time.weekday == 'sunday'"
    action: { type: deny }
  - name: moved
    condition: { field: action.provider, eq: pager }
    action: { type: reroute, target_provider: slack }
  - name: unknown provider
    condition:
      any:
        - { field: action.provider, in: [slack, slakc] }
        - not: { field: action.provider, ne: pager }
    action: { type: suppress }
  - name: off
    enabled: false
    condition: { field: action.provider, matches: "^pager" }
    action: { type: suppress }
  - name: patterns
    condition:
      all:
        - { field: action.payload.host, matches: "^web-" }
        - { field: action.payload.host, regex: "\\.internal$" }
        - { field: action.payload.host, matches: "(a|b)" }
    action: { type: throttle, max_count: 5, window_seconds: 60, key: [payload.usr, metadata.team] }
  - name: texts
    condition: { state_counter: "of {{ action.payload.user.nme }}", gte: 5 }
    continue: true
    action: { type: modify, changes: { seen: { by: "{{ action.metadata.teem }}" } } }
  - name: what another rule sets
    condition: { field: action.payload.seen.by, exists: true }
    action: { type: suppress }
  - name: all else
    condition: { all: [] }
    action: { type: allow }
  - name: too late
    condition: "action.payload.amount > 5 && action.tenant != 'x'"
    action: { type: deny }
"#;

const EXAMPLES: &str = r#"
tests:
  - name: one
    timeline:
      - { at: 0s, dispatch: { metadata: { team: a, level: x }, payload: { amount: 5, host: web-1 } } }
      - { at: 0s, dispatch: { payload: { user: { name: x } } } }
"#;

#[test]
fn each_kind_of_warning_has_its_place() {
    let files = [file("10-kinds.yaml", KINDS)];
    insta::assert_snapshot!(warnings(&files, &[file("10-kinds.test.yaml", EXAMPLES)]));
}

#[test]
fn without_examples_nothing_is_said_of_fields() {
    let rules = format!(
        "rules:\n{}",
        stops("r", "{ field: action.payload.x, eq: 1 }")
    );
    let said = |tests| warnings(&[file("a.yaml", &rules)], &[file("a.test.yaml", tests)]);
    assert_eq!(said("tests: []"), "");
    assert_eq!(said("tests: [ broken"), "");
    assert_eq!(
        said("dispatch: {}"),
        "a.yaml:2:36: no action in the rule tests has `action.payload.x`"
    );
    assert_eq!(said("dispatch: { payload: { x: null } }"), "");
    assert_eq!(
        said("{ defaults: { payload: { x: 1 } }, tests: [{ dispatch: {} }] }"),
        ""
    );
}

#[test]
fn what_a_template_brings_in_could_have_any_field() {
    let rules = r#"rules:
      - { name: m, continue: true, condition: { all: [] }, action: { type: modify, changes: { copy: "{{ action.metadata }}" } } }
      - { name: r, condition: { field: action.payload.copy.x, exists: true }, action: { type: suppress } }"#;
    let tests = [file(
        "a.test.yaml",
        "dispatch: { payload: { items: [{ a: 1 }] } }",
    )];
    assert_eq!(warnings(&[file("a.yaml", rules)], &tests), "");
    let lists = format!(
        "rules:\n{}{}",
        stops("a", "{ field: action.payload.items.7.a, eq: 1 }"),
        stops("b", "{ field: action.payload.items.7.c, eq: 1 }")
    );
    let said = warnings(&[file("a.yaml", &lists)], &tests);
    assert!(
        said.contains("`action.payload.items.7.c`; did you mean `a`?"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// Pairs of conditions; the second requires what the first does, and more.
const NARROWER: &[(&str, &str)] = &[
    ("{ all: [] }", "{ field: now, gt: 1 }"),
    (
        "{ field: action.tenant, eq: a }",
        "{ field: action.tenant, eq: a }",
    ),
    (
        "{ field: action.tenant, in: [a, b] }",
        "{ field: action.tenant, eq: a }",
    ),
    (
        "{ field: action.tenant, in: [a, b, c] }",
        "{ field: action.tenant, in: [b, a] }",
    ),
    (
        "{ field: action.tenant, ne: x }",
        "{ field: action.tenant, in: [b, a] }",
    ),
    (
        "{ field: action.tenant, not_in: [x, y] }",
        "{ field: action.tenant, not_in: [y, x, z] }",
    ),
    (
        "{ field: action.tenant, starts_with: ab }",
        "{ field: action.tenant, starts_with: abc }",
    ),
    (
        "{ field: action.tenant, ends_with: c }",
        "{ field: action.tenant, matches: 'bc$' }",
    ),
    (
        "{ field: action.tenant, contains: b }",
        "{ field: action.tenant, starts_with: abc }",
    ),
    (
        "{ field: action.tenant, matches: '[ab]' }",
        "{ field: action.tenant, matches: '[ab]', ne: b }",
    ),
    (
        "{ field: action.tenant, matches: '[ab]' }",
        "{ field: action.tenant, in: [xa, b] }",
    ),
    (
        "{ field: action.payload.n, gt: 5 }",
        "{ field: action.payload.n, gt: 6 }",
    ),
    (
        "{ field: action.payload.n, gte: 5 }",
        "{ field: action.payload.n, gt: 5.0 }",
    ),
    (
        "{ field: action.payload.n, lt: b }",
        "{ field: action.payload.n, lt: ab }",
    ),
    (
        "{ field: action.payload.n, gt: 5 }",
        "{ field: action.payload.n, eq: 6 }",
    ),
    (
        "{ field: action.payload.n, exists: true }",
        "{ field: action.payload.n, gt: 6 }",
    ),
    (
        "{ not: { field: action.payload.n, lt: 5 } }",
        "{ field: action.payload.n, gte: 5 }",
    ),
    (
        "{ not: { field: action.payload.n, lt: 5 } }",
        "{ field: action.payload.n, exists: false }",
    ),
    (
        "{ field: action.payload.n, contains: 5 }",
        "{ field: action.payload.n, contains: 5.0 }",
    ),
    (
        "{ field: action.tenant, exists: true }",
        "{ field: now, gt: 1 }",
    ),
    ("{ field: time.hour, gte: 0 }", "{ field: now, gt: 1 }"),
    (
        "{ all: [{ field: action.tenant, eq: a }, { field: action.provider, eq: mail }] }",
        "{ all: [{ field: now, gt: 5 }, { field: action.provider, eq: mail }, { field: action.tenant, eq: a }] }",
    ),
    (
        "{ any: [{ field: action.tenant, eq: a }, { field: now, gt: 5 }] }",
        "{ all: [{ field: action.payload.x, eq: 1 }, { field: action.tenant, eq: a }] }",
    ),
    (
        "{ field: action.tenant, in: [a, b] }",
        "{ any: [{ field: action.tenant, eq: a }, { all: [{ field: action.tenant, eq: b }, { field: now, gt: 1 }] }] }",
    ),
    (
        "{ all: [{ field: action.tenant, in: [a, b] }, { field: now, gt: 1 }] }",
        "{ all: [{ any: [{ field: action.tenant, eq: a }, { field: action.tenant, eq: b }] }, { field: now, gt: 2 }] }",
    ),
    (
        "{ not: { any: [{ field: action.tenant, eq: a }, { field: action.tenant, eq: b }] } }",
        "{ field: action.tenant, eq: c }",
    ),
    (
        "{ any: [{ state_seen: k, within_seconds: 5 }, { field: action.tenant, eq: a }] }",
        "{ all: [{ state_seen: k, within_seconds: 5 }, { field: action.tenant, eq: a }] }",
    ),
    (
        "\"action.tenant == 'a'\"",
        "\"action.tenant == 'a' && action.payload.x > 5\"",
    ),
    (
        "{ field: action.payload.n, gt: 5 }",
        "\"action.payload.n > 6\"",
    ),
];

#[test]
fn a_later_rule_that_asks_for_more_can_never_match() {
    for (earlier, later) in NARROWER {
        let rules = format!("rules:\n{}{}", stops("e", earlier), stops("l", later));
        let expected =
            "rules.yaml:3:5: the rule `l` can never match: `e` (rules.yaml line 2) comes first";
        let said = said(&rules);
        assert!(said.starts_with(expected), "{earlier} then {later}: {said}");
    }
}

#[test]
fn a_later_rule_that_could_match_is_left_alone() {
    let rows = [
        (
            "{ field: action.tenant, eq: a }",
            "{ field: action.tenant, in: [a, b] }",
        ),
        (
            "{ field: action.tenant, eq: a }",
            "{ field: action.namespace, eq: a }",
        ),
        (
            "{ field: action.payload.a, eq: a }",
            "{ field: action.payload.b, eq: a }",
        ),
        (
            "{ field: action.tenant, starts_with: abc }",
            "{ field: action.tenant, starts_with: ab }",
        ),
        // A list could contain it too.
        (
            "{ field: action.payload.x, matches: b }",
            "{ field: action.payload.x, contains: b }",
        ),
        (
            "{ field: action.payload.x, contains: b }",
            "{ field: action.payload.x, contains: bc }",
        ),
        (
            "{ field: action.payload.n, gt: 5 }",
            "{ field: action.payload.n, gte: 5 }",
        ),
        (
            "{ field: action.payload.n, gt: 5 }",
            "{ field: action.payload.n, gt: a }",
        ),
        (
            "{ field: action.payload.n, gte: 5 }",
            "{ not: { field: action.payload.n, lt: 5 } }",
        ),
        (
            "{ field: action.payload.n, exists: true }",
            "{ field: action.payload.n, ne: 5 }",
        ),
        (
            "{ state_seen: k, within_seconds: 5 }",
            "{ state_seen: k, within_seconds: 5 }",
        ),
        (
            "\"action.payload.n > 5\"",
            "{ field: action.payload.n, gt: 6 }",
        ),
        (
            "\"!(action.payload.n > 5)\"",
            "{ field: action.payload.n, eq: x }",
        ),
    ];
    for (earlier, later) in rows {
        let rules = format!("rules:\n{}{}", stops("e", earlier), stops("l", later));
        let said = said(&rules);
        assert!(
            !said.contains("never match"),
            "{earlier} then {later}: {said}"
        );
    }
}

#[test]
fn only_a_rule_that_surely_ends_the_evaluation_hides_others() {
    let always = "condition: { all: [] }";
    let hides = |first: &str| {
        let rules = format!(
            "rules:\n  - {{ name: e, {first} }}\n{}",
            stops("l", "{ field: now, gt: 1 }")
        );
        !said(&rules).is_empty()
    };
    let first =
        |more: &str, action: &str| hides(&format!("{always}, action: {{ {action} }}{more}"));
    assert!(first("", "type: allow"));
    assert!(first("", "type: deduplicate"));
    assert!(first("", "type: throttle, max_count: 1, window_seconds: 1"));
    assert!(first(", continue: true", "type: suppress"));
    assert!(!first(", continue: true", "type: allow"));
    assert!(!first(", enabled: false", "type: suppress"));
    assert!(
        !first("", "type: modify, changes: {}"),
        "it may fail and is skipped then"
    );
    assert!(first(", on_error: fail", "type: modify, changes: {}"));
}

#[test]
fn a_later_rule_that_sees_another_payload_is_left_alone() {
    let earlier = stops("e", "{ field: action.payload.a, eq: 1 }");
    let changes = "  - { name: m, continue: true, condition: { all: [] }, action: { type: modify, changes: { a: 1 } } }\n";
    let later = stops("l", "{ field: action.payload.a, eq: 1 }");
    assert_eq!(said(&format!("rules:\n{earlier}{changes}{later}")), "");
    assert_ne!(said(&format!("rules:\n{changes}{earlier}{later}")), "");
    let earlier = stops("e", "{ field: action.tenant, eq: a }");
    let later = stops("l", "{ field: action.tenant, eq: a }");
    assert_ne!(said(&format!("rules:\n{earlier}{changes}{later}")), "");
}

#[test]
fn a_condition_that_contradicts_itself_is_told_with_the_tests_that_do() {
    let rows = [
        (
            "{ field: action.payload.a, eq: a, ne: a }",
            "no value of `action.payload.a` satisfies `eq: \"a\"` and `ne: \"a\"`",
        ),
        (
            "{ field: action.payload.a, gt: 5, lte: 5.0 }",
            "`gt: 5` and `lte: 5.0`",
        ),
        (
            "{ field: action.payload.a, gt: 5, starts_with: a }",
            "`gt: 5` and `starts_with: \"a\"`",
        ),
        (
            "{ field: action.payload.a, exists: false, contains: a }",
            "`exists: false` and `contains: \"a\"`",
        ),
        ("{ field: action.payload.a, in: [] }", "satisfies `in: []`"),
        (
            "{ field: action.payload.a, starts_with: a, matches: '^b' }",
            "`starts_with: \"a\"` and `matches: \"^b\"`",
        ),
        (
            "{ all: [{ field: action.tenant, eq: a }, { not: { field: action.tenant, in: [a, b] } }] }",
            "`eq: \"a\"` and not `in: [\"a\", \"b\"]`",
        ),
        ("{ field: time.hour, gte: 24 }", "satisfies `gte: 24`"),
        (
            "{ field: action.namespace, exists: false }",
            "satisfies `exists: false`",
        ),
        ("{ field: action.dedup_key, eq: 5 }", "satisfies `eq: 5`"),
        ("{ field: action.metadata, eq: x }", "satisfies `eq: \"x\"`"),
        ("{ not: { all: [] } }", "an empty `any`"),
        (
            "{ all: [{ field: action.tenant, eq: a }, { any: [{ field: action.tenant, eq: b }, { field: action.tenant, eq: c }] }] }",
            "none of its alternatives",
        ),
        (
            "\"action.payload.a > 5 && action.payload.a < 3\"",
            "`gt: 5` and `lt: 3`",
        ),
        ("'false'", "empty"),
    ];
    for (condition, expected) in rows {
        let said = said(&format!("rules:\n{}", stops("r", condition)));
        let known = said.starts_with("rules.yaml:2:27: the rule `r` can never match: ");
        assert!(known && said.contains(expected), "{condition}: {said}");
    }
}

#[test]
fn a_long_set_is_looked_at_in_time() {
    let rule = |n: usize| {
        stops(
            &format!("r{n}"),
            &format!("{{ field: action.payload.n, gt: {} }}", 5000 - n),
        )
    };
    let many: String = (0..1500).map(rule).collect();
    let said = said(&format!("rules:\n{many}"));
    assert!(said.contains("there are too many"), "{said}");
    assert_eq!(said.lines().count(), 1);
    let rule = |n: usize| {
        stops(
            &format!("r{n}"),
            &format!("{{ field: action.tenant, eq: t{n} }}"),
        )
    };
    let many: String = (0..1500).map(rule).collect();
    assert_eq!(self::said(&format!("rules:\n{many}")), "");
}

#[test]
fn a_condition_with_too_many_ways_is_given_up() {
    let way = "{ any: [{ field: action.payload.a, gt: 1 }, { field: action.payload.b, gt: 1 }] }";
    let ways = vec![way; 200].join(", ");
    let never = "{ field: action.payload.a, lt: 0 }, { field: action.payload.b, lt: 0 }";
    let rules = format!(
        "rules:\n{}",
        stops("r", &format!("{{ all: [{ways}, {never}] }}"))
    );
    assert!(said(&rules).contains("none of its alternatives"));
    assert_eq!(
        said(&format!(
            "rules:\n{}",
            stops("r", &format!("{{ all: [{ways}] }}"))
        )),
        ""
    );
}
