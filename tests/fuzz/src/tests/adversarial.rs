//! Texts that nest or repeat without end, generated because they are too large for corpus files.

use crate::{TARGETS, Target};

const KIB: usize = 1 << 10;

fn run(name: &str, text: &str) {
    println!("{}...", text.chars().take(60).collect::<String>());
    Target::named(name).unwrap().run(text.as_bytes());
}

/// `unit` repeated to 64 KiB.
fn long(unit: &str) -> String {
    unit.repeat(64 * KIB / unit.len())
}

#[test]
fn brackets_and_words_without_end_are_refused_by_all() {
    for target in TARGETS {
        for unit in [
            "[", "{", "(", "\"", "'", "-", "!", ",", "\n", "- ", "a: ", "{\"a\":", "[{", "\\", "=",
            "a.", "[a]\n",
        ] {
            run(target.name, &long(unit));
        }
    }
}

#[test]
fn names_without_end_are_compared_with_known_ones_at_no_cost() {
    let name = "x".repeat(900 * KIB);
    run("config", &format!("{name}{name}{name} = 1"));
    run("config", &format!("[log]\nlevel = \"{name}{name}{name}\""));
    run("rules", &format!("{name}: 1"));
    for key in ["name", "timezone", "on_error"] {
        let rule = "condition: {all: []}, action: {type: allow}";
        run("rules", &format!("rules: [{{{key}: \"{name}\", {rule}}}]"));
    }
    for action in [
        "type: ",
        "type: throttle, on_exceeded: ",
        "type: reroute, target_provider: ",
    ] {
        let rule = format!("name: a, condition: {{all: []}}, action: {{{action}\"{name}\"}}");
        run("rules", &format!("rules: [{{{rule}}}]"));
    }
    for condition in [
        "field: ",
        "call: ",
        "cel: ",
        "field: action.id, matches: ",
        "state_seen: ",
    ] {
        let rule =
            format!("name: a, condition: {{{condition}\"{name}\"}}, action: {{type: allow}}");
        run("rules", &format!("rules: [{{{rule}}}]"));
    }
    run(
        "decode",
        &format!("{{\"{name}\": 1, \"tenant\": \"{name}\"}}"),
    );
}

#[test]
fn cel_without_end_is_refused() {
    let halves = |open: &str, middle: &str, close: &str| {
        let times = 32 * KIB / open.len();
        format!("{}{middle}{}", open.repeat(times), close.repeat(times))
    };
    let texts = [
        format!("{}1 > 0", long("1+")),
        format!("action.payload{} == 1", long(".b")),
        format!("{}true", long("!")),
        format!("{}1 < 0", long("-")),
        format!("{}true", long("true || ")),
        format!("\"\"{} == \"\"", long(" + \"abcdefgh\"")),
        format!("action.payload{} == 1", long("[0]")),
        format!("action.payload{}", long(".map(x, x)")),
        halves("(", "true", ")"),
        halves("[", "1", "]"),
        halves("{\"a\": ", "1", "}"),
        halves("true ? ", "true", " : false"),
        halves("[1].all(x, ", "true", ")"),
        halves("size(", "[]", ")"),
    ];
    texts.iter().for_each(|text| run("cel", text));
}

#[test]
fn rule_files_without_end_are_bounded() {
    let rule = |number: usize, condition: &str| {
        format!("  - {{ name: r{number}, condition: {condition}, action: {{ type: allow }} }}\n")
    };
    let conditions = [
        "{ field: action.id, matches: \"\\\\w{90}\" }",
        "{ field: action.id, matches: \"(\\\\w{50}){200}\" }",
        "{ field: action.id, matches: \"[\" }",
        "{ cel: \"action.payload.name.matches('[a-z]{50}')\" }",
        "\"[1,2].all(a, [1,2].all(b, a + b > size(action.payload.tags)))\"",
        "{ state_counter: \"{{ action.payload }}{{ action.payload }}\", gte: 1 }",
    ];
    for condition in conditions {
        let rules: String = (0..40).map(|number| rule(number, condition)).collect();
        run("rules", &format!("rules:\n{rules}"));
    }
}
