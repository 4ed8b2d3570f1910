//! Finds the licence texts in the folder of a crate, or uses the standard text if a crate has none.

use std::fs;
use std::path::Path;

use anyhow::Context;
use cargo_metadata::Package;

const BEGINNINGS: [&str; 5] = ["licence", "license", "copying", "notice", "unlicense"];
/// The extensions of programs that are named after a licence.
const PROGRAMS: [&str; 6] = ["c", "h", "pm", "py", "rs", "sh"];
const MIT: &str = include_str!("../MIT.txt");
/// The text of the Apache License, under which Acteon is, too.
const APACHE: &str = include_str!("../../LICENSE");
const WITHOUT_FILE: &str = "which has no file of it";

/// Each text with its file, as found in the folder of the crate and below.
pub(crate) fn of(package: &Package) -> anyhow::Result<Vec<(String, String)>> {
    let manifest = package.manifest_path.as_std_path();
    let folder = manifest.parent().context("a manifest is in a folder")?;
    let mut found = Vec::new();
    collect(folder, folder, &mut found)?;
    if found.is_empty() && package.license.as_deref() == Some("MIT") {
        let holders = match package.authors.is_empty() {
            true => format!("the authors of {}", package.name),
            false => package.authors.join(", "),
        };
        found.push((WITHOUT_FILE.to_owned(), MIT.replace("{holders}", &holders)));
    }
    // The choice between licences is ours.
    let offers_apache = |license: &str| license.split([' ', '/']).any(|one| one == "Apache-2.0");
    if found.is_empty() && package.license.as_deref().is_some_and(offers_apache) {
        found.push((WITHOUT_FILE.to_owned(), APACHE.trim_end().to_owned()));
    }
    found.sort();
    Ok(found)
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let path = entry.path();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(root, &path, found)?;
        } else if kind.is_file() && is_text(&path) {
            let text = String::from_utf8_lossy(&fs::read(&path)?).replace("\r\n", "\n");
            let file = path.strip_prefix(root)?.display().to_string();
            found.push((file, text.trim_end().to_owned()));
        }
    }
    Ok(())
}

fn is_text(path: &Path) -> bool {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let is_program = PROGRAMS
        .iter()
        .any(|extension| path.extension() == Some(extension.as_ref()));
    BEGINNINGS
        .iter()
        .any(|beginning| name.starts_with(beginning))
        && !is_program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_in_folders_below_and_programs_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("library/zip");
        fs::create_dir_all(&deep).unwrap();
        for file in ["LICENSE-MIT", "library/COPYING", "library/zip/LICENSE.lz4"] {
            fs::write(folder.path().join(file), "text\r\n\r\n").unwrap();
        }
        fs::write(folder.path().join("license.rs"), "fn main() {}").unwrap();
        fs::write(folder.path().join("README.md"), "MIT").unwrap();
        let mut found = Vec::new();
        collect(folder.path(), folder.path(), &mut found).unwrap();
        found.sort();
        let files: Vec<_> = found.iter().map(|(file, _)| file.as_str()).collect();
        assert_eq!(
            files,
            ["LICENSE-MIT", "library/COPYING", "library/zip/LICENSE.lz4"]
        );
        assert_eq!(found[0].1, "text");
    }
}
