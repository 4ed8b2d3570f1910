//! The one connection of a provider: made when it is first needed, shared by all attempts, replaced when it is lost.
//! How to connect is left to the sink.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

/// A connection that may have been lost.
pub trait BrokerLink: Send + Sync {
    /// False if a new attempt needs a new connection.
    fn is_usable(&self) -> bool;
}

/// A connection of kind `C`, or why there is none.
#[derive(Debug)]
pub struct SharedConnection<C, E> {
    current: Mutex<Option<Arc<C>>>,
    /// The last failure and its time. Locked while an attempt connects.
    failed: tokio::sync::Mutex<Option<(Instant, E)>>,
}

impl<C, E> Default for SharedConnection<C, E> {
    fn default() -> Self {
        Self {
            current: Mutex::default(),
            failed: tokio::sync::Mutex::default(),
        }
    }
}

impl<C: BrokerLink, E: Clone> SharedConnection<C, E> {
    /// The connection. Without one, one attempt connects and the others wait for it.
    ///
    /// # Errors
    /// The failure to connect, also for the attempts that waited meanwhile.
    pub async fn get(&self, connect: impl AsyncFnOnce() -> Result<C, E>) -> Result<Arc<C>, E> {
        if let Some(usable) = self.usable() {
            return Ok(usable);
        }
        let began = Instant::now();
        let mut failed = self.failed.lock().await;
        if let Some(usable) = self.usable() {
            return Ok(usable);
        }
        if let Some((at, error)) = &*failed
            && *at > began
        {
            return Err(error.clone());
        }
        match connect().await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                *self.current.lock() = Some(connection.clone());
                Ok(connection)
            }
            Err(error) => {
                *failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    fn usable(&self) -> Option<Arc<C>> {
        let mut current = self.current.lock();
        current.take_if(|connection| !connection.is_usable());
        current.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
    use std::time::Duration;

    use futures_util::future::join_all;
    use tokio::time::sleep;

    use super::*;

    #[derive(Debug, Default)]
    struct Link {
        is_lost: AtomicBool,
    }

    impl BrokerLink for Link {
        fn is_usable(&self) -> bool {
            !self.is_lost.load(Relaxed)
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn attempts_at_the_same_time_share_one_connection_until_it_is_lost() {
        let shared = SharedConnection::<Link, ()>::default();
        let connects = AtomicUsize::new(0);
        let get = || {
            shared.get(async || {
                connects.fetch_add(1, Relaxed);
                sleep(SECOND).await;
                Ok(Link::default())
            })
        };
        let all = join_all((0..100).map(|_| get())).await;
        assert_eq!(connects.load(Relaxed), 1);
        let first = all[0].as_ref().unwrap();
        first.is_lost.store(true, Relaxed);
        assert!(!Arc::ptr_eq(first, &get().await.unwrap()));
        assert_eq!(connects.load(Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_waited_share_the_failure_and_later_ones_connect_again() {
        let shared = SharedConnection::<Link, usize>::default();
        let connects = AtomicUsize::new(0);
        let get = || {
            shared.get(async || {
                sleep(SECOND).await;
                Err(connects.fetch_add(1, Relaxed))
            })
        };
        let all = join_all((0..100).map(|_| get())).await;
        assert!(all.iter().all(|one| matches!(one, Err(0))));
        assert!(matches!(get().await, Err(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_given_up_while_it_connects_leaves_the_others_to_connect() {
        let shared = SharedConnection::<Link, ()>::default();
        let hung = shared.get(async || std::future::pending().await);
        let next = async {
            sleep(SECOND / 2).await;
            shared.get(async || Ok(Link::default())).await.is_ok()
        };
        let (hung, next) = tokio::join!(tokio::time::timeout(SECOND, hung), next);
        assert!(hung.is_err() && next);
    }
}
