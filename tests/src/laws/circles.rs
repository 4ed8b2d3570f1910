//! Forbids circles among the modules of a crate. At each level of a crate's module tree, a module with everything below
//! it is one node, and its uses of its siblings are the edges. A parent and its own children may use each other.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};
use syn::{ImplItemFn, ItemFn, ItemImpl, ItemMod, ItemUse, UseTree};

use super::house::{House, Source, is_for_tests};
use super::{Violation, assert_kept};

/// The circles that may remain.
const ALLOWED: &[Allowed] = &[
    Allowed {
        folder: "config/src",
        names: &["document", "errors", "syntax"],
        why: "a problem is shown with its line of the document that it was found in",
    },
    Allowed {
        folder: "ingest/kafka/src",
        names: &["check", "config", "own_topics"],
        why: "the configuration checks itself against the topics that it configures",
    },
    Allowed {
        folder: "ingest/kafka/src",
        names: &["delayed", "reader"],
        why: "the delayed path reads its topic with a record reader, and a reader takes due records from it",
    },
    Allowed {
        folder: "pipeline/rules/src",
        names: &["cel", "condition"],
        why: "a condition may be CEL, and CEL becomes native conditions where the meaning is the same",
    },
    Allowed {
        folder: "pipeline/src",
        names: &[
            "dead_letters",
            "dedup",
            "event_body",
            "event_delivery",
            "event_notice",
            "event_report",
            "event_timeout",
            "event_untold",
            "events",
            "gather",
            "groups",
            "hold",
            "job",
            "process",
            "provider",
            "record",
            "redelivery",
            "reserve",
            "rulebook",
            "running",
            "scheduler",
            "settle",
            "silence_end",
            "silences",
            "tasks",
            "throttle",
        ],
        why: "`process` calls each step, and each step takes the pipeline's parts from it",
    },
    Allowed {
        folder: "server/src",
        names: &[
            "assembly",
            "check",
            "compose",
            "connect",
            "ground",
            "providers",
            "shared_parts",
        ],
        why: "`check` builds the server and stops, and building ends with that check",
    },
    Allowed {
        folder: "tests/testkit/src",
        names: &["actions", "lender"],
        why: "deliveries are made of sample actions and their loans",
    },
    Allowed {
        folder: "tests/testkit/src/contract/state",
        names: &["letter_bounds", "letters"],
        why: "both are clauses on dead letters and share their samples",
    },
];

/// A circle that may remain.
struct Allowed {
    folder: &'static str,
    names: &'static [&'static str],
    why: &'static str,
}

impl Allowed {
    fn covers(&self, circle: &Circle) -> bool {
        let mut names = circle.names.iter();
        circle.folder == self.folder && names.all(|name| self.names.contains(&name.as_str()))
    }
}

/// A path to a module, from the crate's root.
type ModulePath = Vec<String>;

/// The modules of one crate.
struct CrateModules {
    /// The folder of the crate's sources.
    folder: String,
    modules: BTreeMap<ModulePath, Module>,
}

/// One module and what it uses.
#[derive(Default)]
struct Module {
    /// The names that `use` brings into scope, with their paths from the crate's root.
    imports: BTreeMap<String, ModulePath>,
    /// All paths in the module, with the file and line of the first use.
    uses: BTreeMap<ModulePath, String>,
}

/// Modules that use each other, and the uses between them.
struct Circle {
    folder: String,
    names: BTreeSet<String>,
    /// Each as `a -> b (file:line)`.
    edges: Vec<String>,
}

fn check(sources: &[Source], allowed: &[Allowed]) -> Vec<Violation> {
    let circles = match crates(sources) {
        Ok(crates) => crates.iter().flat_map(CrateModules::circles).collect(),
        Err(violation) => return vec![violation],
    };
    judge(circles, allowed)
}

/// The circles outside the allowed sets, and the sets that contain no circle any more.
fn judge(circles: Vec<Circle>, allowed: &[Allowed]) -> Vec<Violation> {
    let mut violations: Vec<_> = allowed
        .iter()
        .filter(|allowed| !circles.iter().any(|circle| allowed.covers(circle)))
        .map(|allowed| {
            let names = allowed.names.join(", ");
            let law = format!(
                "no circle among {names}: remove its exception ({})",
                allowed.why
            );
            Violation::of(allowed.folder, law)
        })
        .collect();
    for circle in circles {
        if !allowed.iter().any(|allowed| allowed.covers(&circle)) {
            let law = format!("modules use each other: {}", circle.edges.join(", "));
            violations.push(Violation::of(&circle.folder, law));
        }
    }
    violations
}

