//! Reads rule files and the test files beside them, and warns about files that look like rules but are not read. The
//! meaning of names is in `names`.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind};
use std::path::{Path, absolute};

use acteon_core::rules::{RuleProblem, RulesError};
use acteon_rules::{CompileSettings, RuleFile, RuleSet};
use acteon_templates::{TemplateFile, TemplateSet};
use tokio::task::spawn_blocking;

use super::names::{FileKind, kind_of};
use super::nested::rules_below;
use super::reading::{bytes_of, file_name, paths, regular};
use super::template_files;

/// The contents of a directory.
#[derive(Clone, Debug, Default)]
pub struct RuleFolder {
    /// The files, in the order of their names.
    pub files: Vec<RuleFile>,
    /// The files that cannot be read.
    pub unreadable: Vec<RuleProblem>,
    /// Files and folders that look like rules but are not read.
    pub warnings: Vec<RuleProblem>,
    /// The templates of providers, in the order of their names.
    pub templates: Vec<TemplateFile>,
}

/// What a directory compiles to.
#[allow(missing_docs)]
pub struct CompiledFolder {
    pub rules: RuleSet,
    pub templates: TemplateSet,
}

/// A digest of the names and contents of a directory, or of its errors. Times and sizes do not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FolderDigest(u64);

/// A directory as it was read, and its digest.
pub(super) struct FolderSnapshot {
    pub(super) digest: FolderDigest,
    pub(super) folder: Result<RuleFolder, RulesError>,
}

/// Reads every `*.yaml` and `*.yml` of a directory except the tests. Files are named by their paths, for editors and
/// terminals.
///
/// # Errors
/// If the directory cannot be listed.
pub fn read_rule_files(directory: &Path) -> Result<RuleFolder, RulesError> {
    read_files(directory, FileKind::Rules).map(|folder| folder.by_paths(directory))
}

/// Reads one file with any name.
pub fn read_rule_file(path: &Path) -> RuleFolder {
    let mut folder = RuleFolder::default();
    folder.take(path, bytes_of(path));
    folder.by_paths(path.parent().unwrap_or(path))
}

/// Reads every `*.test.yaml` and `*.test.yml` of a directory, named by their paths, in the order of their names.
///
/// # Errors
/// If the directory cannot be listed.
pub fn read_rule_test_files(directory: &Path) -> Result<RuleFolder, RulesError> {
    read_files(directory, FileKind::Tests).map(|folder| folder.by_paths(directory))
}

/// Reads a directory on a thread that may block.
pub(super) async fn read(directory: &Path) -> FolderSnapshot {
    let path = directory.to_owned();
    let reading = spawn_blocking(move || read_files(&path, FileKind::Rules));
    let folder = match reading.await {
        Ok(folder) => folder,
        Err(panicked) => Err(RulesError::DirectoryUnreadable {
            path: directory.to_owned(),
            reason: panicked.to_string(),
        }),
    };
    FolderSnapshot {
        digest: FolderDigest::at(&folder),
        folder,
    }
}

impl FolderDigest {
    fn at(folder: &Result<RuleFolder, RulesError>) -> Self {
        let mut hasher = DefaultHasher::new();
        match folder {
            Ok(folder) => {
                for file in &folder.files {
                    (&file.name, &file.text).hash(&mut hasher);
                }
                for file in &folder.templates {
                    (&file.name, &file.text).hash(&mut hasher);
                }
                for problem in folder.unreadable.iter().chain(&folder.warnings) {
                    problem.to_string().hash(&mut hasher);
                }
            }
            Err(error) => error.to_string().hash(&mut hasher),
        }
        Self(hasher.finish())
    }
}

impl RuleFolder {
    /// Compiles the files.
    ///
    /// # Errors
    /// The problems of all files, including unreadable ones.
    pub fn compile(&self, settings: &CompileSettings) -> Result<RuleSet, Vec<RuleProblem>> {
        let compiled = RuleSet::compile(&self.files, settings);
        if self.unreadable.is_empty() {
            return compiled;
        }
        let mut problems = self.unreadable.clone();
        problems.extend(compiled.err().into_iter().flatten());
        problems.sort_by(|a, b| a.file.cmp(&b.file));
        Err(problems)
    }

