//! Reads the templates of providers, in the folder `templates` of the rules. What their names and texts mean is left to
//! `acteon-templates`.

use std::io;
use std::path::Path;

use acteon_core::rules::RuleProblem;
use acteon_rules::{KnownProviders, RuleFile};
use acteon_templates::{TemplateFault, TemplateFile, TemplateSet};

use super::reading::{bytes_of, file_name, paths, regular};

/// The name of the folder.
const FOLDER: &str = "templates";
/// The folders below it: a provider, and an action type. One more is read to report its files.
const DEPTH_MAX: usize = 3;

/// The templates of a folder.
#[derive(Default)]
pub(super) struct TemplateFolder {
    pub(super) files: Vec<TemplateFile>,
    /// The files that cannot be read.
    pub(super) unreadable: Vec<RuleProblem>,
}

/// True for the folder of templates.
pub(super) fn is_folder(path: &Path) -> bool {
    file_name(path) == FOLDER && path.is_dir()
}

/// Reads every file of the folder.
pub(super) fn read(folder: &Path) -> TemplateFolder {
    let mut read = TemplateFolder::default();
    read.folder(folder, "", DEPTH_MAX);
    read
}

/// Compiles templates.
///
/// # Errors
/// The problems of all files.
pub(super) fn compile(
    files: &[TemplateFile],
    providers: &KnownProviders,
) -> Result<TemplateSet, Vec<RuleProblem>> {
    let is_provider = |name: &str| match providers {
        KnownProviders::Any => true,
        KnownProviders::Only(names) => names.contains(name),
    };
    TemplateSet::compile(files, is_provider)
        .map_err(|faults| faults.into_iter().map(problem).collect())
}

fn problem(fault: TemplateFault) -> RuleProblem {
    RuleProblem {
        file: format!("{FOLDER}/{}", fault.template),
        line: fault.line,
        column: 1,
        message: fault.message,
    }
}

impl TemplateFolder {
    fn folder(&mut self, folder: &Path, name: &str, depth_left: usize) {
        let paths = match paths(folder) {
            Ok(paths) => paths,
            Err(error) => return self.unreadable.push(unreadable(name, &error)),
        };
        for path in paths {
            let name = match name {
                "" => file_name(&path),
                name => format!("{name}/{}", file_name(&path)),
            };
            match path.is_dir() {
                true if depth_left > 0 => self.folder(&path, &name, depth_left - 1),
                true => {}
                false => self.file(&path, name),
            }
        }
    }

    fn file(&mut self, path: &Path, name: String) {
        match text(path) {
            Ok(text) => self.files.push(TemplateFile { name, text }),
            Err(error) => self.unreadable.push(unreadable(&name, &error)),
        }
    }
}

fn text(path: &Path) -> io::Result<String> {
    regular(path)?;
    let bytes = bytes_of(path)?;
    if bytes.len() > RuleFile::BYTES_MAX {
        let message = format!("a template may have {} bytes", RuleFile::BYTES_MAX);
        return Err(io::Error::other(message));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))
}

fn unreadable(name: &str, error: &io::Error) -> RuleProblem {
    problem(TemplateFault {
        template: name.to_owned(),
        line: 1,
        message: format!("cannot be read: {error}"),
    })
}
