//! Putting secrets in the place of what refers to them: `env:NAME` and `file:PATH`. Anything else is the secret.

use std::path::Path as FilePath;

use crate::check::{ENVELOPE, ENVELOPE_UNSUPPORTED};
use crate::document::read_text;
use crate::errors::Complaint;
use crate::tree::{Body, Node, Path};

/// The largest secret.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Resolves the secrets at `places` of `root`; `environment` is what `env:` refers to.
pub(crate) fn resolve(
    root: &mut Node,
    places: &[Path],
    environment: &[(String, String)],
) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for path in places {
        let Some(node) = root.at_mut(path) else {
            continue;
        };
        match node.text().map(|text| secret(text, environment)) {
            Some(Ok(secret)) => node.body = Body::Text(secret),
            Some(Err(message)) => complaints.push(Complaint::new(path, &node.origin, message)),
            None => {}
        }
    }
    complaints
}

/// The secret that `text` is or names.
fn secret(text: &str, environment: &[(String, String)]) -> Result<String, String> {
    let secret = if let Some(name) = text.strip_prefix("env:") {
        from_environment(name, environment)?
    } else if let Some(path) = text.strip_prefix("file:") {
        from_file(path)?
    } else {
        text.to_owned()
    };
    if secret.trim_start().starts_with(ENVELOPE) {
        return Err(ENVELOPE_UNSUPPORTED.into());
    }
    Ok(secret)
}

fn from_environment(name: &str, environment: &[(String, String)]) -> Result<String, String> {
    let found = environment.iter().find(|(known, _)| known == name);
    match found {
        Some((_, value)) if !value.is_empty() => Ok(value.clone()),
        Some(_) => Err(format!("the environment variable `{name}` is empty")),
        None => Err(format!("the environment variable `{name}` is not set")),
    }
}

/// The content of a file without the end of its last line.
fn from_file(path: &str) -> Result<String, String> {
    let text = read_text(FilePath::new(path), SECRET_BYTES_MAX)
        .map_err(|(_, message)| format!("the file `{path}` {message}"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text {
        "" => Err(format!("the file `{path}` is empty")),
        text => Ok(text.to_owned()),
    }
}
