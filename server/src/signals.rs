//! The signals of the server: the first to stop drains it, the second ends it at once, and SIGHUP reloads the rules.

use std::future::pending;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The signals of a server.
pub struct Signals {
    stops: StopSignals,
    hangups: Option<Signal>,
}

/// The signals to reload what can change at run time.
pub(crate) struct Reloads(Option<Signal>);

enum StopSignals {
    Process {
        terminate: Signal,
        interrupt: Signal,
    },
    /// The remaining signals, the next one last.
    Tokens(Vec<CancellationToken>),
}

impl Signals {
    /// The signals of this process: SIGTERM and SIGINT stop, SIGHUP reloads.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn of_process() -> std::io::Result<Self> {
        Ok(Self {
            stops: StopSignals::Process {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
            },
            hangups: Some(signal(SignalKind::hangup())?),
        })
    }

    /// One signal, sent when `stop` is cancelled. For programs that embed the server.
    pub fn from_token(stop: CancellationToken) -> Self {
        Self::of_tokens(vec![stop])
    }

    /// Two signals, sent when `stop` and when `stop_at_once` is cancelled.
    pub fn from_tokens(stop: CancellationToken, stop_at_once: CancellationToken) -> Self {
        Self::of_tokens(vec![stop_at_once, stop])
    }

    fn of_tokens(tokens: Vec<CancellationToken>) -> Self {
        Self {
            stops: StopSignals::Tokens(tokens),
            hangups: None,
        }
    }

    /// Takes the signals to reload, which are waited for separately.
    pub(crate) fn take_reloads(&mut self) -> Reloads {
        Reloads(self.hangups.take())
    }

    /// Waits for the next signal to stop.
    pub async fn next(&mut self) {
        match &mut self.stops {
            StopSignals::Process {
                terminate,
                interrupt,
            } => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            StopSignals::Tokens(tokens) => match tokens.last() {
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
        let received = match &mut self.0 {
            Some(hangups) => hangups.recv().await,
            None => None,
        };
        if received.is_none() {
            pending::<()>().await;
        }
    }
}
