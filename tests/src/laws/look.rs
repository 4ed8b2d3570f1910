//! Limits the length of a file in both directions and checks its opening. Its contents are for the other laws.

use super::house::{House, Source};
use super::{Violation, assert_kept, judge, places};

const ADAPTER_LINES_MAX: usize = 400;
const FILE_LINES_MAX: usize = 500;
const OPENING_LINES_MAX: usize = 5;
/// A smaller file hides its few lines from the readers of its neighbours.
const CODE_LINES_MIN: usize = 15;

/// Smaller files, and the reason.
const SMALL: &[(&str, &str)] = &[];
/// Files whose names a tool or the layout of a crate demands.
const DEMANDED: &[&str] = &["lib.rs", "main.rs", "mod.rs", "build.rs", "tests.rs"];

/// The crate doc of an adapter is its README.
const README_AS_DOC: &str = "#![doc = include_str!(\"../README.md\")]";

fn check(source: &Source) -> Vec<Violation> {
    length(source).into_iter().chain(opening(source)).collect()
}

fn length(source: &Source) -> Option<Violation> {
    let max = lines_max(&source.path);
    let lines = source.text.lines().count();
    let law = || {
        format!(
            "a file here has at most {max} lines, this one has {lines}: move a part with its own name to its own file"
        )
    };
    (lines > max).then(|| Violation::at(&source.path, lines, law()))
}

fn lines_max(path: &str) -> usize {
    if is_in_adapter(path) {
        ADAPTER_LINES_MAX
    } else {
        FILE_LINES_MAX
    }
}

fn is_in_adapter(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let in_family = matches!(parts[..], ["ingest" | "sinks" | "backends", ..]);
    in_family && !matches!(parts[..], [_, "kit" | "src", ..])
}

/// The lines that are neither blank nor comments. All adapters have the same files, however small.
fn smallness(source: &Source) -> Vec<Violation> {
    let name = source.path.rsplit('/').next().unwrap_or_default();
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let lines = source.text.lines().filter(is_code).count();
    let is_demanded =
        DEMANDED.contains(&name) || (name == "error.rs" && is_in_adapter(&source.path));
    let law = format!(
        "a file has at least {CODE_LINES_MIN} lines of code, this one has {lines}: move them beside what uses them"
    );
    let is_small = lines < CODE_LINES_MIN && !is_demanded;
    is_small
        .then(|| Violation::at(&source.path, 1, law))
        .into_iter()
        .collect()
}

/// A file states its purpose. Test modules are exempt: they are named after what they test, and the names of their
/// tests are sentences. `lib.rs` may be longer, because it describes the crate.
fn opening(source: &Source) -> Option<Violation> {
    let says = source
        .text
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .count();
    let is_root = source.path.ends_with("/lib.rs");
    let opens = match says {
        0 => is_root && source.text.starts_with(README_AS_DOC),
        lines => is_root || lines <= OPENING_LINES_MAX,
    };
    let exempt = source.path.ends_with("/tests.rs") || source.path.ends_with("/tests/mod.rs");
    let law = format!(
        "a file opens with 1 to {OPENING_LINES_MAX} lines of `//!` that state its purpose, this one with {says}"
    );
    (!opens && !exempt).then(|| Violation::at(&source.path, 1, law))
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let sources = House::read().sources();
    let violations: Vec<_> = sources.iter().flat_map(check).collect();
    assert_kept(&violations);
}

#[test]
fn no_file_is_too_small_to_be_one() {
    assert_kept(&judge(&House::read().sources(), SMALL, smallness));
}

fn sample(path: &str, opening: &str, lines: usize) -> Source {
    let rest = "// more\n".repeat(lines - opening.lines().count());
    Source::new(path, &format!("{opening}{rest}"))
}

#[test]
fn a_file_that_is_too_long_is_found() {
    let check = |path, lines| check(&sample(path, "//! What.\n", lines)).len();
    assert_eq!(check("sinks/webhook/src/sink.rs", 400), 0);
    assert_eq!(check("sinks/webhook/src/sink.rs", 401), 1);
    assert_eq!(check("sinks/kit/src/client.rs", 500), 0);
    assert_eq!(check("pipeline/src/process.rs", 501), 1);
}

#[test]
fn a_file_that_does_not_say_what_it_is_for_is_found() {
    let found = check(&sample("core/src/x.rs", "use std::fmt;\n", 9));
    assert_eq!(places(&found), ["core/src/x.rs:1"]);
    let six = "//! a\n//! b\n//! c\n//! d\n//! e\n//! f\n";
    assert_eq!(check(&sample("core/src/x.rs", six, 9)).len(), 1);
    assert_eq!(check(&sample("core/src/lib.rs", six, 9)).len(), 0);
    assert_eq!(
        check(&sample("core/src/x/tests.rs", "use super::*;\n", 9)).len(),
        0
    );
    let readme = format!("{README_AS_DOC}\n");
    assert_eq!(check(&sample("sinks/log/src/lib.rs", &readme, 9)).len(), 0);
    assert_eq!(check(&sample("sinks/log/src/sink.rs", &readme, 9)).len(), 1);
}

#[test]
fn a_file_that_is_too_small_is_found() {
    let small = |path, lines| {
        let text = format!("//! What.\n\n{}", "call();\n".repeat(lines));
        smallness(&Source::new(path, &text)).len()
    };
    assert_eq!(small("core/src/time.rs", 15), 0);
    assert_eq!(small("core/src/time.rs", 14), 1);
    assert_eq!(small("core/src/error.rs", 8), 1);
    assert_eq!(small("backends/memory/src/error.rs", 8), 0);
    assert_eq!(small("backends/memory/src/lib.rs", 8), 0);
}
