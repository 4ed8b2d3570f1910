//! Serves a router on a socket until told to stop, and lets the requests under way finish.

use std::io;
use std::time::Duration;

use acteon_connect_http::Mannered;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::events;

/// How long the head of a request may take to come.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long nothing is accepted after there was no room for a connection.
const NO_ROOM_WAIT: Duration = Duration::from_millis(500);

/// Serves until `stop` and all connections have ended, or until `abandon`.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Mannered,
    stop: CancellationToken,
    abandon: CancellationToken,
) {
    let mut http = http1::Builder::new();
    // A client that has sent its request and hangs up wants it done: the end of its bytes ends nothing here.
    http.half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT);
    let (ending, mut connections) = (GracefulShutdown::new(), JoinSet::new());
    loop {
        let socket = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = stop.cancelled() => break,
        };
        match socket {
            Ok((socket, _)) => {
                connections.spawn(ending.watch(connection(&http, socket, &router)));
            }
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                events::listener_failed(&error);
                sleep(NO_ROOM_WAIT).await;
            }
        }
    }
    drop(listener);
    tokio::select! {
        () = ending.shutdown() => {}
        () = abandon.cancelled() => {}
    }
}

fn connection(http: &http1::Builder, socket: TcpStream, router: &Mannered) -> Connection {
    // Answers are small and leave in one write: waiting for more would only delay them.
    let _ = socket.set_nodelay(true);
    http.serve_connection(
        TokioIo::new(socket),
        TowerToHyperService::new(router.clone()),
    )
}

type Connection = http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Mannered>>;

/// Whether it went before it was accepted.
fn is_of_the_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
