//! A request body that must arrive at a minimum speed. Data that has already arrived needs no timer and no clock.

use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures_util::poll;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::error::ApiError;

/// [`INTERVAL_BYTES`], or the rest of the body, must arrive within each interval.
const INTERVAL: Duration = Duration::from_secs(10);
const INTERVAL_BYTES: u64 = 10 << 10;
/// The maximum time for a whole body, at any speed.
const TOTAL: Duration = Duration::from_secs(120);

/// Reads one body in pieces and fails when it arrives too slowly.
pub(crate) struct TimedBody {
    body: Body,
    /// Set the first time that reading has to wait.
    deadlines: Option<Deadlines>,
}

struct Deadlines {
    interval: Instant,
    /// How many bytes are still due in this interval.
    missing: u64,
    total: Instant,
}

impl TimedBody {
    pub(crate) fn new(body: Body) -> Self {
        Self {
            body,
            deadlines: None,
        }
    }

    /// The next piece of data, without the trailers.
    ///
    /// # Errors
    /// `REQUEST_TIMEOUT` if the body arrives too slowly; `INVALID_JSON` if it ends early.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let piece = next_data(&mut self.body);
        tokio::pin!(piece);
        let piece = match poll!(piece.as_mut()) {
            Poll::Ready(piece) => piece?,
            Poll::Pending => {
                let deadlines = self.deadlines.get_or_insert_with(Deadlines::start);
                let earliest = deadlines.interval.min(deadlines.total);
                timeout_at(earliest, piece)
                    .await
                    .map_err(|_| too_slow())??
            }
        };
        if let (Some(deadlines), Some(piece)) = (&mut self.deadlines, &piece) {
            deadlines.count(piece.len() as u64);
        }
        Ok(piece)
    }

    /// Starts a new interval after a pause in reading, for which the sender is not to blame.
    pub(crate) fn restart_interval(&mut self) {
        if let Some(deadlines) = &mut self.deadlines {
            deadlines.restart_interval();
        }
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.body.is_end_stream()
    }

    /// The minimum number of bytes still to come.
    pub(crate) fn rest_min(&self) -> u64 {
        self.body.size_hint().lower()
    }

    /// The maximum number of bytes still to come; `None` if it is not declared.
    pub(crate) fn rest_max(&self) -> Option<u64> {
        self.body.size_hint().upper()
    }
}

impl Deadlines {
    fn start() -> Self {
        let now = Instant::now();
        Self {
            interval: now + INTERVAL,
            missing: INTERVAL_BYTES,
            total: now + TOTAL,
        }
    }

    fn count(&mut self, bytes: u64) {
        self.missing = self.missing.saturating_sub(bytes);
        if self.missing == 0 {
            self.restart_interval();
        }
    }

    fn restart_interval(&mut self) {
        self.interval = Instant::now() + INTERVAL;
        self.missing = INTERVAL_BYTES;
    }
}

async fn next_data(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Err(_)) => return Err(ApiError::invalid_json("the body ended early")),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

fn too_slow() -> ApiError {
    let interval = INTERVAL.as_secs();
    let total = TOTAL.as_secs();
    ApiError::request_timeout(format!(
        "the body arrived too slowly: send at least {INTERVAL_BYTES} bytes every {interval} seconds, and all of it \
         within {total}"
    ))
}
