//! What the name of a file in a directory of rules says about it.

use std::path::Path;

/// What a file holds, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Rules,
    Tests,
    /// Rules to whoever wrote it, but not by its name.
    MisspelledExtension,
}

/// Hidden files, such as the `._rules.yaml` of macOS, and what editors leave behind.
pub(super) fn is_passed_over(name: &str) -> bool {
    name.starts_with('.') || name.ends_with('~') || (name.starts_with('#') && name.ends_with('#'))
}

/// Nothing that has to do with rules: none.
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
            assert!(!is_passed_over(name), "{name}");
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
            assert!(is_passed_over(name), "{name}");
        }
    }
}
