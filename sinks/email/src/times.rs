//! The deadlines of one attempt. The reply to the message has its own share, because servers may take long for it
//! (RFC 5321, 4.5.3.2.6).

use std::time::Duration;

use tokio::time::Instant;

/// The deadlines of one attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttemptTimes {
    /// When to stop naming recipients, so that those accepted get the message.
    pub(crate) recipients_until: Instant,
    /// The end of all steps before the message.
    pub(crate) steps_until: Instant,
    /// The end of the attempt.
    pub(crate) ends_at: Instant,
}

impl AttemptTimes {
    /// Those of an attempt that starts now, takes `limit`, and keeps `final_reply` of it for the reply to the message.
    pub(crate) fn new(limit: Duration, final_reply: Duration) -> Self {
        let start = Instant::now();
        let steps = limit.saturating_sub(final_reply);
        Self {
            recipients_until: start + steps * 3 / 4,
            steps_until: start + steps,
            ends_at: start + limit,
        }
    }
}
