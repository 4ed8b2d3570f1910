//! Runs a source's connection and reconnects forever, with growing delays.

use std::time::Duration;

use acteon_core::source::SourceError;
use acteon_core::{Backoff, Shutdown};
use async_trait::async_trait;
use tokio::time::{Instant, sleep};

/// A connection that is recreated after it breaks.
#[async_trait]
pub trait Connection: Send + Sync {
    /// The library's error for a broken connection.
    type Lost: Send;

    /// Connects and reads until shutdown, or until the connection breaks.
    async fn run(&self, shutdown: &Shutdown) -> ConnectionEnd<Self::Lost>;

    /// Called on every disconnect, with the delay before reconnecting.
    fn lost(&self, error: Self::Lost, wait: Duration);
}

/// How one connection ended.
#[derive(Debug)]
pub enum ConnectionEnd<E> {
    /// It stopped on shutdown.
    Stopped,
    /// It broke and will be retried.
    Lost(E),
    /// It can never work.
    Hopeless(SourceError),
}

/// Runs `connection` until it stops. A connection that lasted longer than the longest delay counts as a success and
/// resets the delays.
///
/// # Errors
/// When a connection can never work.
pub async fn supervise<C: Connection>(
    connection: &C,
    mut backoff: Backoff,
    shutdown: &Shutdown,
) -> Result<(), SourceError> {
    while !shutdown.stop.is_cancelled() {
        let began = Instant::now();
        match connection.run(shutdown).await {
            ConnectionEnd::Stopped => return Ok(()),
            ConnectionEnd::Hopeless(error) => return Err(error),
            ConnectionEnd::Lost(error) => {
                if began.elapsed() > backoff.longest() {
                    backoff.reset();
                }
                let wait = backoff.next_wait();
                connection.lost(error, wait);
                tokio::select! {
                    () = sleep(wait) => {}
                    () = shutdown.stop.cancelled() => {}
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use parking_lot::Mutex;

    use super::*;

    /// Each connection lasts this many seconds and breaks; stops when none are left.
    struct Breaking {
        lasts: Mutex<VecDeque<u64>>,
        waits: Mutex<Vec<Duration>>,
        stop_at_first: bool,
        shutdown: Shutdown,
    }

    impl Breaking {
        fn after(seconds: &[u64]) -> Self {
            Self {
                lasts: Mutex::new(seconds.iter().copied().collect()),
                waits: Mutex::default(),
                stop_at_first: false,
                shutdown: Shutdown::default(),
            }
        }

        async fn supervised(self) -> Vec<Duration> {
            let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
            supervise(&self, backoff, &self.shutdown).await.unwrap();
            self.waits.into_inner()
        }
    }

    #[async_trait]
    impl Connection for Breaking {
        type Lost = &'static str;

        async fn run(&self, _: &Shutdown) -> ConnectionEnd<&'static str> {
            let last = self.lasts.lock().pop_front();
            let Some(seconds) = last else {
                return ConnectionEnd::Stopped;
            };
            sleep(Duration::from_secs(seconds)).await;
            ConnectionEnd::Lost("broken")
        }

        fn lost(&self, error: &'static str, wait: Duration) {
            assert_eq!(error, "broken");
            self.waits.lock().push(wait);
            if self.stop_at_first {
                self.shutdown.stop.cancel();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_connection_is_made_again_after_growing_waits() {
        let waits = Breaking::after(&[0; 5]).supervised().await;
        assert_eq!(waits.len(), 5);
        let last = waits[4].as_secs_f64();
        assert!((5.0..=10.0).contains(&last), "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_lasted_resets_the_waits() {
        let waits = Breaking::after(&[0, 0, 0, 0, 60]).supervised().await;
        assert!(waits[4] <= Duration::from_secs(1), "{waits:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_wait() {
        let mut breaking = Breaking::after(&[0; 5]);
        breaking.stop_at_first = true;
        assert_eq!(breaking.supervised().await.len(), 1);
    }
}
