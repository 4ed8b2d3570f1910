//! A small stack and little memory, so that what would exhaust a server ends the test.

use std::alloc::System;
use std::panic;
use std::sync::{Mutex, PoisonError};
use std::thread;

use cap::Cap;

/// Half of what a worker of the server has, although unoptimised code takes more of it.
const STACK_BYTES: usize = 1 << 20;
/// How much one input may take beyond what is in use when it begins.
const MEMORY_BYTES: usize = 256 << 20;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// The memory is that of the process, so one input is run at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Runs `work` within the bounds. Its panic goes on here.
pub(crate) fn within<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    limit_memory(MEMORY.allocated() + MEMORY_BYTES);
    let ended = thread::scope(|scope| {
        let small = thread::Builder::new().stack_size(STACK_BYTES);
        let started = small.spawn_scoped(scope, work);
        started.map(thread::ScopedJoinHandle::join)
    });
    limit_memory(usize::MAX);
    match ended {
        Ok(Ok(done)) => done,
        Ok(Err(panicked)) => panic::resume_unwind(panicked),
        Err(error) => panic!("no thread to run the input on: {error}"),
    }
}

fn limit_memory(bytes: usize) {
    assert!(MEMORY.set_limit(bytes).is_ok(), "more is in use than that");
}
