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
    Token {
        stop: CancellationToken,
        seen: bool,
    },
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
        Self(Origin::Token { stop, seen: false })
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) {
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
            Origin::Token { stop, seen: false } => {
                stop.cancelled().await;
                self.0 = Origin::Token {
                    stop: CancellationToken::new(),
                    seen: true,
                };
            }
            Origin::Token { seen: true, .. } => pending().await,
        }
    }
}
