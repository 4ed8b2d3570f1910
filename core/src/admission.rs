//! How much may be in flight in the process, in actions and in bytes. Whoever reads a message admits it
//! first; the permit travels with the loan and is given back when the loan ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

/// The two bounds. Waiters are served in the order they came.
#[derive(Debug)]
pub struct Admission {
    actions: Semaphore,
    bytes: Semaphore,
    actions_max: u32,
    bytes_max: u32,
}

impl Admission {
    /// At most `actions_max` actions and `bytes_max` bytes in flight (bytes are counted up to 4 GiB).
    pub fn new(actions_max: u32, bytes_max: u64) -> Arc<Self> {
        let actions_max = actions_max.max(1);
        let bytes_max = u32::try_from(bytes_max).unwrap_or(u32::MAX).max(1);
        Arc::new(Self {
            actions: Semaphore::new(actions_max as usize),
            bytes: Semaphore::new(bytes_max as usize),
            actions_max,
            bytes_max,
        })
    }

    /// Waits until there is room. What is larger than the whole bound counts as the whole bound.
    pub async fn admit(self: &Arc<Self>, actions: u32, bytes: u64) -> Permit {
        let mut permit = Permit {
            admission: self.clone(),
            actions: 0,
            bytes: 0,
        };
        let actions = actions.min(self.actions_max);
        if let Ok(taken) = self.actions.acquire_many(actions).await {
            taken.forget();
            permit.actions = actions;
        }
        let bytes = self.clamp(bytes);
        if let Ok(taken) = self.bytes.acquire_many(bytes).await {
            taken.forget();
            permit.bytes = bytes;
        }
        permit
    }

    /// Waits until there is room, at most `patience`.
    pub async fn admit_within(
        self: &Arc<Self>,
        actions: u32,
        bytes: u64,
        patience: Duration,
    ) -> Option<Permit> {
        if let Some(permit) = self.try_admit(actions, bytes) {
            return Some(permit);
        }
        timeout(patience, self.admit(actions, bytes)).await.ok()
    }

    /// Takes a place if there is one now.
    pub fn try_admit(self: &Arc<Self>, actions: u32, bytes: u64) -> Option<Permit> {
        let (actions, bytes) = (actions.min(self.actions_max), self.clamp(bytes));
        let taken_actions = self.actions.try_acquire_many(actions).ok()?;
        let taken_bytes = self.bytes.try_acquire_many(bytes).ok()?;
        taken_actions.forget();
        taken_bytes.forget();
        Some(Permit {
            admission: self.clone(),
            actions,
            bytes,
        })
    }

    /// How many actions are in flight now.
    pub fn actions_in_flight(&self) -> u32 {
        let free = u32::try_from(self.actions.available_permits()).unwrap_or(u32::MAX);
        self.actions_max.saturating_sub(free)
    }

    /// How many bytes are in flight now.
    pub fn bytes_in_flight(&self) -> u32 {
        let free = u32::try_from(self.bytes.available_permits()).unwrap_or(u32::MAX);
        self.bytes_max.saturating_sub(free)
    }

    /// The bound on actions.
    pub fn actions_max(&self) -> u32 {
        self.actions_max
    }

    /// The bound on bytes.
    pub fn bytes_max(&self) -> u32 {
        self.bytes_max
    }

    fn clamp(&self, bytes: u64) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.bytes_max)
    }
}

/// A right to be in flight. Dropping it gives the room back.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    actions: u32,
    bytes: u32,
}

impl Permit {
    /// Parts off one action with its share of bytes, as far as they are still there.
    pub fn split_one(&mut self, bytes: u64) -> Self {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.bytes);
        let actions = self.actions.min(1);
        self.actions -= actions;
        self.bytes -= bytes;
        Self {
            admission: self.admission.clone(),
            actions,
            bytes,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.actions > 0 {
            self.admission.actions.add_permits(self.actions as usize);
        }
        if self.bytes > 0 {
            self.admission.bytes.add_permits(self.bytes as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_comes_back_when_the_last_part_of_a_permit_is_dropped() {
        let admission = Admission::new(2, 100);
        let mut batch = admission.admit(2, 60).await;
        let first = batch.split_one(40);
        assert!(admission.try_admit(1, 1).is_none(), "both places are taken");
        drop(first);
        assert_eq!(
            (admission.actions_in_flight(), admission.bytes_in_flight()),
            (1, 20)
        );
        drop(batch);
        assert_eq!(
            (admission.actions_in_flight(), admission.bytes_in_flight()),
            (0, 0)
        );
    }

    #[tokio::test]
    async fn what_is_larger_than_the_bound_takes_the_whole_bound() {
        let admission = Admission::new(2, 100);
        let all = admission.admit(1, 1_000_000).await;
        assert_eq!(admission.bytes_in_flight(), 100);
        assert!(admission.try_admit(1, 1).is_none());
        drop(all);
        assert!(admission.try_admit(1, 1).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_room_ends_after_the_patience_and_takes_nothing() {
        let admission = Admission::new(1, 100);
        let taken = admission.admit(1, 1).await;
        assert!(
            admission
                .admit_within(1, 1, Duration::from_millis(100))
                .await
                .is_none()
        );
        drop(taken);
        assert_eq!(admission.actions_in_flight(), 0);
    }
}
