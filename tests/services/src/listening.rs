//! Serves the routes of a played service on a free port of 127.0.0.1. Each service brings its own routes.

use std::net::Ipv4Addr;

use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The port, and the server. Dropping the set stops it.
pub(crate) async fn listening(router: Router) -> anyhow::Result<(u16, JoinSet<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let mut server = JoinSet::new();
    server.spawn(async move {
        // It ends when the set is dropped.
        let _ = axum::serve(listener, router).await;
    });
    Ok((port, server))
}

/// The address of a port.
pub(crate) fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
