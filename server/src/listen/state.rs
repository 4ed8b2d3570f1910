//! The state of a connection, shared by its socket, its requests and the listener.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use futures_util::task::AtomicWaker;
use std::task::Waker;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No byte of a request has arrived.
    Idle,
    /// The head of a request is arriving.
    Head,
    /// A request is being read, processed and answered.
    Busy,
    /// The server closes the connection.
    Closing,
}

/// The phase of one connection, with the number of changes so far.
pub(super) struct ConnectionState {
    /// A [`NumberedPhase`].
    state: AtomicU64,
    /// When it became idle, in milliseconds since the listener started.
    idle_since_ms: AtomicU64,
    /// True once its request is cut off.
    cut_off: AtomicBool,
    waker: AtomicWaker,
}

/// A phase, numbered to distinguish it from earlier ones of the same kind: the number of the change is in the upper
/// bits, the phase in the two lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NumberedPhase(u64);

impl NumberedPhase {
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

impl ConnectionState {
    /// A connection that has just been accepted.
    pub(super) fn new(now_ms: u64) -> Self {
        Self {
            state: AtomicU64::new(0),
            idle_since_ms: AtomicU64::new(now_ms),
            cut_off: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }

    pub(super) fn now(&self) -> NumberedPhase {
        NumberedPhase(self.state.load(SeqCst))
    }

    /// Enters another phase, unless it is already closing.
    pub(super) fn enter(&self, phase: Phase) {
        let next = |state| match NumberedPhase(state).phase() {
            Phase::Closing => None,
            Phase::Idle | Phase::Head | Phase::Busy => Some(NumberedPhase(state).then(phase).0),
        };
        // An error means that it is closing, which nothing changes.
        let _ = self.state.fetch_update(SeqCst, SeqCst, next);
    }

    /// Closes it if it is still in the phase `seen`.
    pub(super) fn close(&self, seen: NumberedPhase) -> bool {
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

    /// Cuts off the request in progress. False if there is none.
    pub(super) fn cut_off(&self) -> bool {
        self.cut_off.store(true, SeqCst);
        self.waker.wake();
        self.now().phase() == Phase::Busy
    }

    pub(super) fn is_cut_off(&self) -> bool {
        self.cut_off.load(SeqCst)
    }

    /// Sets the waker to call when it is closed or cut off.
    pub(super) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }
}