/// The modules of all crates, without their tests.
fn crates(sources: &[Source]) -> Result<Vec<CrateModules>, Violation> {
    let mut crates: BTreeMap<String, BTreeMap<ModulePath, Module>> = BTreeMap::new();
    let files: Vec<_> = sources.iter().filter_map(module_of_file).collect();
    for (folder, path, source) in files {
        let mut reader = Reader {
            file: &source.path,
            modules: crates.entry(folder).or_default(),
            at: path,
        };
        reader.module();
        reader.visit_file(&source.parse()?);
    }
    let crates = crates.into_iter();
    Ok(crates
        .map(|(folder, modules)| CrateModules { folder, modules })
        .collect())
}

/// The source folder and the module of a file. None for tests.
fn module_of_file(source: &Source) -> Option<(String, ModulePath, &Source)> {
    let (folder, file) = source.path.rsplit_once("/src/")?;
    let mut path: ModulePath = file
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if path.iter().any(|name| name == "tests") {
        return None;
    }
    let is_unnamed = |name: &String| matches!(name.as_str(), "lib" | "main" | "mod");
    if path.last().is_some_and(is_unnamed) {
        path.pop();
    }
    Some((format!("{folder}/src"), path, source))
}

/// Collects the paths in one file.
struct Reader<'r> {
    file: &'r str,
    modules: &'r mut BTreeMap<ModulePath, Module>,
    /// The current module.
    at: ModulePath,
}

impl Reader<'_> {
    fn module(&mut self) -> &mut Module {
        self.modules.entry(self.at.clone()).or_default()
    }

    /// Records a path if it begins in this crate. A path that begins with a plain name may begin with a child module.
    fn record(&mut self, path: &[String], line: usize) -> Option<ModulePath> {
        let first = path.first()?;
        let mut absolute = match first.as_str() {
            "crate" => Vec::new(),
            _ => self.at.clone(),
        };
        for name in path {
            match name.as_str() {
                "crate" | "self" => {}
                "super" => drop(absolute.pop()),
                _ => absolute.push(name.clone()),
            }
        }
        let place = format!("{}:{line}", self.file);
        let uses = &mut self.module().uses;
        uses.entry(absolute.clone()).or_insert(place);
        Some(absolute)
    }

    fn record_tree(&mut self, tree: &UseTree, before: &[String], line: usize) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.record_tree(&path.tree, &with(&path.ident), line),
            UseTree::Name(name) => self.import(&name.ident, &with(&name.ident), line),
            UseTree::Rename(rename) => self.import(&rename.rename, &with(&rename.ident), line),
            UseTree::Glob(_) => drop(self.record(before, line)),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.record_tree(tree, before, line);
                }
            }
        }
    }

    fn import(&mut self, name: &syn::Ident, path: &[String], line: usize) {
        if let Some(absolute) = self.record(path, line) {
            self.module().imports.insert(name.to_string(), absolute);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.attrs.iter().any(is_for_tests) {
            return;
        }
        if item.content.is_some() {
            self.at.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.at.pop();
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !item.attrs.iter().any(is_for_tests) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !item.attrs.iter().any(is_for_tests) {
            let line = item.use_token.span.start().line;
            self.record_tree(&item.tree, &[], line);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        if path.leading_colon.is_none()
            && names.len() > 1
            && let Some(first) = path.segments.first()
        {
            self.record(&names, first.ident.span().start().line);
        }
        visit::visit_path(self, path);
    }
}

impl CrateModules {
    /// The circles at all levels of the module tree.
    fn circles(&self) -> Vec<Circle> {
        let mut levels: BTreeMap<ModulePath, BTreeMap<(String, String), String>> = BTreeMap::new();
        for (user, module) in &self.modules {
            for (path, place) in &module.uses {
                let used = self.defining_module(path);
                let shared = user.iter().zip(&used).take_while(|(a, b)| a == b).count();
                if let (Some(from), Some(to)) = (user.get(shared), used.get(shared)) {
                    let edges = levels.entry(user[..shared].to_vec()).or_default();
                    let edge = (from.clone(), to.clone());
                    edges.entry(edge).or_insert_with(|| place.clone());
                }
            }
        }
        let levels = levels.iter();
        levels
            .flat_map(|(parent, edges)| self.circles_among(parent, edges))
            .collect()
    }

    /// The module that defines the item at a path, following imports.
    fn defining_module(&self, path: &[String]) -> ModulePath {
        const IMPORTS_MAX: usize = 8;
        let mut path = path.to_vec();
        for _ in 0..IMPORTS_MAX {
            let lengths = (0..=path.len()).rev();
            let mut prefixes = lengths.map(|length| &path[..length]);
            let module = prefixes.find(|prefix| self.modules.contains_key(*prefix));
            let module = module.unwrap_or_default().to_vec();
            let imports = self.modules.get(&module).map(|module| &module.imports);
            let imported = path
                .get(module.len())
                .and_then(|name| imports?.get(name))
                .filter(|imported| **imported != path);
            match imported {
                Some(imported) => path = [imported, &path[module.len() + 1..]].concat(),
                None => return module,
            }
        }
        path
    }

    fn circles_among(
        &self,
        parent: &[String],
        edges: &BTreeMap<(String, String), String>,
    ) -> Vec<Circle> {
        let reaches = |from: &str, to: &str| reachable(from, edges).contains(to);
        let mut names: BTreeSet<&String> = edges.keys().map(|(from, _)| from).collect();
        let mut circles = Vec::new();
        while let Some(first) = names.pop_first() {
            let others = names
                .iter()
                .filter(|name| reaches(first, name) && reaches(name, first));
            let others: BTreeSet<&String> = others.copied().collect();
            names.retain(|name| !others.contains(name));
            let members: BTreeSet<String> = others.into_iter().chain([first]).cloned().collect();
            if members.len() > 1 {
                let inside =
                    |(from, to): &(String, String)| members.contains(from) && members.contains(to);
                let inner = edges.iter().filter(|(edge, _)| inside(edge));
                circles.push(Circle {
                    folder: [std::slice::from_ref(&self.folder), parent]
                        .concat()
                        .join("/"),
                    edges: inner
                        .map(|((from, to), place)| format!("{from} -> {to} ({place})"))
                        .collect(),
                    names: members,
                });
            }
        }
        circles
    }
}

/// The modules that one module uses, directly or through others.
fn reachable<'e>(from: &str, edges: &'e BTreeMap<(String, String), String>) -> BTreeSet<&'e str> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        for (user, used) in edges.keys() {
            if user == next && found.insert(used.as_str()) {
                open.push(used);
            }
        }
    }
    found
}

