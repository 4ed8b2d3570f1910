//! Log lines and metrics about the log itself, and about panics.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use metrics::{Counter, counter, describe_counter};

const DROPPED: &str = "acteon_log_lines_dropped_total";

/// Counts dropped lines.
pub(super) struct Dropped {
    for_want_of_room: Counter,
    unwritten: Counter,
    untold: AtomicU64,
}

impl Dropped {
    pub(super) fn new() -> Self {
        describe_counter!(
            DROPPED,
            "Log lines that were dropped, because standard error was read too slowly or not at all."
        );
        Self {
            for_want_of_room: counter!(DROPPED, "reason" => "queue_full"),
            unwritten: counter!(DROPPED, "reason" => "write_failed"),
            untold: AtomicU64::new(0),
        }
    }

    /// Counts a line for which the queue had no room.
    pub(super) fn for_want_of_room(&self) {
        self.for_want_of_room.increment(1);
        self.untold.fetch_add(1, Relaxed);
    }

    /// Counts lines that could not be written.
    pub(super) fn unwritten(&self, lines: u64) {
        self.unwritten.increment(lines);
        self.untold.fetch_add(lines, Relaxed);
    }

    /// Logs how many lines were dropped since the last call.
    pub(super) fn tell(&self) {
        let lines = self.untold.swap(0, Relaxed);
        if lines > 0 {
            tracing::warn!(lines, "log lines were dropped");
        }
    }

    #[cfg(test)]
    pub(super) fn untold(&self) -> u64 {
        self.untold.load(Relaxed)
    }
}

/// The server is starting.
pub(super) fn starting(config: Option<&Path>) {
    let config = config.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    let config = config.map(|path| path.display().to_string());
    let config = config.as_deref().unwrap_or("none: defaults hold");
    tracing::info!(version = env!("CARGO_PKG_VERSION"), config, "starting");
}

/// The panic hook. The default one writes to standard error directly, and so may block.
pub(super) fn panicked(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    let is_captured = backtrace.status() == BacktraceStatus::Captured;
    tracing::error!(
        thread = thread.name(),
        place = panic.location().map(tracing::field::display),
        reason = panic.payload_as_str(),
        backtrace = is_captured.then(|| tracing::field::display(backtrace)),
        "a thread panicked"
    );
}
