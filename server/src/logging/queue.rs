//! The queue of log lines for standard error, and the thread that writes them. Logging never blocks and never fails:
//! lines that do not fit into the queue or cannot be written are dropped and counted.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;

use super::events::DroppedLines;

/// The maximum number of waiting bytes. A longer line is accepted if the queue is empty.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// The maximum memory kept by an idle buffer.
const KEPT_BYTES_MAX: usize = 64 << 10;
/// The time between two attempts to write to a full non-blocking pipe.
const PIPE_WAIT: Duration = Duration::from_millis(10);

/// A handle to the queue. Cloning shares it.
#[derive(Clone)]
pub(crate) struct LogQueue(Arc<Queue>);

struct Queue {
    waiting: Mutex<WaitingLines>,
    filled: Condvar,
    emptied: Condvar,
    dropped: DroppedLines,
}

struct WaitingLines {
    bytes: Vec<u8>,
    /// True until the first line may be written.
    is_held: bool,
    /// True while the thread is writing lines that it has taken.
    is_writing: bool,
}

impl LogQueue {
    /// Starts the thread that writes to `out`. It holds all lines back until [`LogQueue::release`], and runs until the
    /// process ends.
    pub(crate) fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Arc::new(Queue {
            waiting: Mutex::new(WaitingLines {
                bytes: Vec::new(),
                is_held: true,
                is_writing: false,
            }),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            dropped: DroppedLines::new(),
        });
        let shared = queue.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || shared.write_forever(out))?;
        Ok(Self(queue))
    }

    /// Lets the thread write from now on.
    pub(crate) fn release(&self) {
        self.0.waiting.lock().is_held = false;
        self.0.filled.notify_one();
    }

    /// Waits at most `limit` until all lines are written. Does not wait for lines held back.
    pub(crate) fn drain(&self, limit: Duration) {
        let mut waiting = self.0.waiting.lock();
        let is_busy = |waiting: &mut WaitingLines| {
            !waiting.is_held && (waiting.is_writing || !waiting.bytes.is_empty())
        };
        self.0.emptied.wait_while_for(&mut waiting, is_busy, limit);
    }
}

impl Queue {
    fn push(&self, line: &[u8]) {
        let mut waiting = self.waiting.lock();
        let has_room = waiting.bytes.len() + line.len() <= WAITING_BYTES_MAX;
        if waiting.bytes.is_empty() || has_room {
            waiting.bytes.extend_from_slice(line);
            drop(waiting);
            self.filled.notify_one();
        } else {
            drop(waiting);
            self.dropped.queue_full();
        }
    }

    fn write_forever(&self, mut out: impl Write) {
        let mut taken = Vec::new();
        let mut is_written = false;
        loop {
            self.take(&mut taken);
            if is_written {
                // The queue was just emptied, so this line has room.
                self.dropped.report();
            }
            let result = write_all(&mut out, &taken);
            is_written = result.is_ok();
            if let Err(unwritten) = result {
                self.dropped.write_failed(lines_in(&taken[unwritten..]));
            }
            taken.clear();
            taken.shrink_to(KEPT_BYTES_MAX);
        }
    }

    /// Takes all waiting lines; blocks while there are none.
    fn take(&self, taken: &mut Vec<u8>) {
        let mut waiting = self.waiting.lock();
        waiting.is_writing = false;
        if waiting.bytes.is_empty() {
            self.emptied.notify_all();
        }
        let is_idle = |waiting: &mut WaitingLines| waiting.is_held || waiting.bytes.is_empty();
        self.filled.wait_while(&mut waiting, is_idle);
        std::mem::swap(&mut waiting.bytes, taken);
        waiting.is_writing = true;
    }
}

/// Writes all bytes. The error is the number of bytes written before it failed.
fn write_all(out: &mut impl Write, bytes: &[u8]) -> Result<(), usize> {
    let mut written = 0;
    while written < bytes.len() {
        match out.write(&bytes[written..]) {
            Ok(0) => return Err(written),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::park_timeout(PIPE_WAIT),
            Err(_) => return Err(written),
        }
    }
    Ok(())
}

fn lines_in(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter(&self.0)
    }
}

/// Writes one line, which `tracing-subscriber` passes in one call.
pub(crate) struct LineWriter<'a>(&'a Queue);

impl Write for LineWriter<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
