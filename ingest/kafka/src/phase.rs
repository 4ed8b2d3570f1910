//! The phases of a session: it runs, drains what is on loan, and closes when the last acknowledgement is through.

use acteon_core::Shutdown;
use tokio::time::Instant;

/// The phase a session is in, and what it has been told.
pub(crate) struct Phases<'a> {
    shutdown: &'a Shutdown,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// Nothing new is read; what is on loan comes to its end.
    Draining,
    /// Everything is settled; the last acknowledgement is on its way, waited for until then.
    Closing(Instant),
}

impl<'a> Phases<'a> {
    pub(crate) fn new(shutdown: &'a Shutdown) -> Self {
        Self {
            shutdown,
            phase: Phase::Running,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// True when there is no time left for anything.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.shutdown.abandon.is_cancelled()
    }

    /// Waits until the session is told to do something other than what it does.
    pub(crate) async fn told(&self) {
        tokio::select! {
            () = self.shutdown.abandon.cancelled() => {}
            () = self.shutdown.stop.cancelled(), if self.is_running() => {}
        }
    }

    /// True once: when the session was running and has been told to stop.
    pub(crate) fn begins_to_drain(&mut self) -> bool {
        let is_told = self.shutdown.stop.is_cancelled() || self.is_abandoned();
        let begins = self.is_running() && is_told;
        if begins {
            self.phase = Phase::Draining;
        }
        begins
    }

    /// The session is to end on its own account. True when it was running.
    pub(crate) fn drain(&mut self) -> bool {
        let begins = self.is_running();
        if begins {
            self.phase = Phase::Draining;
        }
        begins
    }

    /// True once: when nothing is on loan any more, or nobody waits for it. It closes until `deadline` at the latest.
    pub(crate) fn begins_to_close(&mut self, on_loan: usize, deadline: Instant) -> bool {
        let is_drained = on_loan == 0 || self.is_abandoned();
        let begins = self.phase == Phase::Draining && is_drained;
        if begins {
            self.phase = Phase::Closing(deadline);
        }
        begins
    }

    /// Until when the session closes, if it does.
    pub(crate) fn closing(&self) -> Option<Instant> {
        match self.phase {
            Phase::Closing(deadline) => Some(deadline),
            Phase::Running | Phase::Draining => None,
        }
    }
}
