//! Log lines and metrics about the log itself, and about panics.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use metrics::{Counter, counter, describe_counter};

const DROPPED: &str = "acteon_log_lines_dropped_total";

/// Counts dropped lines.
pub(super) struct DroppedLines {
    queue_full: Counter,
    write_failed: Counter,
    unreported: AtomicU64,
}

impl DroppedLines {
    pub(super) fn new() -> Self {
        describe_counter!(
            DROPPED,
            "Log lines dropped because standard error was read too slowly or not at all."
        );
        Self {
            queue_full: counter!(DROPPED, "reason" => "queue_full"),
            write_failed: counter!(DROPPED, "reason" => "write_failed"),
            unreported: AtomicU64::new(0),
        }
    }

    /// Counts a line for which the queue had no room.
    pub(super) fn queue_full(&self) {
        self.queue_full.increment(1);
        self.unreported.fetch_add(1, Relaxed);
    }

    /// Counts lines that could not be written.
    pub(super) fn write_failed(&self, lines: u64) {
        self.write_failed.increment(lines);
        self.unreported.fetch_add(lines, Relaxed);
    }

    /// Logs how many lines were dropped since the last call.
    pub(super) fn report(&self) {
        let lines = self.unreported.swap(0, Relaxed);
        if lines > 0 {
            tracing::warn!(lines, "log lines were dropped");
        }
    }

    #[cfg(test)]
    pub(super) fn unreported(&self) -> u64 {
        self.unreported.load(Relaxed)
    }
}

/// The server is starting.
pub(super) fn starting(config: Option<&Path>) {
    let config = config.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    let config = config.map(|path| path.display().to_string());
    let config = config.as_deref().unwrap_or("none: defaults apply");
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
