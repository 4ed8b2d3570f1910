//! `/ready`: whether the parts do their work. State and audit are asked, sources tell.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::health::{Part, Readiness};
use acteon_core::{Audit, Source, State};
use acteon_pipeline::Pipeline;
use async_trait::async_trait;
use futures_util::future::join;
use tokio::time::timeout;

/// How long a backend may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) struct Parts {
    pub(crate) state: Arc<dyn State>,
    pub(crate) audit: Option<Arc<dyn Audit>>,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) sources: Vec<Arc<dyn Source>>,
}

#[async_trait]
impl Readiness for Parts {
    async fn parts(&self) -> Vec<Part> {
        let state = async {
            let answer = timeout(PATIENCE, self.state.ping()).await;
            part(
                "state",
                answer.map(|answer| answer.map_err(|error| error.to_string())),
            )
        };
        let audit = async {
            let audit = self.audit.as_ref()?;
            let answer = timeout(PATIENCE, audit.ping()).await;
            let answer = answer.map(|answer| answer.map_err(|error| error.to_string()));
            Some(part("audit", answer))
        };
        let (state, audit) = join(state, audit).await;
        let sources = self.sources.iter().map(|source| source.readiness());
        let pipeline = self.pipeline.readiness();
        let parts = [state].into_iter().chain(audit).chain([pipeline]);
        parts.chain(sources).collect()
    }
}

fn part(name: &str, answer: Result<Result<(), String>, tokio::time::error::Elapsed>) -> Part {
    match answer {
        Ok(Ok(())) => Part::ready(name),
        Ok(Err(error)) => Part::unready(name, error),
        Err(_) => Part::unready(name, format!("no answer within {PATIENCE:?}")),
    }
}
