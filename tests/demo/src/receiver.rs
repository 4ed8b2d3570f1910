//! An HTTP endpoint that prints the requests it receives.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{TIMEOUT, say};

/// A running receiver. It stops when dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    arrivals: mpsc::Receiver<()>,
    _task: JoinSet<()>,
}

impl Receiver {
    /// Accepts every request at `/hook`.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (sender, arrivals) = mpsc::channel(1);
        let router = Router::new().route("/hook", post(show)).with_state(sender);
        let mut task = JoinSet::new();
        task.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                say(&format!("The receiver failed: {error}"));
            }
        });
        Ok(Self {
            address,
            arrivals,
            _task: task,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until a request has arrived.
    pub(crate) async fn arrival(&mut self) -> anyhow::Result<()> {
        let arrived = timeout(TIMEOUT, self.arrivals.recv()).await;
        arrived.with_context(|| format!("nothing has arrived after {TIMEOUT:?}"))?;
        Ok(())
    }
}

async fn show(State(arrivals): State<mpsc::Sender<()>>, body: String) {
    say(&format!("arrived    {body}"));
    // The request has been printed even if no caller waits for it.
    let _ = arrivals.try_send(());
}