    /// Compiles the rules and the templates, which are in force together.
    ///
    /// # Errors
    /// The problems of all files, including unreadable ones.
    pub fn compile_all(
        &self,
        settings: &CompileSettings,
    ) -> Result<CompiledFolder, Vec<RuleProblem>> {
        let rules = self.compile(settings);
        let templates = template_files::compile(&self.templates, &settings.providers);
        match (rules, templates) {
            (Ok(rules), Ok(templates)) => Ok(CompiledFolder { rules, templates }),
            (rules, templates) => {
                let mut problems = rules.err().unwrap_or_default();
                problems.extend(templates.err().into_iter().flatten());
                Err(problems)
            }
        }
    }

    fn take(&mut self, path: &Path, bytes: io::Result<Vec<u8>>) {
        match rule_file(path, bytes) {
            Ok(file) => self.files.push(file),
            Err(problem) => self.unreadable.push(problem),
        }
    }

    /// Replaces names by paths.
    fn by_paths(self, directory: &Path) -> Self {
        let below = |problems: Vec<RuleProblem>| {
            let problems = problems.into_iter();
            problems.map(|problem| problem.below(directory)).collect()
        };
        let files = self.files.into_iter().map(|file| RuleFile {
            name: directory.join(file.name).display().to_string(),
            text: file.text,
        });
        Self {
            files: files.collect(),
            unreadable: below(self.unreadable),
            warnings: below(self.warnings),
            templates: self.templates,
        }
    }
}

fn read_files(directory: &Path, wanted: FileKind) -> Result<RuleFolder, RulesError> {
    let paths = paths(directory).map_err(|error| no_directory(directory, &error))?;
    let mut folder = RuleFolder::default();
    for path in paths {
        match kind_of(&file_name(&path)) {
            Some(held) if held == wanted => {
                folder.take(&path, regular(&path).and_then(|()| bytes_of(&path)));
            }
            None if wanted == FileKind::Rules && template_files::is_folder(&path) => {
                let read = template_files::read(&path);
                folder.templates = read.files;
                folder.unreadable.extend(read.unreadable);
            }
            None | Some(FileKind::MisspelledExtension) if path.is_dir() => {
                folder.warnings.extend(nested(&path, wanted));
            }
            Some(FileKind::MisspelledExtension) if wanted == FileKind::Rules => {
                let message =
                    "not read: the names of rule files end in `.yaml` or `.yml`, in lower case";
                folder.warnings.push(at_beginning(&path, message));
            }
            _ => {}
        }
    }
    Ok(folder)
}

fn rule_file(path: &Path, bytes: io::Result<Vec<u8>>) -> Result<RuleFile, RuleProblem> {
    let bytes = bytes.map_err(|error| unreadable(path, &error))?;
    let text = if bytes.len() > RuleFile::BYTES_MAX {
        // It is refused for its size, so the cut does not matter.
        String::from_utf8_lossy(&bytes).into_owned()
    } else {
        String::from_utf8(bytes).map_err(|error| not_utf8(path, error.as_bytes()))?
    };
    Ok(RuleFile {
        name: file_name(path),
        text,
    })
}

/// A warning if a subfolder contains rules.
fn nested(folder: &Path, wanted: FileKind) -> Option<RuleProblem> {
    let first = (wanted == FileKind::Rules).then(|| rules_below(folder))??;
    let shown = first.strip_prefix(folder.parent()?).unwrap_or(&first);
    let message = format!(
        "not read: subfolders are ignored, and this one contains rules (`{}`)",
        shown.display()
    );
    Some(at_beginning(folder, &message))
}

fn not_utf8(path: &Path, bytes: &[u8]) -> RuleProblem {
    let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    let line = valid.matches('\n').count() + 1;
    let before = valid.rsplit('\n').next().unwrap_or_default();
    let byte = bytes.get(valid.len()).copied().unwrap_or_default();
    RuleProblem {
        line,
        column: before.chars().count() + 1,
        ..at_beginning(
            path,
            &format!("the byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"),
        )
    }
}

fn no_directory(directory: &Path, error: &io::Error) -> RulesError {
    let path = absolute(directory).unwrap_or_else(|_| directory.to_owned());
    if error.kind() == ErrorKind::NotFound {
        return RulesError::DirectoryMissing(path);
    }
    RulesError::DirectoryUnreadable {
        path,
        reason: error.to_string(),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> RuleProblem {
    at_beginning(path, &format!("cannot be read: {error}"))
}

fn at_beginning(path: &Path, message: &str) -> RuleProblem {
    RuleProblem {
        file: file_name(path),
        line: 1,
        column: 1,
        message: message.to_owned(),
    }
}
