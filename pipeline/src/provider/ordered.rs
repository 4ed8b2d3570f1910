//! What a provider does for order: it finds the sequence of a job, and it says which sequences have changed. Providers
//! to which order does not matter find none, at no cost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use acteon_core::{Envelope, Policy, SinkError};

use super::sequences::{SequencePlace, Sequences};
use super::{Provider, Providers};
use crate::job::Job;
use crate::templates::WrittenAction;

impl Providers {
    /// Parts jobs: first the ones whose order does not matter, then the ones for providers to which it does.
    pub(crate) fn part_ordered(&self, jobs: Vec<Box<Job>>) -> (Vec<Box<Job>>, Vec<Box<Job>>) {
        if self.sequences.is_empty() {
            return (jobs, Vec::new());
        }
        let is_ordered = |target: &str| {
            let provider = self.get(target);
            provider.is_some_and(|provider| provider.sequences.is_some())
        };
        jobs.into_iter()
            .partition(|job| !is_ordered(&job.route.target))
    }

    /// Gives up the places that an action kept in sequences while it was away.
    pub(crate) fn forget_places(&self, envelope: &Envelope) {
        for sequences in &self.sequences {
            sequences.forget(envelope);
        }
    }
}

impl Provider {
    /// The sequences of a provider to which order matters.
    pub(super) fn sequences_of(sink: &dyn acteon_core::Sink) -> Option<Arc<Sequences>> {
        sink.as_ordered().map(|_| Arc::default())
    }

    /// Finds the sequence of a job. False if it belongs to none.
    pub(crate) async fn find_sequence(&self, job: &mut Job) -> bool {
        if self.sequences.is_none() {
            return false;
        }
        if job.route.sequence.is_none() {
            let templates = &self.options.templates;
            let written = templates.write(self.name(), &job.delivery.action).await;
            job.route.sequence = self.sequence_place(job, written);
        }
        job.route.sequence.is_some()
    }

    /// The place of a job in its sequence, found without waiting.
    pub(crate) fn sequence_place_here(&self, job: &Job) -> Option<Box<SequencePlace>> {
        self.sequences.as_ref()?;
        let templates = &self.options.templates;
        let written = templates.write_here(self.name(), &job.delivery.action);
        self.sequence_place(job, written)
    }

    /// An action that the sink will not see has no place, and neither has the replay of a dead letter: what was decided
    /// after it has long been delivered.
    fn sequence_place(
        &self,
        job: &Job,
        written: Result<Option<WrittenAction>, SinkError>,
    ) -> Option<Box<SequencePlace>> {
        let sequences = self.sequences.as_ref()?;
        if job.delivery.policy == Policy::Replay {
            return None;
        }
        let written = written.ok()?;
        let action = written.as_ref().map(|written| &written.action);
        let action = action.unwrap_or(&job.delivery.action);
        let sink = self.options.sink.as_ordered()?;
        // A panic is a bug of the sink, and must not take the batch with it.
        let key = catch_unwind(AssertUnwindSafe(|| sink.ordering_key(action)));
        let place = sequences.place(&key.ok()??, &job.delivery);
        Some(Box::new(place))
    }

    /// About how long one attempt takes.
    pub(super) fn attempt_time(&self) -> Duration {
        self.stats.lock().mean_latency()
    }

    /// Waits until a sequence has changed. Never returns if there are none.
    pub(super) async fn sequences_changed(&self) {
        match &self.sequences {
            Some(sequences) => sequences.changed().await,
            None => std::future::pending().await,
        }
    }

    /// The keys of the sequences that have changed.
    pub(super) fn changed_sequences(&self) -> Vec<u64> {
        let sequences = self.sequences.as_ref();
        sequences.map_or_else(Vec::new, |sequences| sequences.take_changed())
    }
}
