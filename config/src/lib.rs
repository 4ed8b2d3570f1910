//! Reads the configuration: defaults, then the file, then the environment, then flags; puts secrets in their
//! places; and explains all that is wrong at once, each with its place and the nearest known name.
//!
//! The adapters come in as registries and go out as plans: nothing outside is touched but the file itself and the
//! files that secrets name. What the settings mean is left to who uses them.
#![deny(missing_docs)]

mod assemble;
mod check;
mod cross;
mod document;
mod envelope;
mod errors;
mod overlay;
mod schema;
mod secrets;
mod settings;
mod shape;
mod show;
mod stray;
mod syntax;
mod tree;
mod whole;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use acteon_core::Registry;
use acteon_core::audit::Audits;
use acteon_core::sink::Sinks;
use acteon_core::source::Sources;
use acteon_core::state::States;

use crate::document::Document;
use crate::errors::Complaint;
use crate::tree::{Node, Origin};
use crate::whole::Whole;

pub use crate::envelope::{EnvelopeError, encrypt};
pub use crate::errors::{Place, Problem, Problems};
pub use crate::schema::schema;
pub use crate::secrets::without_line_end;
pub use crate::settings::*;
pub use crate::whole::Section;

/// The file that is read when none is named; it need not be there.
pub const DEFAULT_FILE: &str = "acteon.toml";
/// The name that messages use when there is no file.
const DEFAULTS: &str = "(defaults)";

/// Where values come from.
#[derive(Clone, Default)]
pub struct Inputs {
    /// The file to read. One that is named must be there.
    pub path: Option<PathBuf>,
    /// All variables. Those named `ACTEON_<SECTION>__<KEY>` are settings; secrets may refer to any.
    pub environment: Vec<(String, String)>,
    /// Dotted keys with their values, such as `server.port`.
    pub flags: Vec<(String, String)>,
}

/// The adapters that the configuration may name.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Adapters<'a> {
    pub sources: &'a Registry<Sources>,
    pub sinks: &'a Registry<Sinks>,
    pub states: &'a Registry<States>,
    pub audits: &'a Registry<Audits>,
}

/// What was read of a configuration.
#[derive(Debug, Default)]
pub struct Reading {
    /// The file that was read; `None` where there is none and defaults hold.
    pub file: Option<PathBuf>,
    /// The settings. Defaults replace whatever is wrong, and a source or provider is left out, so that the rest
    /// can be looked over. `None` where nothing can be made of it.
    pub settings: Option<Settings>,
    /// All that is wrong.
    pub problems: Problems,
}

impl Reading {
    /// The settings, if nothing is wrong.
    ///
    /// # Errors
    /// All that is.
    pub fn whole(self) -> Result<Settings, Problems> {
        match self.settings {
            Some(settings) => self.problems.or(settings),
            None => Err(self.problems),
        }
    }
}

impl From<Settings> for Reading {
    /// Settings with which nothing is wrong.
    fn from(settings: Settings) -> Self {
        Self {
            settings: Some(settings),
            ..Self::default()
        }
    }
}

/// Reads the configuration and plans the adapters it names.
///
/// # Errors
/// All that is wrong.
pub fn load(inputs: &Inputs, adapters: &Adapters<'_>) -> Result<Settings, Problems> {
    read(inputs, adapters).whole()
}

/// Reads the configuration and plans the adapters it names, as far as it can be read.
pub fn read(inputs: &Inputs, adapters: &Adapters<'_>) -> Reading {
    match document(inputs) {
        Ok((file, document)) => {
            let mut reading = read_document(document, inputs, adapters);
            if let (Some(settings), Some(file)) = (&mut reading.settings, &file) {
                settings.rules.be_beside(file);
            }
            Reading { file, ..reading }
        }
        Err(problems) => Reading {
            problems,
            ..Reading::default()
        },
    }
}

/// The effective configuration, each value with where it was said, as TOML. Secrets are not shown.
///
/// # Errors
/// All that is wrong with it.
pub fn show(inputs: &Inputs, adapters: &Adapters<'_>) -> Result<String, Problems> {
    let (_, document) = document(inputs)?;
    let schema = schema(adapters);
    let Layered { root, secrets, .. } = layered(&document, inputs, &schema)?;
    let shown = show::show(root, &secrets, &schema, &document);
    read_document(document, inputs, adapters).whole()?;
    Ok(shown)
}

/// The file, or an empty one where the default file is not there.
fn document(inputs: &Inputs) -> Result<(Option<PathBuf>, Document), Problems> {
    let path = inputs.path.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
    match Document::read(path) {
        Ok(document) => Ok((Some(path.to_owned()), document)),
        Err((ErrorKind::NotFound, _)) if inputs.path.is_none() => {
            let strays: Problems = stray::problems(Path::new(".")).into_iter().collect();
            strays.or((None, Document::new(DEFAULTS, "")))
        }
        Err((_, problem)) => Err(problem.into()),
    }
}
/// All layers in one tree, held against the schema. Secrets are not resolved yet.
struct Layered {
    root: Node,
    secrets: Vec<tree::Path>,
    complaints: Vec<Complaint>,
}

fn layered(document: &Document, inputs: &Inputs, schema: &Value) -> Result<Layered, Problems> {
    let mut complaints = Vec::new();
    let parsed = document.parse(&mut complaints);
    let mut root =
        parsed.map_err(|errors| Problems::of(errors, &Node::table(Origin::Default), document))?;
    complaints.extend(overlay::environment(&mut root, schema, &inputs.environment));
    complaints.extend(overlay::flags(&mut root, schema, &inputs.flags));
    let found = check::check(&root, schema);
    complaints.extend(found.complaints);
    Ok(Layered {
        root,
        secrets: found.secrets,
        complaints,
    })
}

fn read_document(document: Document, inputs: &Inputs, adapters: &Adapters<'_>) -> Reading {
    let layered = match layered(&document, inputs, &schema(adapters)) {
        Ok(layered) => layered,
        Err(problems) => {
            return Reading {
                problems,
                ..Reading::default()
            };
        }
    };
    let Layered {
        mut root,
        secrets,
        mut complaints,
    } = layered;
    let sources = secrets::Sources {
        environment: &inputs.environment,
        folder: document.folder(),
    };
    complaints.extend(secrets::resolve(&mut root, &secrets, sources));
    complaints.extend(cross::check(&root, &document));
    let whole = Arc::new(Whole {
        root,
        document,
        secrets,
    });
    let settings = assemble::assemble(&whole, adapters, &mut complaints);
    Reading {
        file: None,
        settings,
        problems: Problems::of(complaints, &whole.root, &whole.document),
    }
}

impl std::fmt::Debug for Inputs {
    /// Shows names only: the environment holds secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        let flags: Vec<_> = self.flags.iter().map(|(key, _)| key).collect();
        let mut shown = f.debug_struct("Inputs");
        shown.field("path", &self.path).field("environment", &names);
        shown.field("flags", &flags).finish()
    }
}

#[cfg(test)]
mod tests;
