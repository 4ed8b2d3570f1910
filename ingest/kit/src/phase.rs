//! The phases of a session: it runs, drains its loans, and closes when the last acknowledgement is confirmed.

use acteon_core::Shutdown;
use tokio::time::Instant;

/// The phase of a session, and its shutdown signal.
#[derive(Debug)]
pub struct Phases<'a> {
    shutdown: &'a Shutdown,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// Nothing new is read; the loans end.
    Draining,
    /// Everything is settled; the last acknowledgement is on its way, awaited until this instant.
    Closing(Instant),
}

impl<'a> Phases<'a> {
    /// A running session, until `shutdown` signals otherwise.
    pub fn new(shutdown: &'a Shutdown) -> Self {
        Self {
            shutdown,
            phase: Phase::Running,
        }
    }

    /// True while the session takes new work.
    pub fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// True if there is no time left at all.
    pub fn is_abandoned(&self) -> bool {
        self.shutdown.abandon.is_cancelled()
    }

    /// Waits for a signal that changes the phase.
    pub async fn signalled(&self) {
        tokio::select! {
            () = self.shutdown.abandon.cancelled() => {}
            () = self.shutdown.stop.cancelled(), if self.is_running() => {}
        }
    }

    /// True once: when a running session is asked to stop.
    pub fn begins_to_drain(&mut self) -> bool {
        let is_signalled = self.shutdown.stop.is_cancelled() || self.is_abandoned();
        let begins = self.is_running() && is_signalled;
        if begins {
            self.phase = Phase::Draining;
        }
        begins
    }

    /// Ends the session without a shutdown. True if it was running.
    pub fn drain(&mut self) -> bool {
        let begins = self.is_running();
        if begins {
            self.phase = Phase::Draining;
        }
        begins
    }

    /// True once: when no loans are left, or the session is abandoned. It closes by `deadline` at the latest.
    pub fn begins_to_close(&mut self, on_loan: usize, deadline: Instant) -> bool {
        let is_drained = on_loan == 0 || self.is_abandoned();
        let begins = self.phase == Phase::Draining && is_drained;
        if begins {
            self.phase = Phase::Closing(deadline);
        }
        begins
    }

    /// The deadline for closing, in that phase.
    pub fn closing(&self) -> Option<Instant> {
        match self.phase {
            Phase::Closing(deadline) => Some(deadline),
            Phase::Running | Phase::Draining => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn is_signalled(phases: &Phases<'_>) -> bool {
        let signal = phases.signalled();
        timeout(Duration::from_secs(1), signal).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_drains_on_a_stop_and_closes_when_nothing_is_on_loan() {
        let shutdown = Shutdown::default();
        let mut phases = Phases::new(&shutdown);
        assert!(!is_signalled(&phases).await && !phases.begins_to_drain());
        shutdown.stop.cancel();
        assert!(is_signalled(&phases).await);
        assert!(phases.begins_to_drain() && !phases.begins_to_drain());
        assert!(!phases.is_running() && !is_signalled(&phases).await);
        let deadline = Instant::now() + Duration::from_secs(5);
        assert!(!phases.begins_to_close(1, deadline));
        assert!(phases.begins_to_close(0, deadline) && !phases.begins_to_close(0, deadline));
        assert_eq!(phases.closing(), Some(deadline));
    }

    #[tokio::test(start_paused = true)]
    async fn an_abandoned_session_closes_whatever_is_on_loan() {
        let shutdown = Shutdown::default();
        let mut phases = Phases::new(&shutdown);
        shutdown.abandon.cancel();
        assert!(is_signalled(&phases).await && phases.is_abandoned());
        assert!(phases.begins_to_drain() && phases.begins_to_close(9, Instant::now()));
    }
}
