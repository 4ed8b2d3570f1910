//! What stands in for the outside of the pipeline and remembers what reached it: providers and the audit trail.

use std::collections::{BTreeMap, VecDeque};
use std::future::pending;
use std::sync::Arc;

use acteon_core::audit::AuditError;
use acteon_core::{
    Attempt, AuditRecord, FailureCode, Payload, ProviderResponse, Sink, SinkError, Trail,
};
use async_trait::async_trait;
use parking_lot::Mutex;

use crate::case::Answer;

/// A provider that remembers what it was asked to deliver.
#[derive(Default)]
pub(crate) struct Recorder {
    /// The payloads of the calls since they were last taken.
    calls: Mutex<Vec<Payload>>,
    /// The answers to come; the last one stays.
    answers: Mutex<VecDeque<Answer>>,
}

impl Recorder {
    /// From now on it answers so; the last answer is repeated.
    pub(crate) fn answer(&self, answers: &[Answer]) {
        *self.answers.lock() = answers.iter().copied().collect();
    }

    /// The calls since this was last asked.
    pub(crate) fn take_calls(&self) -> Vec<Payload> {
        std::mem::take(&mut *self.calls.lock())
    }

    fn next_answer(&self) -> Answer {
        let mut answers = self.answers.lock();
        let next = match answers.len() {
            0 | 1 => answers.front().copied(),
            _ => answers.pop_front(),
        };
        next.unwrap_or(Answer::Succeed)
    }
}

#[async_trait]
impl Sink for Recorder {
    async fn deliver(&self, attempt: Attempt<'_>) -> Result<ProviderResponse, SinkError> {
        self.calls.lock().push(attempt.action.payload.clone());
        match self.next_answer() {
            Answer::Succeed => ProviderResponse::success(&serde_json::json!({}))
                .map_err(|error| failed_for_good(&error.to_string())),
            Answer::Fail => Err(failed_for_good("the test has it fail")),
            Answer::BeUnavailable => {
                let message = "the test has it be unavailable";
                Err(SinkError::transient(FailureCode::Connection, message))
            }
            Answer::Hang => pending().await,
        }
    }
}

fn failed_for_good(message: &str) -> SinkError {
    SinkError::permanent(FailureCode::ExecutionFailed, message)
}

/// An audit trail that keeps its records for as long as the test lasts, by the number of their dispatch.
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
