//! Serves a router on a socket until told to stop, and lets the requests under way finish.

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::events;

/// Serves until `stop` and all connections have ended, or until `abandon`.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    abandon: CancellationToken,
) {
    // Answers are small and leave in one write: waiting for more would only delay them.
    let listener = listener.tap_io(|socket| {
        let _ = socket.set_nodelay(true);
    });
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    tokio::select! {
        result = serving.into_future() => {
            if let Err(error) = result {
                events::listener_failed(&error);
            }
        }
        () = abandon.cancelled() => {}
    }
}
