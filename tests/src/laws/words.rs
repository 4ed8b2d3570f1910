//! Forbids empty words and pictures in names: no file, module or type may contain an empty word, and no such name,
//! function or constant a picture. Sentences are for `prose.rs`.

use syn::visit::{self, Visit};
use syn::{
    Ident, ImplItemConst, ImplItemFn, ItemConst, ItemEnum, ItemFn, ItemMod, ItemStatic, ItemStruct,
    ItemTrait, ItemType, TraitItemFn, Variant,
};

use super::house::{House, Source, is_for_tests, is_test_file};
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

/// The picture or bare participle, and the field's words for it. Test code is exempt.
const PICTURES: &[(&str, &str)] = &[
    ("begun", "the name of what was started"),
    ("buried", "dead-lettered"),
    ("bury", "dead_letter"),
    ("manners", "conventions"),
    ("noted", "counted or recorded"),
    ("patience", "timeout or deadline"),
    ("told", "report or summary"),
    ("weary", "timed out"),
];

/// Folders in which a handler is the usual name.
const HTTP: &[&str] = &["admin-api/", "connect/http/", "ingest/http/"];

fn check(source: &Source) -> Vec<Violation> {
    let mut names = Names::default();
    match source.parse() {
        Ok(file) => names.visit_file(&file),
        Err(violation) => return vec![violation],
    }
    let path = source.path.trim_end_matches(".rs").split('/');
    let path = path.map(|part| (part.to_owned(), 1));
    let types: Vec<_> = path.chain(names.types).collect();
    let empty = types.iter().filter_map(|(name, line)| {
        let word = empty_word(name, &source.path)?;
        let law = format!("`{name}`: `{word}` says nothing; name what it does");
        Some(Violation::at(&source.path, *line, law))
    });
    let all = types.iter().chain(&names.others);
    let drawn = all
        .filter(|_| !is_test_file(&source.path))
        .filter_map(|(name, line)| {
            let (word, instead) = picture(name)?;
            let law = format!("`{name}`: `{word}` is no word of the field; write {instead}");
            Some(Violation::at(&source.path, *line, law))
        });
    empty.chain(drawn).collect()
}

fn picture(name: &str) -> Option<(&'static str, &'static str)> {
    let parts = parts(name);
    let is_part = |word: &str| parts.iter().any(|part| part == word);
    PICTURES.iter().copied().find(|(word, _)| is_part(word))
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

/// The names of a file, with their lines.
#[derive(Default)]
struct Names {
    /// Types and modules.
    types: Vec<(String, usize)>,
    /// Functions, constants and variants.
    others: Vec<(String, usize)>,
}

impl Names {
    fn push(&mut self, name: &Ident) {
        self.types.push(placed(name));
    }

    fn push_other(&mut self, name: &Ident) {
        self.others.push(placed(name));
    }
}

fn placed(name: &Ident) -> (String, usize) {
    (name.to_string(), name.span().start().line)
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.push(&item.ident);
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.push(&item.ident);
        visit::visit_item_enum(self, item);
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
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.push_other(&item.sig.ident);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.push_other(&item.sig.ident);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        self.push_other(&item.sig.ident);
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_const(&mut self, item: &'ast ItemConst) {
        self.push_other(&item.ident);
    }

    fn visit_impl_item_const(&mut self, item: &'ast ImplItemConst) {
        self.push_other(&item.ident);
    }

    fn visit_item_static(&mut self, item: &'ast ItemStatic) {
        self.push_other(&item.ident);
    }

    fn visit_variant(&mut self, variant: &'ast Variant) {
        self.push_other(&variant.ident);
    }
}

#[test]
fn no_name_is_empty_or_a_picture() {
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
fn a_picture_is_found_in_every_name_outside_of_tests() {
    let text = "const PATIENCE: u8 = 1;\nimpl X {\n    fn bury(self) {}\n}\nenum Y {\n    TimedOut,\n    Weary,\n}";
    assert_eq!(
        places(&sample("a/src/b.rs", text)),
        ["a/src/b.rs:1", "a/src/b.rs:3", "a/src/b.rs:7"]
    );
    assert_eq!(
        places(&sample("a/src/manners.rs", "")),
        ["a/src/manners.rs:1"]
    );
    assert_kept(&sample("a/src/tests.rs", text));
    assert_kept(&sample("a/src/b.rs", "fn report() { let told = 1; }"));
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
