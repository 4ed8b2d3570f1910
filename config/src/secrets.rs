//! Putting secrets in the place of what refers to them or holds them encrypted: `env:NAME`, `file:PATH`, `ENC[...]`.
//! Anything else is the secret.

use std::path::Path as FilePath;

use crate::document::read_text;
use crate::envelope;
use crate::errors::Complaint;
use crate::tree::{Body, Node, Path};

/// The largest file of a secret.
const FILE_BYTES_MAX: u64 = 64 << 10;
const OF_VARIABLE: &str = "env:";
const OF_FILE: &str = "file:";

/// Where secrets are found that a value refers to.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    /// What `env:` refers to, and where the keys of `ENC[...]` are.
    pub(crate) environment: &'a [(String, String)],
    /// Where a relative path begins.
    pub(crate) folder: &'a FilePath,
}

/// Resolves the secrets at `places` of `root`.
pub(crate) fn resolve(root: &mut Node, places: &[Path], sources: Sources<'_>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for path in places {
        let Some(node) = root.at_mut(path) else {
            continue;
        };
        match node.text().map(|text| sources.secret(text)) {
            Some(Ok(secret)) => node.body = Body::Text(secret),
            Some(Err(message)) => complaints.push(Complaint::new(path, &node.origin, message)),
            None => {}
        }
    }
    complaints
}

/// True for text that says where a secret is, and is none itself.
pub(crate) fn is_reference(text: &str) -> bool {
    [OF_VARIABLE, OF_FILE]
        .iter()
        .any(|begin| text.starts_with(begin))
}

impl Sources<'_> {
    /// The secret that `text` is, names or holds encrypted.
    fn secret(self, text: &str) -> Result<String, String> {
        let found = if let Some(name) = text.strip_prefix(OF_VARIABLE) {
            self.in_environment(name)?
        } else if let Some(path) = text.strip_prefix(OF_FILE) {
            self.in_file(path)?
        } else {
            text.to_owned()
        };
        match envelope::is_meant(&found) {
            true => envelope::open(&found, self.environment).map_err(|error| error.to_string()),
            false => Ok(found),
        }
    }

    fn in_environment(self, name: &str) -> Result<String, String> {
        let found = self.environment.iter().find(|(known, _)| known == name);
        match found {
            Some((_, value)) if !value.is_empty() => Ok(value.clone()),
            Some(_) => Err(format!("the environment variable `{name}` is empty")),
            None => Err(format!("the environment variable `{name}` is not set")),
        }
    }

    /// The content of a file without the end of its last line.
    fn in_file(self, path: &str) -> Result<String, String> {
        let path = self.folder.join(path);
        let told = |message: String| format!("the file `{}` {message}", path.display());
        let text = read_text(&path, FILE_BYTES_MAX).map_err(told)?;
        match without_line_end(&text) {
            "" => Err(told("is empty".to_owned())),
            text => Ok(text.to_owned()),
        }
    }
}

/// `text` without the end of its last line.
pub fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}
