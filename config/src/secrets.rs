//! Replaces references and encrypted values by their secrets: `env:NAME`, `file:PATH`, `ENC[...]`. Any other value is the
//! secret itself.

use std::path::Path;

use crate::document::read_text;
use crate::envelope;
use crate::errors::Complaint;
use crate::tree::{NodeValue, TreeNode, TreePath};

/// The maximum size of a file with a secret.
const FILE_BYTES_MAX: u64 = 64 << 10;
const VARIABLE_PREFIX: &str = "env:";
const FILE_PREFIX: &str = "file:";

/// Where references are looked up.
#[derive(Clone, Copy)]
pub(crate) struct SecretSources<'a> {
    /// Holds the values of `env:` and the keys of `ENC[...]`.
    pub(crate) environment: &'a [(String, String)],
    /// The base of relative paths.
    pub(crate) folder: &'a Path,
}

/// Resolves the secrets of `root` at `paths`.
pub(crate) fn resolve(
    root: &mut TreeNode,
    paths: &[TreePath],
    sources: SecretSources<'_>,
) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for path in paths {
        let Some(node) = root.at_mut(path) else {
            continue;
        };
        match node.text().map(|text| sources.secret(text)) {
            Some(Ok(secret)) => node.body = NodeValue::Text(secret),
            Some(Err(message)) => complaints.push(Complaint::new(path, &node.origin, message)),
            None => {}
        }
    }
    complaints
}

/// True for a reference to a secret.
pub(crate) fn is_reference(text: &str) -> bool {
    [VARIABLE_PREFIX, FILE_PREFIX]
        .iter()
        .any(|prefix| text.starts_with(prefix))
}

impl SecretSources<'_> {
    /// The secret that `text` contains, refers to or encrypts.
    fn secret(self, text: &str) -> Result<String, String> {
        refuse_look_alike(text, &[VARIABLE_PREFIX, FILE_PREFIX])?;
        let found = if let Some(name) = text.strip_prefix(VARIABLE_PREFIX) {
            self.in_environment(name)?
        } else if let Some(path) = text.strip_prefix(FILE_PREFIX) {
            self.in_file(path)?
        } else {
            text.to_owned()
        };
        refuse_look_alike(&found, &[envelope::BEGIN])?;
        match envelope::is_intended(&found) {
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

    /// The content of a file, without the line break at its end.
    fn in_file(self, path: &str) -> Result<String, String> {
        let path = self.folder.join(path);
        let error = |message: String| format!("the file `{}` {message}", path.display());
        let text = read_text(&path, FILE_BYTES_MAX).map_err(error)?;
        match without_line_end(&text) {
            "" => Err(error("is empty".to_owned())),
            text => Ok(text.to_owned()),
        }
    }
}

/// Refuses what begins like one of these prefixes but in other letters: it would be used as the secret itself.
fn refuse_look_alike(text: &str, prefixes: &[&str]) -> Result<(), String> {
    let start = text.trim_start();
    let differs = |prefix: &&&str| {
        let beginning = start.get(..prefix.len());
        beginning.is_some_and(|it| it.eq_ignore_ascii_case(prefix) && it != **prefix)
    };
    match prefixes.iter().find(differs) {
        None => Ok(()),
        Some(prefix) => Err(format!(
            "this begins almost like `{prefix}`; write the prefix exactly so, or put the literal value into a file"
        )),
    }
}

/// `text` without the line break at its end.
pub fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}
