//! `/ready`: whether the parts do their work. State and audit are pinged, the others report themselves.

use std::sync::Arc;

use acteon_core::health::{Part, Readiness};
use acteon_core::state::Fullness;
use acteon_core::{Audit, DeadLetterKind, Source, State};
use async_trait::async_trait;
use futures_util::future::join;
use tokio::time::timeout;

use crate::fullness::PING_TIMEOUT;

pub(crate) struct ReadinessParts {
    pub(crate) state: Arc<dyn State>,
    pub(crate) audit: Option<Arc<dyn Audit>>,
    /// The readiness of the pipeline's tasks.
    pub(crate) pipeline: Box<dyn Fn() -> Part + Send + Sync>,
    pub(crate) sources: Vec<Arc<dyn Source>>,
}

#[async_trait]
impl Readiness for ReadinessParts {
    async fn parts(&self) -> Vec<Part> {
        let audit = async {
            let audit = self.audit.as_ref()?;
            Some(match answer(audit.ping()).await {
                Ok(()) => Part::ready(AUDIT),
                Err(error) => Part::unready(AUDIT, error),
            })
        };
        let (state, audit) = join(answer(self.state.ping()), audit).await;
        let state = match state {
            Ok(fullness) => [entries(&fullness), dead_letters(&fullness)],
            Err(error) => [STATE, DEAD_LETTERS].map(|name| Part::unready(name, &*error)),
        };
        let sources = self.sources.iter().map(|source| source.readiness());
        let pipeline = (self.pipeline)();
        let parts = state.into_iter().chain(audit).chain([pipeline]);
        parts.chain(sources).collect()
    }
}

const STATE: &str = "state";
const DEAD_LETTERS: &str = "dead_letters";
const AUDIT: &str = "audit";

async fn answer<T, E: ToString>(ping: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match timeout(PING_TIMEOUT, ping).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {PING_TIMEOUT:?}")),
    }
}

fn entries(fullness: &Fullness) -> Part {
    let refused = match (&fullness.keys.full, &fullness.groups.full) {
        (None, None) => return Part::ready(STATE),
        (Some(keys), _) => format!("{keys}; actions that need a new key are refused"),
        (None, Some(groups)) => format!("{groups}; actions that join groups are refused"),
    };
    Part::unready(STATE, format!("full: {refused}"))
}

fn dead_letters(fullness: &Fullness) -> Part {
    let full = DeadLetterKind::ALL.into_iter();
    let full = full.filter_map(|kind| fullness.of(kind).full.as_deref());
    let full: Vec<_> = full.collect();
    match full.is_empty() {
        true => Part::ready(DEAD_LETTERS),
        false => {
            let detail = format!("full: {}; the sources wait", full.join(", "));
            Part::unready(DEAD_LETTERS, detail)
        }
    }
}

#[cfg(test)]
mod tests;
