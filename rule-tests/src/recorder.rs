//! Replaces the providers and the audit trail of the pipeline, and records what reaches them.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::sync::Arc;

use acteon_core::audit::AuditError;
use acteon_core::{
    Attempt, AuditRecord, FailureCode, Payload, ProviderResponse, Sink, SinkError, Trail,
};
use async_trait::async_trait;
use parking_lot::Mutex;

use crate::case::ProviderAnswer;

/// The sink of a provider that records the deliveries it is asked for.
#[derive(Default)]
pub(crate) struct RecordingSink {
    /// The payloads of the calls since they were last taken.
    calls: Mutex<Vec<Payload>>,
    /// The next answers; the last one is repeated.
    answers: Mutex<VecDeque<ProviderAnswer>>,
}

impl RecordingSink {
    /// Sets the next answers; the last answer is repeated.
    pub(crate) fn set_answers(&self, answers: &[ProviderAnswer]) {
        *self.answers.lock() = answers.iter().copied().collect();
    }

    /// The calls since this was last called.
    pub(crate) fn take_calls(&self) -> Vec<Payload> {
        std::mem::take(&mut *self.calls.lock())
    }

    fn next_answer(&self) -> ProviderAnswer {
        let mut answers = self.answers.lock();
        let next = match answers.len() {
            0 | 1 => answers.front().copied(),
            _ => answers.pop_front(),
        };
        next.unwrap_or(ProviderAnswer::Succeed)
    }
}

#[async_trait]
impl Sink for RecordingSink {
    async fn deliver(&self, attempt: Attempt<'_>) -> Result<ProviderResponse, SinkError> {
        self.calls.lock().push(attempt.action.payload.clone());
        match self.next_answer() {
            ProviderAnswer::Succeed => ProviderResponse::success(&serde_json::json!({}))
                .map_err(|error| permanent_failure(&error.to_string())),
            ProviderAnswer::Fail => Err(permanent_failure("the test makes it fail")),
            ProviderAnswer::BeUnavailable => {
                let message = "the test makes it unavailable";
                Err(SinkError::transient(FailureCode::Connection, message))
            }
            ProviderAnswer::Hang => pending().await,
        }
    }
}

fn permanent_failure(message: &str) -> SinkError {
    SinkError::permanent(FailureCode::ExecutionFailed, message)
}

/// An audit trail that keeps its records until the test ends, by the number of their dispatch.
#[derive(Default)]
pub(crate) struct RecordedTrail(Mutex<BTreeMap<u64, Arc<AuditRecord>>>);

impl RecordedTrail {
    /// The record of the dispatch of this number.
    pub(crate) fn of(&self, number: u64) -> Option<Arc<AuditRecord>> {
        self.0.lock().get(&number).cloned()
    }
}

#[async_trait]
impl Trail for RecordedTrail {
    async fn record(&self, records: Vec<AuditRecord>) -> Result<(), AuditError> {
        let numbered = records
            .into_iter()
            .filter_map(|record| Some((record.source.offset?, Arc::new(record))));
        self.0.lock().extend(numbered);
        Ok(())
    }
}
