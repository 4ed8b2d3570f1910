//! A small stack and little memory, so that an input that would exhaust a server ends the test.

use std::alloc::System;
use std::panic;
use std::sync::{Mutex, PoisonError};
use std::thread;

use cap::Cap;

/// Half the stack of a server's worker, although unoptimised code needs more.
const STACK_BYTES: usize = 1 << 20;
/// How much memory one input may take beyond the amount in use when it starts.
const MEMORY_BYTES: usize = 256 << 20;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// The limit is per process, so one input runs at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Runs `work` within the bounds and resumes its panic.
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
    assert!(
        MEMORY.set_limit(bytes).is_ok(),
        "more memory is in use than the limit"
    );
}