#[test]
fn no_modules_use_each_other() {
    assert_kept(&check(&House::read().sources(), ALLOWED));
}

/// A crate with files at these paths.
fn sample(files: &[(&str, &str)]) -> Vec<Source> {
    let source = |(path, text): &(&str, &str)| Source::new(&format!("a/src/{path}"), text);
    files.iter().map(source).collect()
}

fn laws(violations: &[Violation]) -> Vec<String> {
    violations.iter().map(ToString::to_string).collect()
}

#[test]
fn a_new_circle_is_found_with_its_uses() {
    let tree = [
        ("lib.rs", "mod low; mod high; mod top;"),
        ("low.rs", "pub struct Low;"),
        ("high.rs", "use crate::low::Low;"),
        ("top.rs", "use crate::{high, low};"),
    ];
    assert_kept(&check(&sample(&tree), &[]));
    let mut circular = tree.to_vec();
    circular[1] = ("low.rs", "fn f() {\n    crate::top::g()\n}");
    assert_eq!(
        laws(&check(&sample(&circular), &[])),
        [
            "a/src: modules use each other: high -> low (a/src/high.rs:1), \
          low -> top (a/src/low.rs:2), top -> high (a/src/top.rs:1), top -> low (a/src/top.rs:1)"
        ]
    );
}

#[test]
fn a_circle_is_found_among_children_and_through_reexports() {
    let children = sample(&[
        ("room.rs", "mod a;\nmod b;\npub(crate) use b::B;"),
        ("room/a.rs", "pub(crate) struct A; use super::B;"),
        ("room/b.rs", "pub(crate) struct B; use super::a::A;"),
    ]);
    assert_eq!(
        laws(&check(&children, &[])),
        [
            "a/src/room: modules use each other: a -> b (a/src/room/a.rs:1), b -> a (a/src/room/b.rs:1)"
        ]
    );
}

#[test]
fn a_parent_with_its_children_and_uses_by_tests_are_no_circle() {
    let tree = sample(&[
        ("a.rs", "mod b;\nuse b::B;\npub struct A;"),
        ("a/b.rs", "use super::A;\npub struct B;"),
        ("c.rs", "use crate::a::A;"),
        ("a/tests.rs", "use crate::c::C;"),
        ("d.rs", "#[cfg(test)]\nmod tests { use crate::e::E; }"),
        ("e.rs", "use crate::d::D;"),
    ]);
    assert_kept(&check(&tree, &[]));
}

#[test]
fn an_exception_covers_its_modules_only_and_must_be_needed() {
    let tree = sample(&[("a.rs", "use crate::b::B;"), ("b.rs", "use crate::a::A;")]);
    let allowed = |names| Allowed {
        folder: "a/src",
        names,
        why: "why",
    };
    assert_kept(&check(&tree, &[allowed(&["a", "b"])]));
    assert_kept(&check(&tree, &[allowed(&["a", "b", "c"])]));
    assert_eq!(check(&tree, &[allowed(&["a", "c"])]).len(), 2);
}
