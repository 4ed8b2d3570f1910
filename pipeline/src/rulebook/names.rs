//! Classifies the files of a rules directory by their names.

use std::path::Path;

/// The kind of a file, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Rules,
    Tests,
    /// The author means rules, but the name does not match.
    MisspelledExtension,
}

/// True for hidden files, such as the `._rules.yaml` of macOS, and for leftovers of editors.
pub(super) fn is_ignored(name: &str) -> bool {
    name.starts_with('.') || name.ends_with('~') || (name.starts_with('#') && name.ends_with('#'))
}

/// `None` if the file has nothing to do with rules.
pub(super) fn kind_of(name: &str) -> Option<FileKind> {
    let path = Path::new(name);
    let extension = path.extension()?.to_str()?;
    let spelt = extension.to_ascii_lowercase();
    if !matches!(&*spelt, "yaml" | "yml") {
        return None;
    }
    let stem = Path::new(path.file_stem()?);
    let is_test = stem.extension().is_some_and(|kind| kind == "test");
    Some(match (extension == spelt, is_test) {
        (false, _) => FileKind::MisspelledExtension,
        (true, true) => FileKind::Tests,
        (true, false) => FileKind::Rules,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_whether_a_file_holds_rules_or_tests_or_is_left_by_an_editor() {
        for name in [
            "a.yaml",
            "a.yml",
            "test.yaml",
            "a b.yaml",
            "ä.yml",
            "#1.yaml",
        ] {
            assert!(!is_ignored(name), "{name}");
            assert_eq!(kind_of(name), Some(FileKind::Rules), "{name}");
        }
        for name in ["a.test.yaml", "a.b.test.yml"] {
            assert_eq!(kind_of(name), Some(FileKind::Tests), "{name}");
        }
        for name in ["a.YAML", "a.Yml", "a.test.YML"] {
            assert_eq!(kind_of(name), Some(FileKind::MisspelledExtension), "{name}");
        }
        for name in ["yaml", "a.yaml.bak", "a.json", "README.md", ""] {
            assert_eq!(kind_of(name), None, "{name}");
        }
        for name in [
            "._rules.yaml",
            ".#a.yaml",
            ".a.yaml.swp",
            "#a.yaml#",
            "a.yaml~",
            "..data",
            "~",
        ] {
            assert!(is_ignored(name), "{name}");
        }
    }
}
