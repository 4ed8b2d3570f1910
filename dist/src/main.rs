//! `acteon-dist` prints the licences of all crates that `acteon-server` is built from, including those of their C
//! libraries. A crate without a licence text is an error.

mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use anyhow::{Context, bail, ensure};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

const BINARY: &str = "acteon-server";

fn main() -> anyhow::Result<()> {
    let target = std::env::args().nth(1);
    let target = target.context("usage: acteon-dist TARGET, such as x86_64-unknown-linux-gnu")?;
    let mut command = MetadataCommand::new();
    command.other_options(vec![
        "--locked".to_owned(),
        format!("--filter-platform={target}"),
    ]);
    let metadata = command.exec().context("asking cargo")?;
    let packages = built_from(&metadata, BINARY)?;
    std::io::stdout().write_all(document(&packages)?.as_bytes())?;
    Ok(())
}

/// The third-party crates that this one is built from, without those of its tests.
fn built_from<'a>(metadata: &'a Metadata, binary: &str) -> anyhow::Result<Vec<&'a Package>> {
    let resolve = metadata
        .resolve
        .as_ref()
        .context("cargo resolved nothing")?;
    let nodes: BTreeMap<&PackageId, _> =
        resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let root = metadata
        .packages
        .iter()
        .find(|package| package.name == binary);
    let mut open = vec![
        &root
            .with_context(|| format!("there is no crate {binary}"))?
            .id,
    ];
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let needed = nodes[id].deps.iter().filter(|dependency| {
            let mut kinds = dependency.dep_kinds.iter();
            kinds.any(|kind| kind.kind != DependencyKind::Development)
        });
        open.extend(needed.map(|dependency| &dependency.pkg));
    }
    let mut packages: Vec<_> = metadata
        .packages
        .iter()
        .filter(|package| seen.contains(&package.id) && package.source.is_some())
        .collect();
    packages.sort_by_key(|package| (package.name.as_str(), package.version.clone()));
    Ok(packages)
}

/// The crates with their licences, then each licence text once, with the files that contain it.
fn document(packages: &[&Package]) -> anyhow::Result<String> {
    ensure!(!packages.is_empty(), "no crate is used");
    let mut list = String::new();
    let mut by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut without = Vec::new();
    for package in packages {
        let name = format!("{} {}", package.name, package.version);
        let license = package.license.as_deref().unwrap_or("see its text");
        list.push_str(&format!("  {name}: {license}\n"));
        let found = texts::of(package)?;
        if found.is_empty() {
            without.push(name.clone());
        }
        for (file, text) in found {
            by_text
                .entry(text)
                .or_default()
                .push(format!("{name}, {file}"));
        }
    }
    if !without.is_empty() {
        bail!("no text of a licence is known for {}", without.join(", "));
    }
    let mut document =
        format!("{BINARY} is built from these crates, under these licences:\n\n{list}");
    for (text, files) in by_text {
        let rule = "=".repeat(80);
        let files = files.join("\n  ");
        document.push_str(&format!("\n{rule}\nFrom\n  {files}\n\n{text}\n"));
    }
    Ok(document)
}
