//! Waits for a condition by polling it.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::{Instant, sleep};

const ASK_EVERY: Duration = Duration::from_millis(20);

/// Polls until `wanted` accepts the answer, and returns it.
///
/// # Panics
/// After `timeout`, with the last answer.
pub async fn eventually<T: Debug>(
    timeout: Duration,
    ask: impl AsyncFn() -> T,
    wanted: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        let answer = ask().await;
        if wanted(&answer) {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "timed out after {timeout:?}; the last answer was {answer:?}"
        );
        sleep(ASK_EVERY).await;
    }
}
