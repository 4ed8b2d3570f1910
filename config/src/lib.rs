//! Reads the configuration in layers: defaults, the file, the environment, flags. Resolves secrets, and reports every
//! mistake at once, each with its location and the nearest known name.
//!
//! Adapters come in as registries and go out as plans. The pipeline defines its sections and its keys of a provider;
//! this crate sees only their schema. It touches nothing outside but the file and the files of secrets.
#![deny(missing_docs)]

mod assemble;
mod check;
mod cross;
mod document;
mod envelope;
mod errors;
mod overlay;
mod resolved;
mod schema;
mod secrets;
mod section;
mod shape;
mod show;
mod stray;
mod syntax;
mod tree;

use std::fmt::Debug;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use acteon_core::Registry;
use acteon_core::audit::Audits;
use acteon_core::sink::Sinks;
use acteon_core::source::Sources;
use acteon_core::state::States;

use crate::document::Document;
use crate::errors::Complaint;
use crate::section::ConfigTree;
use crate::tree::{TreeNode, TreePath, ValueOrigin};

pub use crate::envelope::{EnvelopeError, encrypt};
pub use crate::errors::{Location, Problem, ProblemList};
pub use crate::resolved::*;
pub use crate::schema::schema;
pub use crate::secrets::without_line_end;
pub use crate::section::Section;

/// The file read by default. It may be missing.
pub const DEFAULT_FILE: &str = "acteon.toml";
/// The name used in messages if there is no file.
const DEFAULTS: &str = "(defaults)";

/// Options that another crate defines. Unknown keys and values out of range are found by their schema.
pub trait Options: DeserializeOwned + JsonSchema + Debug {}

impl<T: DeserializeOwned + JsonSchema + Debug> Options for T {}

/// The options that the pipeline defines.
pub trait PipelineKeys {
    /// Its sections, one per field.
    type Sections: Options + Default;
    /// Its keys of `[audit]`.
    type TrailKeys: Options + Default;
    /// Its keys of a provider.
    type ProviderKeys: Options;
}

/// Where values come from.
#[derive(Clone, Default)]
pub struct Inputs {
    /// The file to read. A file named here must exist.
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

/// The result of reading a configuration.
#[derive(Debug)]
pub struct LoadedConfig<P: PipelineKeys> {
    /// The file; `None` if there is none and the defaults apply.
    pub file: Option<PathBuf>,
    /// The configuration. Defaults replace whatever is wrong, and a broken source or provider is left out, so that the
    /// rest can still be checked. `None` if nothing could be read.
    pub config: Option<ResolvedConfig<P>>,
    /// All mistakes.
    pub problems: ProblemList,
}

impl<P: PipelineKeys> LoadedConfig<P> {
    /// The configuration, if it has no mistakes.
    ///
    /// # Errors
    /// All mistakes.
    pub fn complete(self) -> Result<ResolvedConfig<P>, ProblemList> {
        match self.config {
            Some(config) => self.problems.or(config),
            None => Err(self.problems),
        }
    }

    fn unreadable(problems: ProblemList) -> Self {
        Self {
            file: None,
            config: None,
            problems,
        }
    }
}

impl<P: PipelineKeys> From<ResolvedConfig<P>> for LoadedConfig<P> {
    /// A configuration without mistakes.
    fn from(config: ResolvedConfig<P>) -> Self {
        Self {
            file: None,
            config: Some(config),
            problems: ProblemList::default(),
        }
    }
}

/// Reads the configuration and plans the adapters it names.
///
/// # Errors
/// All mistakes.
pub fn load<P: PipelineKeys>(
    inputs: &Inputs,
    adapters: &Adapters<'_>,
) -> Result<ResolvedConfig<P>, ProblemList> {
    read(inputs, adapters).complete()
}

/// Reads the configuration and plans the adapters it names, as far as possible.
pub fn read<P: PipelineKeys>(inputs: &Inputs, adapters: &Adapters<'_>) -> LoadedConfig<P> {
    match document(inputs) {
        Ok((file, document)) => {
            let mut loaded = read_document(document, inputs, adapters);
            if let (Some(config), Some(file)) = (&mut loaded.config, &file) {
                config.rules.resolve_directory(file);
            }
            LoadedConfig { file, ..loaded }
        }
        Err(problems) => LoadedConfig::unreadable(problems),
    }
}

/// The effective configuration as TOML, each value with its origin. Secrets are not shown.
///
/// # Errors
/// All mistakes.
pub fn show<P: PipelineKeys>(
    inputs: &Inputs,
    adapters: &Adapters<'_>,
) -> Result<String, ProblemList> {
    let (_, document) = document(inputs)?;
    let schema = schema::<P>(adapters);
    let Layered { root, secrets, .. } = layered(&document, inputs, &schema)?;
    let shown = show::show(root, &secrets, &schema, &document);
    read_document::<P>(document, inputs, adapters).complete()?;
    Ok(shown)
}

/// The file, or an empty document if the default file is missing.
fn document(inputs: &Inputs) -> Result<(Option<PathBuf>, Document), ProblemList> {
    let path = inputs.path.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
    match Document::read(path) {
        Ok(document) => Ok((Some(path.to_owned()), document)),
        // A link that leads nowhere is a file that cannot be read.
        Err((ErrorKind::NotFound, _)) if inputs.path.is_none() && !path.is_symlink() => {
            let strays: ProblemList = stray::problems(Path::new(".")).into_iter().collect();
            strays.or((None, Document::new(DEFAULTS, "")))
        }
        Err((_, problem)) => Err(problem.into()),
    }
}

/// All layers in one tree, checked against the schema. Secrets are not resolved yet.
struct Layered {
    root: TreeNode,
    secrets: Vec<TreePath>,
    complaints: Vec<Complaint>,
}

fn layered(document: &Document, inputs: &Inputs, schema: &Value) -> Result<Layered, ProblemList> {
    let mut complaints = Vec::new();
    let parsed = document.parse(&mut complaints);
    let mut root = parsed.map_err(|errors| {
        ProblemList::of(errors, &TreeNode::table(ValueOrigin::Default), document)
    })?;
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

fn read_document<P: PipelineKeys>(
    document: Document,
    inputs: &Inputs,
    adapters: &Adapters<'_>,
) -> LoadedConfig<P> {
    let layered = match layered(&document, inputs, &schema::<P>(adapters)) {
        Ok(layered) => layered,
        Err(problems) => return LoadedConfig::unreadable(problems),
    };
    let Layered {
        mut root,
        secrets,
        mut complaints,
    } = layered;
    let sources = secrets::SecretSources {
        environment: &inputs.environment,
        folder: document.folder(),
    };
    complaints.extend(secrets::resolve(&mut root, &secrets, sources));
    complaints.extend(cross::check(&root, &document));
    let tree = Arc::new(ConfigTree {
        root,
        document,
        secrets,
    });
    let config = assemble::assemble(&tree, adapters, &mut complaints);
    LoadedConfig {
        file: None,
        config,
        problems: ProblemList::of(complaints, &tree.root, &tree.document),
    }
}

impl std::fmt::Debug for Inputs {
    /// Shows names only, because the environment holds secrets.
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
