//! The queue of log lines for standard error, and the thread that writes them. Logging never blocks and never fails: lines
//! that do not fit into the queue or cannot be written are dropped and counted.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;

use super::events::Dropped;

/// The most bytes that may wait. A longer line is accepted when the queue is empty.
const WAITING_BYTES_MAX: usize = 4 << 20;
/// The most memory that an idle buffer keeps.
const KEPT_BYTES_MAX: usize = 64 << 10;
/// The time between two attempts to write to a full non-blocking pipe.
const PIPE_WAIT: Duration = Duration::from_millis(10);

/// A handle to the queue. Cloning shares it.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Queue>);

struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    emptied: Condvar,
    dropped: Dropped,
}

struct Waiting {
    bytes: Vec<u8>,
    /// True until the first line may be written.
    is_held: bool,
    /// True while the thread is writing lines that it has taken.
    is_writing: bool,
}

impl Lines {
    /// Starts the thread that writes to `out`. It holds all lines back until [`Lines::release`], and runs until the process
    /// ends.
    pub(crate) fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Arc::new(Queue {
            waiting: Mutex::new(Waiting {
                bytes: Vec::new(),
                is_held: true,
                is_writing: false,
            }),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            dropped: Dropped::new(),
        });
        let of_thread = queue.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || of_thread.write_for_ever(out))?;
        Ok(Self(queue))
    }

    /// Has lines written from now on.
    pub(crate) fn release(&self) {
        self.0.waiting.lock().is_held = false;
        self.0.filled.notify_one();
    }

    /// Waits until all is written, but no longer than `limit`. Does not wait for lines that are held back.
    pub(crate) fn drain(&self, limit: Duration) {
        let mut waiting = self.0.waiting.lock();
        let is_busy = |waiting: &mut Waiting| {
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
            self.dropped.for_want_of_room();
        }
    }

    fn write_for_ever(&self, mut out: impl Write) {
        let (mut taken, mut is_written) = (Vec::new(), false);
        loop {
            self.take(&mut taken);
            if is_written {
                // The queue was just emptied, so this line has room.
                self.dropped.tell();
            }
            let result = write_all(&mut out, &taken);
            is_written = result.is_ok();
            if let Err(unwritten) = result {
                self.dropped.unwritten(lines_in(&taken[unwritten..]));
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
        let is_idle = |waiting: &mut Waiting| waiting.is_held || waiting.bytes.is_empty();
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

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// Writes one line, which `tracing-subscriber` passes in one call.
pub(crate) struct Line<'a>(&'a Queue);

impl Write for Line<'_> {
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
