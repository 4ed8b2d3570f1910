//! What tells the server to stop, where the first signal drains and the second ends at once, and what tells it to read
//! again what it can.

use std::future::pending;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Where signals come from.
pub struct Signals {
    stops: Origin,
    hangups: Option<Signal>,
}

/// What asks the server to read again what can change while it runs.
pub(crate) struct Reloads(Option<Signal>);

enum Origin {
    Process {
        terminate: Signal,
        interrupt: Signal,
    },
    /// Those that are still to come, the next one last.
    Tokens(Vec<CancellationToken>),
}

impl Signals {
    /// SIGTERM and SIGINT of this process, which tell to stop, and SIGHUP, which tells to reload.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn of_process() -> std::io::Result<Self> {
        Ok(Self {
            stops: Origin::Process {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            },
            hangups: Some(signal(SignalKind::hangup())?),
        })
    }

    /// One signal when `stop` is cancelled, for whoever embeds the server.
    pub fn from_token(stop: CancellationToken) -> Self {
        Self::of_tokens(vec![stop])
    }

    /// A first signal when `stop` is cancelled, and a second one when `stop_at_once` is.
    pub fn from_tokens(stop: CancellationToken, stop_at_once: CancellationToken) -> Self {
        Self::of_tokens(vec![stop_at_once, stop])
    }

    fn of_tokens(tokens: Vec<CancellationToken>) -> Self {
        Self {
            stops: Origin::Tokens(tokens),
            hangups: None,
        }
    }

    /// Those that tell to reload, to be waited for apart.
    pub(crate) fn take_reloads(&mut self) -> Reloads {
        Reloads(self.hangups.take())
    }

    /// Waits for the next signal to stop.
    pub async fn next(&mut self) {
        match &mut self.stops {
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

impl Reloads {
    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        let came = match &mut self.0 {
            Some(hangups) => hangups.recv().await,
            None => None,
        };
        if came.is_none() {
            pending::<()>().await;
        }
    }
}
