//! Where a connection is in its life: shared by its socket, its requests and the listener.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use futures_util::task::AtomicWaker;
use std::task::Waker;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing: no byte of a request has come.
    Idle,
    /// The head of a request is coming.
    Head,
    /// A request is read, worked on and answered.
    Busy,
    /// It is closed by us.
    Closing,
}

/// The phase of one connection. Each change of it has a number of its own.
pub(super) struct Life {
    /// The number of the change in the upper bits, the phase in the two lowest.
    state: AtomicU64,
    /// When it became idle, in milliseconds since the listener began.
    idle_since_ms: AtomicU64,
    /// True when its request is not waited for any longer.
    cut_off: AtomicBool,
    waker: AtomicWaker,
}

/// A phase, with what tells it from an earlier one of the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen(u64);

impl Seen {
    pub(super) fn phase(self) -> Phase {
        match self.0 & 3 {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Busy,
            _ => Phase::Closing,
        }
    }

    fn then(self, phase: Phase) -> Self {
        let number = match phase {
            Phase::Idle => 0,
            Phase::Head => 1,
            Phase::Busy => 2,
            Phase::Closing => 3,
        };
        Self((self.0 & !3).wrapping_add(4) | number)
    }
}

impl Life {
    /// A connection that has just been accepted.
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            state: AtomicU64::new(0),
            idle_since_ms: AtomicU64::new(now_ms),
            cut_off: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }

    pub(super) fn now(&self) -> Seen {
        Seen(self.state.load(SeqCst))
    }

    /// Goes on to another phase, unless it is closing already.
    pub(super) fn enter(&self, phase: Phase) {
        let next = |state| match Seen(state).phase() {
            Phase::Closing => None,
            Phase::Idle | Phase::Head | Phase::Busy => Some(Seen(state).then(phase).0),
        };
        // It is closing: nothing else happens to it.
        let _ = self.state.fetch_update(SeqCst, SeqCst, next);
    }

    /// Closes it if it is still in the phase that was seen.
    pub(super) fn close(&self, seen: Seen) -> bool {
        let closing = seen.then(Phase::Closing).0;
        let closed = self.state.compare_exchange(seen.0, closing, SeqCst, SeqCst);
        if closed.is_ok() {
            self.waker.wake();
        }
        closed.is_ok()
    }

    pub(super) fn idle_since_ms(&self) -> u64 {
        self.idle_since_ms.load(SeqCst)
    }

    pub(super) fn set_idle_since_ms(&self, now_ms: u64) {
        self.idle_since_ms.store(now_ms, SeqCst);
    }

    /// Has the request under way answered now. False when there is none.
    pub(super) fn cut_off(&self) -> bool {
        self.cut_off.store(true, SeqCst);
        self.waker.wake();
        self.now().phase() == Phase::Busy
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.cut_off.load(SeqCst)
    }

    /// Remembers whom to wake when it is closed or cut off.
    pub(super) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }
}
