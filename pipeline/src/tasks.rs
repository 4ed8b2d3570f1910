//! The tasks of the pipeline: the workers of the providers, and the tasks for waiting actions. A task that panics is
//! restarted, counted, and reported in `/ready`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::health::Part;
use compact_str::CompactString;
use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::events;
use crate::process::Pipeline;
use crate::provider::Worker;

/// How long `/ready` reports a panic.
const PANIC_SHOWN_FOR: Duration = Duration::from_secs(60);
/// The delay before a panicked task is restarted.
const RESTART_WAIT: Duration = Duration::from_millis(100);

/// The last task that panicked.
#[derive(Default)]
pub(crate) struct Tasks(Mutex<Option<(CompactString, Instant)>>);

impl Tasks {
    fn panicked(&self, name: &str) {
        events::task_panicked(name);
        *self.0.lock() = Some((name.into(), Instant::now()));
    }

    fn part(&self) -> Part {
        let last = self.0.lock();
        match &*last {
            Some((name, at)) if at.elapsed() < PANIC_SHOWN_FOR => {
                let detail = format!("the task `{name}` panicked and was restarted");
                Part::unready("pipeline", detail)
            }
            Some(_) | None => Part::ready("pipeline"),
        }
    }
}

impl Pipeline {
    /// The readiness of the pipeline's tasks.
    pub fn readiness(&self) -> Part {
        self.tasks.part()
    }

    /// Runs the providers' workers, the renewal of holds, and the tasks for waiting actions, until `closing`.
    /// Unfinished actions then return to their sources.
    pub async fn run(self: Arc<Self>, closing: CancellationToken) {
        let mut workers = JoinSet::new();
        for provider in self.parts.providers.all() {
            if let Some(worker) = Worker::new(self.clone(), provider.clone()) {
                let pipeline = self.clone();
                let closing = closing.clone();
                let name = provider.name().clone();
                workers.spawn(async move { pipeline.work(worker, &name, &closing).await });
            }
        }
        let lease = self.parts.options.lease;
        let keeping = || {
            let released = |settlements: &[_]| self.waiting.settled(settlements);
            self.holds.keep(&*self.parts.state, lease, released)
        };
        tokio::select! {
            () = closing.cancelled() => {}
            () = self.restart_forever("holds", keeping) => {}
            () = self.restart_forever("dedup", || self.ask_for_waiting()) => {}
            () = self.restart_forever("dead_letters", || self.store_unstored_letters()) => {}
            () = self.restart_forever("scheduler", || self.schedule()) => {}
            () = self.restart_forever("silences", || self.follow_silences()) => {}
        }
        self.closing.cancel();
        let waiting = self.waiting.take_all().into_iter();
        let mut ended: Vec<_> = waiting.map(Self::shutting_down).collect();
        ended.extend(self.take_unstored());
        self.settle(ended).await;
        while workers.join_next().await.is_some() {}
        // What is not reported here falls due again when its lease ends.
        let _ = self.finish_flushes().await;
        let _ = self.report_notices().await;
        self.release_dropped().await;
    }

    /// Releases holds that were dropped without a settlement.
    pub(crate) async fn release_dropped(&self) {
        let released = |settlements: &[_]| self.waiting.settled(settlements);
        // Failed releases are kept for the task that retries them, or expire with their lease.
        let _ = self.holds.release(&*self.parts.state, released).await;
    }

    async fn work(&self, mut worker: Worker, name: &str, closing: &CancellationToken) {
        while !closing.is_cancelled() {
            let run = AssertUnwindSafe(worker.run(closing)).catch_unwind();
            if run.await.is_err() {
                self.tasks.panicked(name);
                worker.recover();
            }
        }
        worker.close().await;
    }

    async fn restart_forever<F: Future<Output = ()>>(&self, name: &str, begin: impl Fn() -> F) {
        loop {
            if AssertUnwindSafe(begin()).catch_unwind().await.is_err() {
                self.tasks.panicked(name);
            }
            sleep(RESTART_WAIT).await;
        }
    }
}
