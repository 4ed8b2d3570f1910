//! How fast a body has to come. What has come needs no timer and no clock.

use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::poll;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::error::ApiError;

/// Within each such span [`SPAN_BYTES`] have to come, or the rest of the body.
const SPAN: Duration = Duration::from_secs(10);
const SPAN_BYTES: u64 = 10 << 10;
/// How long a body may take however fast it comes.
const LONGEST: Duration = Duration::from_secs(120);

/// Hands out the pieces of one body, as long as it keeps pace.
#[derive(Default)]
pub(crate) struct Pace {
    /// From when the body was first waited for.
    span: Option<Span>,
}

struct Span {
    ends: Instant,
    missing: u64,
    last: Instant,
}

impl Pace {
    /// The next piece of data; trailers are passed over.
    ///
    /// # Errors
    /// `REQUEST_TIMEOUT`; `INVALID_JSON` when the body ends early.
    pub(crate) async fn next(&mut self, body: &mut Body) -> Result<Option<Bytes>, ApiError> {
        let piece = next(body);
        tokio::pin!(piece);
        let piece = match poll!(piece.as_mut()) {
            Poll::Ready(piece) => piece?,
            Poll::Pending => {
                let span = self.span.get_or_insert_with(Span::first);
                let late = span.ends.min(span.last);
                timeout_at(late, piece).await.map_err(|_| too_slow())??
            }
        };
        if let (Some(span), Some(piece)) = (&mut self.span, &piece) {
            span.count(piece.len() as u64);
        }
        Ok(piece)
    }

    /// Begins a new span: the body was not read for a while, and that is not its sender's fault.
    pub(crate) fn pause(&mut self) {
        if let Some(span) = &mut self.span {
            span.restart();
        }
    }
}

impl Span {
    fn first() -> Self {
        let now = Instant::now();
        Self {
            ends: now + SPAN,
            missing: SPAN_BYTES,
            last: now + LONGEST,
        }
    }

    fn count(&mut self, bytes: u64) {
        self.missing = self.missing.saturating_sub(bytes);
        if self.missing == 0 {
            self.restart();
        }
    }

    fn restart(&mut self) {
        self.ends = Instant::now() + SPAN;
        self.missing = SPAN_BYTES;
    }
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
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
    let (bytes, span) = (SPAN_BYTES, SPAN.as_secs());
    let whole = LONGEST.as_secs();
    ApiError::request_timeout(format!(
        "the body came too slowly: send at least {bytes} bytes within {span} seconds, and all within {whole}"
    ))
}
