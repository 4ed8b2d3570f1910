//! `acteon-server backup`: copies the file of an embedded backend, also while a server uses it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use acteon_config::ProblemList;

use crate::adapters::Config;
use crate::files::{BackendFile, FileOf, Purpose};
use crate::problems;
use crate::shared_parts::{BackendContext, Backends};

/// Copies the file of the configured backends to the new file `to`, and returns its path. If there are two, `of` says
/// which.
///
/// # Errors
/// If there is none, if there are two, or if it cannot be copied.
pub async fn back_up(
    config: Config,
    of: Option<FileOf>,
    to: &Path,
) -> Result<PathBuf, ProblemList> {
    let mut problems = ProblemList::default();
    let context = BackendContext::of(&config, Purpose::Check);
    let backends = Backends::build(config.state, config.audit, context, &mut problems).await;
    let files = backends.map(|backends| backends.files).unwrap_or_default();
    problems.or(())?;
    let wanted = files.into_iter();
    let wanted = wanted.filter(|file| of.is_none_or(|of| file.of == of));
    let by_path = wanted.map(|BackendFile { file, .. }| (file.path().to_owned(), file));
    let mut distinct: BTreeMap<_, _> = by_path.collect();
    let refused = |message: &str| ProblemList::from_iter([config.section.problem("", message)]);
    let Some((path, file)) = distinct.pop_first() else {
        return Err(refused(
            "no backend keeps a file of this process; those of a server have tools to copy their data",
        ));
    };
    if !distinct.is_empty() {
        return Err(refused(
            "state and audit are in two files; name one with `--of state` or `--of audit`",
        ));
    }
    let copied = file.back_up(to).await;
    copied.map_err(|error| refused(&problems::with_causes(&error.message, &error)))?;
    Ok(path)
}
