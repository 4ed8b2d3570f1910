//! Every relative link on a page must lead to an existing file.

use std::path::{Path, PathBuf};

use super::house::House;
use super::{Violation, assert_kept, places};

/// Folders with our pages.
const PAGE_FOLDERS: &[&str] = &[
    "docs",
    "docs/adr",
    "docs/cookbook",
    "docs/guide",
    "examples/rules",
    "config/examples",
    "docker",
];

/// The targets of all `[text](target)` and `![text](target)` on a page, with their lines.
fn targets(page: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(page.lines()) {
        let links = line.split("](").skip(1);
        found.extend(links.filter_map(|link| Some((number, link.split_once(')')?.0))));
    }
    found
}

fn check(path: &str, page: &str, exists: impl Fn(&Path) -> bool) -> Vec<Violation> {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    targets(page)
        .into_iter()
        .filter_map(|(line, target)| {
            let file = target.split('#').next().unwrap_or_default();
            let outside = file.is_empty() || file.contains("://");
            (!outside && !exists(&folder.join(file))).then(|| {
                Violation::at(
                    path,
                    line,
                    format!("a link leads somewhere, `{target}` does not"),
                )
            })
        })
        .collect()
}

/// The paths of all our pages.
pub(super) fn pages(house: &House) -> Vec<String> {
    let crates = house.crates.iter().map(|krate| krate.folder.as_str());
    let folders = crates.chain(PAGE_FOLDERS.iter().copied()).chain([""]);
    let mut pages = Vec::new();
    for folder in folders {
        for entry in std::fs::read_dir(house.root.join(folder))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = PathBuf::from(entry.file_name());
            if name.extension().is_some_and(|ending| ending == "md") {
                pages.push(
                    Path::new(folder)
                        .join(name)
                        .to_string_lossy()
                        .replace('\\', "/"),
                );
            }
        }
    }
    pages
}

#[test]
fn every_link_leads_somewhere() {
    let house = House::read();
    let pages = pages(&house);
    assert!(
        pages.iter().any(|page| page == "README.md"),
        "the pages are found: {pages:?}"
    );
    let violations: Vec<_> = pages
        .iter()
        .flat_map(|path| {
            let page = house.text(path).unwrap_or_default();
            check(path, &page, |target| house.root.join(target).exists())
        })
        .collect();
    assert_kept(&violations);
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = "[a](b.md) [c](https://x.y/z)\n![d](../e.svg) [f](#g)\n[h](gone.md#i)\n";
    let there = ["docs/b.md", "docs/../e.svg"].map(Path::new);
    assert_eq!(
        places(&check("docs/x.md", page, |path| there.contains(&path))),
        ["docs/x.md:3"]
    );
    assert_eq!(check("docs/x.md", page, |_| false).len(), 3);
}
