//! What tells the server to stop: the first signal drains, the second ends at once.

use std::future::pending;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Where signals come from.
pub struct Signals(Origin);

enum Origin {
    Process {
        terminate: Signal,
        interrupt: Signal,
    },
    /// Those that are still to come, the next one last.
    Tokens(Vec<CancellationToken>),
}

impl Signals {
    /// SIGTERM and SIGINT of this process.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn of_process() -> std::io::Result<Self> {
        Ok(Self(Origin::Process {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        }))
    }

    /// One signal when `stop` is cancelled, for whoever embeds the server.
    pub fn from_token(stop: CancellationToken) -> Self {
        Self(Origin::Tokens(vec![stop]))
    }

    /// A first signal when `stop` is cancelled, and a second one when `stop_at_once` is.
    pub fn from_tokens(stop: CancellationToken, stop_at_once: CancellationToken) -> Self {
        Self(Origin::Tokens(vec![stop_at_once, stop]))
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        match &mut self.0 {
            Origin::Process {
                terminate,
                interrupt,
            } => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            Origin::Tokens(tokens) => match tokens.last() {
                Some(next) => {
                    next.cancelled().await;
                    tokens.pop();
                }
                None => pending().await,
            },
        }
    }
}
