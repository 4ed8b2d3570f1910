//! All log lines and metrics of a crate are in its one `events.rs`, so that log line and counter stay together. The
//! name of each metric begins with `acteon_`, and no field of a line has the name of a key that every line has.

use proc_macro2::TokenTree;
use syn::visit::{self, Visit};
use syn::{ItemMod, Macro};

use super::house::{House, Source, is_for_tests, is_test_file};
use super::{Violation, assert_kept, judge, places};

const METRICS: &[&str] = &[
    "counter",
    "gauge",
    "histogram",
    "describe_counter",
    "describe_gauge",
    "describe_histogram",
];
const LOGS: &[&str] = &["trace", "debug", "info", "warn", "error", "event"];
/// Keys of every JSON line.
const TAKEN: &[&str] = &["timestamp", "level", "target", "message"];

/// Files that log or count for another reason.
const EXCUSED: &[(&str, &str)] = &[(
    "server/src/metrics.rs",
    "renders values that were counted elsewhere",
)];

fn check(source: &Source) -> Vec<Violation> {
    let file = match source.parse() {
        Ok(file) => file,
        Err(violation) => return vec![violation],
    };
    let mut events = Events {
        path: &source.path,
        found: Vec::new(),
    };
    events.visit_file(&file);
    events.found
}

struct Events<'a> {
    path: &'a str,
    found: Vec<Violation>,
}

impl<'ast> Visit<'ast> for Events<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        let Some(last) = item.path.segments.last() else {
            return;
        };
        let name = last.ident.to_string();
        let line = last.ident.span().start().line;
        let is_metric = METRICS.contains(&name.as_str());
        let is_log = LOGS.contains(&name.as_str());
        if (is_metric || is_log) && !self.path.ends_with("/events.rs") {
            let law = format!(
                "`{name}!`: a crate logs and counts in its `events.rs`; call a function there"
            );
            self.found.push(Violation::at(self.path, line, law));
        }
        for name in fields(item).filter(|name| is_log && TAKEN.contains(&name.as_str())) {
            let law = format!(
                "a field is not named `{name}`: every JSON line has that key already; rename the field"
            );
            self.found.push(Violation::at(self.path, line, law));
        }
        if is_metric && literal(item).is_some_and(|name| !name.starts_with("\"acteon_")) {
            let law = "a metric's name begins with `acteon_`";
            self.found.push(Violation::at(self.path, line, law));
        }
    }
}

/// The field names of a log macro: the first identifier of an argument, after `%` or `?`, if alone or before `=`.
fn fields(item: &Macro) -> impl Iterator<Item = String> {
    let tokens: Vec<_> = item.tokens.clone().into_iter().collect();
    let is =
        |token: &TokenTree, sign| matches!(token, TokenTree::Punct(it) if it.as_char() == sign);
    let arguments = tokens.split(|token| is(token, ',')).map(|argument| {
        let unsigned = argument.iter().skip_while(|it| is(it, '%') || is(it, '?'));
        let mut unsigned = unsigned.take(2);
        match (unsigned.next(), unsigned.next()) {
            (Some(TokenTree::Ident(name)), None) => Some(name.to_string()),
            (Some(TokenTree::Ident(name)), Some(next)) if is(next, '=') => Some(name.to_string()),
            _ => None,
        }
    });
    let names: Vec<_> = arguments.flatten().collect();
    names.into_iter()
}

/// The first token of the macro, if it is a literal.
fn literal(item: &Macro) -> Option<String> {
    match item.tokens.clone().into_iter().next()? {
        TokenTree::Literal(literal) => Some(literal.to_string()),
        _ => None,
    }
}

#[test]
fn log_lines_and_metrics_are_in_one_file_of_each_crate() {
    let sources = House::read().sources();
    let in_use = |source: &Source| match is_test_file(&source.path) {
        true => Vec::new(),
        false => check(source),
    };
    let violations = judge(&sources, EXCUSED, in_use);
    assert_kept(&violations);
}

#[test]
fn a_stray_log_line_and_a_foreign_name_are_found() {
    let sample = |path, text| check(&Source::new(path, text));
    let stray =
        "fn f() {\n    tracing::info!(\"x\");\n    counter!(\"acteon_x_total\").increment(1);\n}";
    assert_eq!(
        places(&sample("a/src/b.rs", stray)),
        ["a/src/b.rs:2", "a/src/b.rs:3"]
    );
    assert_kept(&sample("a/src/events.rs", stray));
    let foreign = "fn f() { metrics::counter!(\"x_total\").increment(1); }";
    assert_eq!(
        places(&sample("a/src/events.rs", foreign)),
        ["a/src/events.rs:1"]
    );
    let taken =
        "fn f() { debug!(%message, level = 1, error = error.message, target: \"x\", \"y\"); }";
    assert_eq!(places(&sample("a/src/events.rs", taken)).len(), 2);
    let tested = "#[cfg(test)]\nmod tests {\n    fn f() { info!(\"x\"); }\n}";
    assert_kept(&sample("a/src/b.rs", tested));
}
