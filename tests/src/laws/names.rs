//! One name per meaning: no two types of one name that are visible outside their files. Test code is exempt; names that
//! say nothing are for `words.rs`.

use std::collections::BTreeMap;

use syn::visit::{self, Visit};
use syn::{Ident, ItemEnum, ItemMod, ItemStruct, ItemTrait, ItemType, ItemUnion, Visibility};

use super::house::{House, Source, is_for_tests, is_test_file};
use super::{Violation, assert_kept, places};

/// Names of roles. Each module may have one of each.
const ROLES: &[&str] = &["Config", "Error", "Events", "Filters", "Options", "Page"];

fn check(sources: &[Source]) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut declared: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources.iter().filter(|source| !is_test_file(&source.path)) {
        let mut types = Declarations::default();
        match source.parse() {
            Ok(file) => types.visit_file(&file),
            Err(violation) => found.push(violation),
        }
        for (name, line) in types.visible {
            let place = format!("{}:{line}", source.path);
            declared.entry(name).or_default().push(place);
        }
    }
    declared.retain(|name, places| places.len() > 1 && !ROLES.contains(&name.as_str()));
    for (name, places) in &declared {
        found.extend(places.iter().map(|place| duplicate(name, place, places)));
    }
    found
}

fn duplicate(name: &str, place: &str, all: &[String]) -> Violation {
    let others: Vec<_> = all
        .iter()
        .map(String::as_str)
        .filter(|other| *other != place)
        .collect();
    let law = format!(
        "a second type `{name}` is at {}: one name has one meaning. Rename the one whose crate is further from \
         core, or make it private to its file",
        others.join(", ")
    );
    Violation::of(place, law)
}

/// The types of a file that are visible outside of it, with their lines.
#[derive(Default)]
struct Declarations {
    visible: Vec<(String, usize)>,
}

impl Declarations {
    fn push(&mut self, visibility: &Visibility, name: &Ident) {
        let is_visible = match visibility {
            Visibility::Public(_) => true,
            Visibility::Restricted(to) => !to.path.is_ident("self"),
            Visibility::Inherited => false,
        };
        if is_visible {
            self.visible
                .push((name.to_string(), name.span().start().line));
        }
    }
}

impl<'ast> Visit<'ast> for Declarations {
    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.push(&item.vis, &item.ident);
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.push(&item.vis, &item.ident);
    }

    fn visit_item_union(&mut self, item: &'ast ItemUnion) {
        self.push(&item.vis, &item.ident);
    }

    fn visit_item_type(&mut self, item: &'ast ItemType) {
        self.push(&item.vis, &item.ident);
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        self.push(&item.vis, &item.ident);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_item_mod(self, item);
        }
    }
}

#[test]
fn no_two_visible_types_have_one_name() {
    assert_kept(&check(&House::read().sources()));
}

#[test]
fn a_second_type_of_one_name_is_found_in_both_places() {
    let sources = [
        Source::new("core/src/a.rs", "pub struct Claim;\npub trait Other {}"),
        Source::new(
            "pipeline/src/b.rs",
            "use x::Claim as _;\npub(crate) type Claim = u8;",
        ),
    ];
    let found = check(&sources);
    assert_eq!(places(&found), ["core/src/a.rs:1", "pipeline/src/b.rs:2"]);
    assert!(found[0].law.contains("pipeline/src/b.rs:2"));
}

#[test]
fn private_types_roles_and_test_code_may_share_a_name() {
    let sources = [
        Source::new("core/src/a.rs", "pub struct Claim;\npub struct Config;"),
        Source::new(
            "core/src/b.rs",
            "struct Claim;\npub(super) struct Config;\nfn f() { enum Claim {} }",
        ),
        Source::new("core/src/tests.rs", "pub struct Claim;"),
        Source::new("tests/testkit/src/a.rs", "pub struct Claim;"),
        Source::new(
            "core/src/c.rs",
            "#[cfg(test)]\nmod tests { pub struct Claim; }",
        ),
    ];
    assert_kept(&check(&sources));
}
