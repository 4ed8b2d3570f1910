//! Which crates must not reach outside the process: core, rules and machines do no I/O; pipeline and admin-api use
//! only ports.
//! Checked twice: by their dependencies, and by the paths in their source.

use syn::visit::{self, Visit};
use syn::{Path, UseTree};

use super::house::{Crate, House, Source, When, is_test_file};
use super::{Violation, assert_kept, places};

/// Crates that communicate outside the process.
const OUTWARD: &[&str] = &[
    "async-nats",
    "aws-sdk-dynamodb",
    "axum",
    "clickhouse",
    "elasticsearch",
    "hyper",
    "hyper-util",
    "lapin",
    "lettre",
    "mio",
    "rdkafka",
    "redis",
    "reqwest",
    "rusqlite",
    "socket2",
    "sqlx",
    "tower-http",
];

/// Folders, and the outward crates that each may use anyway.
const PORTS_ONLY: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("pipeline", &[]),
    ("pipeline/rules", &[]),
    ("pipeline/machines", &[]),
    ("templates", &[]),
    ("admin-api", &["axum", "tower-http"]),
    ("tests/testkit", &[]),
];

/// Folders of decisions, which wait for nothing.
const DECISIONS: &[&str] = &["pipeline/rules", "pipeline/machines", "templates"];

/// Paths forbidden in core and decisions. The workspace shares tokio's features, so only the source shows what core uses.
const OUTWARD_PATHS: &[&[&str]] = &[
    &["std", "env"],
    &["std", "fs"],
    &["std", "net"],
    &["std", "process"],
    &["std", "thread"],
    &["tokio", "fs"],
    &["tokio", "io"],
    &["tokio", "net"],
    &["tokio", "process"],
    &["tokio", "runtime"],
    &["tokio", "signal"],
    &["tokio", "spawn"],
    &["tokio", "task"],
];

fn check_needs(krate: &Crate) -> Vec<Violation> {
    let place = format!("{}/Cargo.toml", krate.folder);
    let always = |need: &&super::house::Need| need.when == When::Always;
    let mut found = Vec::new();
    for need in krate.needs.iter().filter(always) {
        let name = need.name.as_str();
        let ports = PORTS_ONLY
            .iter()
            .find(|(folder, _)| *folder == krate.folder);
        if ports.is_some_and(|(_, but)| OUTWARD.contains(&name) && !but.contains(&name)) {
            found.push(Violation::of(
                &place,
                format!("this crate sees ports only, but needs {name}"),
            ));
        }
        if DECISIONS.contains(&krate.folder.as_str()) && name.starts_with("tokio") {
            found.push(Violation::of(
                &place,
                format!("decisions are pure and wait for nothing, but need {name}"),
            ));
        }
    }
    found
}

fn check_paths(source: &Source) -> Vec<Violation> {
    let file = match source.parse() {
        Ok(file) => file,
        Err(violation) => return vec![violation],
    };
    let mut named = Named::default();
    named.visit_file(&file);
    let outward = |(path, _): &&(Vec<String>, usize)| {
        OUTWARD_PATHS.iter().any(|banned| {
            path.len() >= banned.len() && path.iter().zip(*banned).all(|(a, b)| a == b)
        })
    };
    named
        .paths
        .iter()
        .filter(outward)
        .map(|(path, line)| {
            let law = format!("this crate does no I/O, but names `{}`", path.join("::"));
            Violation::at(&source.path, *line, law)
        })
        .collect()
}

/// All paths of a file with their lines. Paths in `use` are expanded.
#[derive(Default)]
struct Named {
    paths: Vec<(Vec<String>, usize)>,
}

impl Named {
    fn walk(&mut self, tree: &UseTree, before: &[String]) {
        let mut path = before.to_vec();
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.walk(&part.tree, &path);
            }
            UseTree::Name(name) => self.push(path, &name.ident),
            UseTree::Rename(name) => self.push(path, &name.ident),
            UseTree::Glob(star) => self.paths.push((path, star.star_token.span.start().line)),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.walk(item, &path)),
        }
    }

    fn push(&mut self, mut path: Vec<String>, last: &syn::Ident) {
        path.push(last.to_string());
        self.paths.push((path, last.span().start().line));
    }
}

impl<'ast> Visit<'ast> for Named {
    fn visit_use_tree(&mut self, tree: &'ast UseTree) {
        self.walk(tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast Path) {
        let parts = path.segments.iter().map(|s| s.ident.to_string()).collect();
        let line = path
            .segments
            .first()
            .map_or(0, |s| s.ident.span().start().line);
        self.paths.push((parts, line));
        visit::visit_path(self, path);
    }
}

#[test]
fn crates_that_see_ports_only_need_nothing_that_reaches_outside() {
    let violations: Vec<_> = House::read().crates.iter().flat_map(check_needs).collect();
    assert_kept(&violations);
}

#[test]
fn core_rules_and_machines_do_no_io() {
    let sources = House::read().sources();
    let pure = |s: &&Source| {
        let mut folders = DECISIONS.iter().chain(&["core"]);
        folders.any(|folder| s.path.starts_with(&format!("{folder}/src/")))
            && !is_test_file(&s.path)
    };
    let violations: Vec<_> = sources.iter().filter(pure).flat_map(check_paths).collect();
    assert_kept(&violations);
}

#[test]
fn a_path_to_the_outside_is_found_however_it_is_written() {
    let text = "use tokio::sync::Mutex;\nuse tokio::{net::{self, TcpStream}, time};\nfn f() {\n    std::fs::read(\"x\");\n}\n";
    let found = check_paths(&Source::new("core/src/x.rs", text));
    assert_eq!(
        places(&found),
        ["core/src/x.rs:2", "core/src/x.rs:2", "core/src/x.rs:4"]
    );
}

#[test]
fn a_crate_that_reaches_outside_is_found_in_the_manifest() {
    let need = |name: &str, when| super::house::Need {
        name: name.into(),
        when,
        folder: None,
    };
    let sample = |folder: &str, name: &str, when| Crate {
        name: String::new(),
        folder: folder.into(),
        needs: vec![need(name, when)],
    };
    assert_eq!(
        check_needs(&sample("core", "reqwest", When::Always)).len(),
        1
    );
    assert_eq!(
        check_needs(&sample("pipeline/rules", "tokio", When::Always)).len(),
        1
    );
    assert_eq!(
        check_needs(&sample("pipeline", "rdkafka", When::Always)).len(),
        1
    );
    assert_eq!(
        check_needs(&sample("admin-api", "axum", When::Always)).len(),
        0
    );
    assert_eq!(
        check_needs(&sample("pipeline/rules", "tokio", When::Testing)).len(),
        0
    );
}
