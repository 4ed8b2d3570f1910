//! Forbids empty words in names: no file, module or type may contain one.

use syn::visit::{self, Visit};
use syn::{Ident, ItemEnum, ItemMod, ItemStruct, ItemTrait, ItemType};

use super::house::{House, Source};
use super::{Violation, assert_kept, places};

/// The word, and the folders in which it has a meaning.
const EMPTY_WORDS: &[(&str, &[&str])] = &[
    ("util", &[]),
    ("utils", &[]),
    ("helper", &[]),
    ("helpers", &[]),
    ("common", &[]),
    ("misc", &[]),
    ("manager", &[]),
    ("handler", HTTP),
    ("handlers", HTTP),
    ("base", &[]),
    ("types", &["core/"]),
    ("engine", &[]),
];

/// Folders in which a handler is the usual name.
const HTTP: &[&str] = &["admin-api/", "connect/http/", "ingest/http/"];

fn check(source: &Source) -> Vec<Violation> {
    let mut names = Names::default();
    match source.parse() {
        Ok(file) => names.visit_file(&file),
        Err(violation) => return vec![violation],
    }
    let inside = names
        .found
        .iter()
        .map(|(name, line)| (name.as_str(), *line));
    let path = source
        .path
        .trim_end_matches(".rs")
        .split('/')
        .map(|part| (part, 1));
    path.chain(inside)
        .filter_map(|(name, line)| {
            let word = empty_word(name, &source.path)?;
            let law = format!("`{name}`: `{word}` says nothing; name what it does");
            Some(Violation::at(&source.path, line, law))
        })
        .collect()
}

fn empty_word(name: &str, path: &str) -> Option<&'static str> {
    let parts = parts(name);
    EMPTY_WORDS
        .iter()
        .filter(|(_, but)| !but.iter().any(|folder| path.starts_with(folder)))
        .map(|(word, _)| *word)
        .find(|word| parts.iter().any(|part| part == word))
}

/// The words of a name in snake, kebab or camel case, in lower case: `HTTPServer_x` is http, server, x.
fn parts(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let upper = |at: usize| letters.get(at).is_some_and(|c| c.is_uppercase());
    let lower = |at: usize| letters.get(at).is_some_and(|c| c.is_lowercase());
    let mut parts = vec![String::new()];
    for (at, letter) in letters.iter().enumerate() {
        let starts = upper(at) && at > 0 && (!upper(at - 1) || lower(at + 1));
        if starts || matches!(letter, '_' | '-') {
            parts.push(String::new());
        }
        if letter.is_alphanumeric()
            && let Some(last) = parts.last_mut()
        {
            last.extend(letter.to_lowercase());
        }
    }
    parts
}

/// The names of all types and modules of a file, with their lines.
#[derive(Default)]
struct Names {
    found: Vec<(String, usize)>,
}

impl Names {
    fn push(&mut self, name: &Ident) {
        self.found
            .push((name.to_string(), name.span().start().line));
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.push(&item.ident);
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.push(&item.ident);
    }

    fn visit_item_type(&mut self, item: &'ast ItemType) {
        self.push(&item.ident);
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.push(&item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.push(&item.ident);
        visit::visit_item_mod(self, item);
    }
}

#[test]
fn no_name_says_nothing() {
    let sources = House::read().sources();
    let violations: Vec<_> = sources.iter().flat_map(check).collect();
    assert_kept(&violations);
}

fn sample(path: &str, text: &str) -> Vec<Violation> {
    check(&Source::new(path, text))
}

#[test]
fn a_name_that_says_nothing_is_found_in_files_modules_and_types() {
    assert_eq!(
        places(&sample("sinks/kit/src/utils.rs", "")),
        ["sinks/kit/src/utils.rs:1"]
    );
    assert_eq!(
        places(&sample("a.rs", "//! A.\nmod http_common;")),
        ["a.rs:2"]
    );
    assert_eq!(places(&sample("a.rs", "struct RuleEngine;")), ["a.rs:1"]);
    assert_eq!(
        places(&sample("a.rs", "fn f() {\n    enum HTTPManager {}\n}")),
        ["a.rs:2"]
    );
    assert_eq!(
        places(&sample("sinks/log/src/a.rs", "trait Handler {}")),
        ["sinks/log/src/a.rs:1"]
    );
}

#[test]
fn a_name_that_only_holds_the_letters_is_not() {
    assert_kept(&sample(
        "a.rs",
        "struct Database; struct ActionType; enum Utility {} mod commons {}",
    ));
    assert_kept(&sample("core/src/types.rs", ""));
    assert_kept(&sample("ingest/http/src/handlers.rs", ""));
}
