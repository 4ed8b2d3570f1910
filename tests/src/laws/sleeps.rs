//! No test waits by sleeping. It waits for the expected event, or its time is virtual. A sleep on paused time is free
//! and exact, and so allowed. Every other sleep must be in the list below with its reason.

use proc_macro2::{Delimiter, Span, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprCall, ItemFn, ItemMod, Macro, Meta};

use super::house::{House, Source, is_for_tests, is_test_file};
use super::{Violation, assert_kept, judge, places};

/// Files whose tests may sleep on the real clock, and the reason.
const EXCUSED: &[(&str, &str)] = &[
    (
        "ingest/kafka/src/tests.rs",
        "polls a real broker, so that no other test has to sleep",
    ),
    (
        "ingest/kafka/src/tests/pressure.rs",
        "tests that a session timeout passes",
    ),
    (
        "sinks/email/src/tests/peer.rs",
        "a slow server takes its time on a real connection",
    ),
    (
        "tests/services/src/eventually.rs",
        "polls for all tests, so that they need not sleep",
    ),
    (
        "tests/services/src/process.rs",
        "polls a starting server until it is ready",
    ),
    (
        "tests/services/src/process/tests.rs",
        "the system gives no notice of the end of a foreign process",
    ),
    (
        "tests/testkit/src/contract/broker.rs",
        "makes attempts at a real broker until one succeeds",
    ),
    (
        "tests/testkit/src/sink.rs",
        "a slow sink sleeps on the clock of its caller",
    ),
];

/// Benches are not tests. They measure real time.
const BENCHES: &str = "tests/bench/";

fn check(source: &Source) -> Vec<Violation> {
    let file = match source.parse() {
        Ok(file) => file,
        Err(violation) => return vec![violation],
    };
    let pauses = source.text.contains("start_paused") || source.text.contains("time::pause");
    let mut sleeps = Sleeps {
        in_test: is_test_file(&source.path) && !source.path.starts_with(BENCHES),
        time: if pauses { Time::Virtual } else { Time::Real },
        lines: Vec::new(),
    };
    sleeps.visit_file(&file);
    let law = "a test does not sleep: poll for the expected event, or pause the time";
    let at = |line| Violation::at(&source.path, line, law);
    sleeps.lines.into_iter().map(at).collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Time {
    Real,
    Virtual,
}

struct Sleeps {
    in_test: bool,
    /// The time of the file, or of the test being visited.
    time: Time,
    lines: Vec<usize>,
}

impl Sleeps {
    fn note(&mut self, span: Span) {
        if self.in_test && self.time == Time::Real {
            self.lines.push(span.start().line);
        }
    }

    /// Searches for calls inside a macro such as `select!`, whose content is not parsed.
    fn scan(&mut self, tokens: TokenStream) {
        let mut before: Option<proc_macro2::Ident> = None;
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    let called = before.take().filter(|name| is_sleep(&name.to_string()));
                    if let (Some(name), Delimiter::Parenthesis) = (called, group.delimiter()) {
                        self.note(name.span());
                    }
                    self.scan(group.stream());
                }
                TokenTree::Ident(name) => before = Some(name),
                _ => before = None,
            }
        }
    }
}

fn is_sleep(name: &str) -> bool {
    name == "sleep" || name == "sleep_until"
}

impl<'ast> Visit<'ast> for Sleeps {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let outside = self.in_test;
        self.in_test |= item.attrs.iter().any(is_for_tests);
        visit::visit_item_mod(self, item);
        self.in_test = outside;
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        let outside = self.time;
        if let Some(time) = item.attrs.iter().find_map(time_of_test) {
            self.time = if pauses(item) { Time::Virtual } else { time };
        }
        visit::visit_item_fn(self, item);
        self.time = outside;
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = &*call.func
            && let Some(last) = path.path.segments.last()
            && is_sleep(&last.ident.to_string())
        {
            self.note(last.ident.span());
        }
        visit::visit_expr_call(self, call);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.scan(item.tokens.clone());
    }
}

/// The time of a test from its `#[test]` or `#[tokio::test(..)]`. `None` for a function that is not a test.
fn time_of_test(attribute: &Attribute) -> Option<Time> {
    let last = attribute.path().segments.last()?;
    let is_paused = |list: &syn::MetaList| list.tokens.to_string().contains("start_paused");
    (last.ident == "test").then(|| match &attribute.meta {
        Meta::List(list) if is_paused(list) => Time::Virtual,
        _ => Time::Real,
    })
}

/// True if the test itself calls `pause`.
fn pauses(item: &ItemFn) -> bool {
    struct Pause(bool);
    impl<'ast> Visit<'ast> for Pause {
        fn visit_path(&mut self, path: &'ast syn::Path) {
            self.0 |= path
                .segments
                .last()
                .is_some_and(|last| last.ident == "pause");
        }
    }
    let mut pause = Pause(false);
    pause.visit_block(&item.block);
    pause.0
}

#[test]
fn no_test_waits_by_sleeping() {
    let sources = House::read().sources();
    let violations = judge(&sources, EXCUSED, check);
    assert_kept(&violations);
}

fn sample(path: &str, text: &str) -> Vec<Violation> {
    check(&Source::new(path, text))
}

#[test]
fn a_test_that_sleeps_is_found_in_macros_too() {
    let call = "#[tokio::test]\nasync fn t() {\n    tokio::time::sleep(A).await;\n}";
    assert_eq!(
        places(&sample("a/src/tests.rs", call)),
        ["a/src/tests.rs:3"]
    );
    let inside = "fn f() { sleep(A) }\n#[cfg(test)]\nmod tests {\n    fn g() { sleep(A) }\n}";
    assert_eq!(places(&sample("a/src/b.rs", inside)), ["a/src/b.rs:4"]);
    let select = "async fn t() {\n    select! {\n        () = sleep_until(A) => {}\n    }\n}";
    assert_eq!(
        places(&sample("tests/src/a.rs", select)),
        ["tests/src/a.rs:3"]
    );
}

#[test]
fn a_real_sleep_is_found_beside_tests_whose_time_is_paused() {
    let text = "#[tokio::test(start_paused = true)]\nasync fn a() { sleep(A).await }\n\
                #[tokio::test]\nasync fn b() { sleep(A).await }\n\
                #[tokio::test]\nasync fn c() { tokio::time::pause(); sleep(A).await }\n";
    assert_eq!(
        places(&sample("a/src/tests.rs", text)),
        ["a/src/tests.rs:4"]
    );
}
