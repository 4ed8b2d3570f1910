//! Reads the workspace: its crates, their dependencies, and their source files. Checks nothing.

use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

use super::Violation;

/// The whole workspace.
pub(super) struct House {
    pub(super) root: PathBuf,
    pub(super) crates: Vec<Crate>,
}

/// One crate.
pub(super) struct Crate {
    pub(super) name: String,
    /// From the root, with `/`: `ingest/kafka`.
    pub(super) folder: String,
    pub(super) needs: Vec<Need>,
}

/// One line of a crate's dependencies.
pub(super) struct Need {
    pub(super) name: String,
    pub(super) when: When,
    /// The folder, if the crate is one of ours.
    pub(super) folder: Option<String>,
}

/// The purpose of a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// For the crate itself or its build script.
    Always,
    /// For tests only.
    Testing,
}

/// One Rust file.
pub(super) struct Source {
    /// From the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    /// Its syntax tree, or a violation with the position of the syntax error.
    pub(super) fn parse(&self) -> Result<syn::File, Violation> {
        syn::parse_file(&self.text).map_err(|error| {
            let line = error.span().start().line;
            Violation::at(&self.path, line, format!("a file must parse: {error}"))
        })
    }
}

impl House {
    pub(super) fn read() -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let metadata = MetadataCommand::new()
            .manifest_path(manifest)
            .no_deps()
            .exec()
            .expect("`cargo metadata` answers");
        let root = metadata.workspace_root.into_std_path_buf();
        let relative = |path: &Path| slashed(path.strip_prefix(&root).expect("below the root"));
        let crates = metadata.packages.iter().map(|package| Crate {
            name: package.name.to_string(),
            folder: relative(
                package
                    .manifest_path
                    .parent()
                    .expect("a folder")
                    .as_std_path(),
            ),
            needs: package
                .dependencies
                .iter()
                .map(|needed| Need {
                    name: needed.name.clone(),
                    when: match needed.kind {
                        DependencyKind::Development => When::Testing,
                        _ => When::Always,
                    },
                    folder: needed
                        .path
                        .as_ref()
                        .map(|path| relative(path.as_std_path())),
                })
                .collect(),
        });
        Self {
            crates: crates.collect(),
            root,
        }
    }

    /// Every Rust file of every crate.
    pub(super) fn sources(&self) -> Vec<Source> {
        let mut paths = Vec::new();
        for folder in self.crates.iter().map(|c| self.root.join(&c.folder)) {
            for part in ["src", "tests", "benches", "examples"] {
                collect(&folder.join(part), &mut paths);
            }
            paths.extend(Some(folder.join("build.rs")).filter(|file| file.is_file()));
        }
        // Not only `tests/tests` is nested: a crate below another crate's `tests` folder is found twice.
        paths.sort();
        paths.dedup();
        let read = |path: PathBuf| Source {
            text: fs::read_to_string(&path).expect("a readable file"),
            path: slashed(path.strip_prefix(&self.root).expect("below the root")),
        };
        paths.into_iter().map(read).collect()
    }

    /// The text of a file, if the file exists.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.root.join(path)).ok()
    }
}

/// True for a file compiled only for tests.
pub(super) fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// True for `#[cfg(test)]`.
pub(super) fn is_for_tests(attribute: &syn::Attribute) -> bool {
    match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    }
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push(path);
        }
    }
}

fn slashed(path: &Path) -> String {
    path.to_string_lossy().replace('\\', "/")
}

#[test]
fn the_house_has_its_core_and_every_file_of_it() {
    let house = House::read();
    let core = house.crates.iter().find(|c| c.folder == "core");
    assert!(core.is_some_and(|c| c.name == "acteon-core"));
    let sources = house.sources();
    assert!(
        sources
            .iter()
            .any(|s| s.path == "core/src/delivery/tests.rs")
    );
    assert!(sources.iter().any(|s| s.path == "tests/src/laws/house.rs"));
}
