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
mod errors;
mod overlay;
mod schema;
mod secrets;
mod settings;
mod shape;
mod tree;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use acteon_core::Registry;
use acteon_core::audit::Audits;
use acteon_core::sink::Sinks;
use acteon_core::source::Sources;
use acteon_core::state::States;

use crate::document::Document;
use crate::errors::Complaint;
use crate::tree::{Node, Origin};

pub use crate::errors::{ConfigErrors, Place, Problem};
pub use crate::schema::schema;
pub use crate::settings::*;

/// The file that is read when none is named; it need not be there.
pub const DEFAULT_FILE: &str = "acteon.toml";

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

/// Reads the configuration and plans the adapters it names.
///
/// # Errors
/// All that is wrong.
pub fn load(inputs: &Inputs, adapters: &Adapters<'_>) -> Result<Settings, ConfigErrors> {
    let path = inputs.path.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
    match Document::read(path) {
        Ok(document) => {
            let mut settings = load_document(&document, inputs, adapters)?;
            settings.rules.be_beside(path);
            Ok(settings)
        }
        Err((ErrorKind::NotFound, _)) if inputs.path.is_none() => {
            load_document(&Document::new(DEFAULT_FILE, ""), inputs, adapters)
        }
        Err((_, message)) => {
            let document = Document::new(path.display().to_string(), "");
            let complaint = Complaint::new(&[], &Origin::Default, message);
            let nothing = Node::table(Origin::Default);
            Err(ConfigErrors::new(vec![complaint], &nothing, &document))
        }
    }
}

fn load_document(
    document: &Document,
    inputs: &Inputs,
    adapters: &Adapters<'_>,
) -> Result<Settings, ConfigErrors> {
    let mut complaints = Vec::new();
    let mut root = document.parse(&mut complaints);
    if !complaints.is_empty() {
        return Err(ConfigErrors::new(complaints, &root, document));
    }
    let schema = schema(adapters);
    complaints.extend(overlay::environment(
        &mut root,
        &schema,
        &inputs.environment,
    ));
    complaints.extend(overlay::flags(&mut root, &schema, &inputs.flags));
    let found = check::check(&root, &schema);
    complaints.extend(found.complaints);
    complaints.extend(secrets::resolve(
        &mut root,
        &found.secrets,
        &inputs.environment,
    ));
    complaints.extend(cross::check(&root, document));
    match assemble::assemble(&root, &found.secrets, adapters, &mut complaints) {
        Some(settings) if complaints.is_empty() => Ok(settings),
        _ => Err(ConfigErrors::new(complaints, &root, document)),
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
