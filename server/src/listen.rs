//! Serves a router on a listener until shutdown, then lets the requests in progress finish. Limits the number of
//! connections and how long each may be idle.

mod connections;
mod refusal;
mod service;
mod socket;
mod state;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use acteon_config::ServerSettings;
use acteon_connect_http::ApiService;
use acteon_core::Shutdown;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::connections::{ConnectionPermit, OpenConnections};
use self::service::RequestService;
use self::socket::TimedSocket;
use crate::events;

/// The wait after a connection could not be accepted.
const ACCEPT_RETRY_WAIT: Duration = Duration::from_millis(500);
/// The maximum size of a request's head, and of one read of a body.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// The time for each of the last two steps after the time to drain: answering callers whose actions are given up, then
/// answering the rest.
const CUT_OFF_TIMEOUT: Duration = Duration::from_millis(500);

/// The limits on the connections of a listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    pub(crate) connections: usize,
    /// From the start of a connection or the end of a response to the first byte of a request.
    pub(crate) idle: Duration,
    /// From the first byte of a request to the end of its head.
    pub(crate) head: Duration,
}

impl ConnectionLimits {
    pub(crate) fn of(settings: &ServerSettings) -> Self {
        Self {
            connections: settings.max_connections,
            idle: settings.idle_timeout,
            head: settings.head_timeout,
        }
    }
}

/// Serves until `stop`, and then until all connections have ended. After `abandon`, callers still waiting get a refusal.
pub(crate) async fn serve(
    listener: TcpListener,
    router: ApiService,
    limits: ConnectionLimits,
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

/// Accepts connections forever.
async fn accept(listener: &TcpListener, listening: &Listening, tasks: &mut JoinSet<()>) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = tasks.join_next() => continue,
        };
        match accepted {
            Ok((socket, _)) => {
                // Responses are small and sent in one write, so waiting for more data would only delay them.
                let _ = socket.set_nodelay(true);
                // The next connection is accepted only after this one is admitted.
                let permit = listening.connections.admit().await;
                tasks.spawn(listening.connection(socket, permit));
            }
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                events::listener_failed(&error);
                sleep(ACCEPT_RETRY_WAIT).await;
            }
        }
    }
}

/// Shared by the connections of a listener.
struct Listening {
    http: http1::Builder,
    router: ApiService,
    limits: ConnectionLimits,
    connections: Arc<OpenConnections>,
    ending: GracefulShutdown,
}

impl Listening {
    fn new(router: ApiService, limits: ConnectionLimits) -> Self {
        let mut http = http1::Builder::new();
        // A client that closes its side after a request still wants it processed, so that ends nothing. The library's
        // limit on heads also counts the time between requests, so ours replaces it.
        http.half_close(true)
            .header_read_timeout(None)
            .max_buf_size(BUFFER_BYTES_MAX);
        Self {
            http,
            router,
            limits,
            connections: OpenConnections::at_most(limits.connections),
            ending: GracefulShutdown::new(),
        }
    }

    fn connection<S>(
        &self,
        socket: S,
        permit: ConnectionPermit,
    ) -> impl Future<Output = ()> + use<S>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let state = permit.state().clone();
        let service = RequestService::new(self.router.clone(), state.clone());
        let socket = TimedSocket::new(socket, state, permit.idle_reporter(), self.limits);
        let connection = self.http.serve_connection(TokioIo::new(socket), service);
        let connection = self.ending.watch(connection);
        async move {
            // Errors of a connection concern only its client.
            let _ = connection.await;
            drop(permit);
        }
    }

    /// Lets the requests in progress finish until `abandon`.
    async fn close(self, abandon: impl Future<Output = ()>) {
        let closed = self.ending.shutdown();
        tokio::pin!(closed);
        tokio::select! {
            () = closed.as_mut() => return,
            () = abandon => {}
        }
        // The pipeline answers callers whose actions it gives up.
        if timeout(CUT_OFF_TIMEOUT, closed.as_mut()).await.is_err() {
            events::requests_cut_off(self.connections.cut_off());
            // A client that does not read misses it.
            let _ = timeout(CUT_OFF_TIMEOUT, closed).await;
        }
    }
}

/// Whether the client closed the connection before it was accepted.
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
