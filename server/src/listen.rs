//! Serves a router on a socket until told to stop, and lets the requests under way finish. How long each connection may
//! idle, and how many there are, is bounded.

mod answering;
mod connections;
mod life;
mod refusal;
mod timed;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use acteon_config::ServerSettings;
use acteon_connect_http::Mannered;
use acteon_core::Shutdown;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::answering::Answering;
use self::connections::{Connections, Entered};
use self::timed::Timed;
use crate::events;

/// How long nothing is accepted after there was no room for a connection.
const NO_ROOM_WAIT: Duration = Duration::from_millis(500);
/// The longest head of a request, and how much of a body is read at once.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// After the time to drain: how long those who wait may take to hear how their actions ended, and then to hear that
/// the process ends.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What bounds the connections of a listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) connections: usize,
    /// From the beginning, or the end of an answer, to the first byte of a request.
    pub(crate) idle: Duration,
    /// From the first byte of a request to the end of its head.
    pub(crate) head: Duration,
}

impl Limits {
    pub(crate) fn of(settings: &ServerSettings) -> Self {
        Self {
            connections: settings.max_connections,
            idle: settings.idle_timeout,
            head: settings.head_timeout,
        }
    }
}

/// Serves until `stop` and all connections have ended. After `abandon` who waits is told so.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Mannered,
    limits: Limits,
    shutdown: Shutdown,
) {
    let Shutdown { stop, abandon } = shutdown;
    let listening = Listening::new(router, limits);
    let mut tasks = JoinSet::new();
    tokio::select! {
        () = accept(&listener, &listening, &mut tasks) => {}
        () = stop.cancelled() => {}
    }
    drop(listener);
    listening.close(async { abandon.cancelled().await }).await;
}

/// Accepts for ever.
async fn accept(listener: &TcpListener, listening: &Listening, tasks: &mut JoinSet<()>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = tasks.join_next() => continue,
        };
        match accepted {
            Ok((socket, _)) => {
                // Answers are small and leave in one write: waiting for more would only delay them.
                let _ = socket.set_nodelay(true);
                // The next one is not accepted before there is a place for this one.
                let entered = listening.connections.enter().await;
                tasks.spawn(listening.connection(socket, entered));
            }
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                events::listener_failed(&error);
                sleep(NO_ROOM_WAIT).await;
            }
        }
    }
}

/// What the connections of a listener share.
struct Listening {
    http: http1::Builder,
    router: Mannered,
    limits: Limits,
    connections: Arc<Connections>,
    ending: GracefulShutdown,
}

impl Listening {
    fn new(router: Mannered, limits: Limits) -> Self {
        let mut http = http1::Builder::new();
        // A client that has sent its request and hangs up wants it done: the end of its bytes ends nothing here. The
        // library's own limit for heads counts the time between requests, too: ours does not.
        http.half_close(true)
            .header_read_timeout(None)
            .max_buf_size(BUFFER_BYTES_MAX);
        Self {
            http,
            router,
            limits,
            connections: Connections::at_most(limits.connections),
            ending: GracefulShutdown::new(),
        }
    }

    fn connection<S>(&self, socket: S, entered: Entered) -> impl Future<Output = ()> + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let life = entered.life().clone();
        let answering = Answering::new(self.router.clone(), life.clone());
        let socket = Timed::new(socket, life, entered.idling(), self.limits);
        let connection = self.http.serve_connection(TokioIo::new(socket), answering);
        let connection = self.ending.watch(connection);
        async move {
            // How a connection ends is its client's concern: there is nobody to tell.
            let _ = connection.await;
            drop(entered);
        }
    }

    /// Lets the requests under way finish until `abandon`.
    async fn close(self, abandon: impl Future<Output = ()>) {
        let closed = self.ending.shutdown();
        tokio::pin!(closed);
        tokio::select! {
            () = closed.as_mut() => return,
            () = abandon => {}
        }
        // Those whose actions are given up now hear it from the pipeline.
        if timeout(LAST_WORDS, closed.as_mut()).await.is_err() {
            events::requests_cut_off(self.connections.cut_off());
            // Who does not read does not hear it.
            let _ = timeout(LAST_WORDS, closed).await;
        }
    }
}

/// Whether it went before it was accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests;
