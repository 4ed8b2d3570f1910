//! Distinguishes a connection that its server closed while idle from one that broke during a request. Many servers
//! close connections silently, and a request sent at that moment gets no answer. The client cannot know whether the
//! server has read it, but sends it once more, on a new connection and under the same idempotency key, as Go's HTTP
//! client does. Otherwise a server that closes early would seem to fail.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use http::Extensions;
use hyper_util::client::legacy::Error as ClientError;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpInfo};
use tower::{Layer, Service};

use crate::transport::{find, find_io};

/// The connections of one client that have delivered an answer: one bit per local port.
#[derive(Clone)]
pub(crate) struct Connections(Arc<[AtomicU64]>);

impl Default for Connections {
    fn default() -> Self {
        let words = usize::from(u16::MAX) / u64::BITS as usize + 1;
        Self((0..words).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Connections {
    /// Marks a connection that has delivered an answer.
    pub(crate) fn answered(&self, answer: &reqwest::Response) {
        if let Some(info) = answer.extensions().get::<HttpInfo>() {
            let (word, bit) = self.bit_of(info.local_addr());
            if word.load(Relaxed) & bit == 0 {
                word.fetch_or(bit, Relaxed);
            }
        }
    }

    /// True if a connection that had delivered answers ended without one to this request.
    pub(crate) fn broke_unused(&self, error: &reqwest::Error) -> bool {
        let connected = find::<ClientError>(error).and_then(ClientError::connect_info);
        // In HTTP/2 a frame names the requests that were not processed, and the client resends them.
        let connected = connected.filter(|connected| !connected.is_negotiated_h2());
        let Some(local) = connected.and_then(local_address) else {
            return false;
        };
        let (word, bit) = self.bit_of(local);
        word.load(Relaxed) & bit != 0 && is_an_end(error)
    }

    /// Unmarks a new connection: its port may have belonged to another one.
    fn opened(&self, connected: &Connected) {
        if let Some(local) = local_address(connected) {
            let (word, bit) = self.bit_of(local);
            word.fetch_and(!bit, Relaxed);
        }
    }

    fn bit_of(&self, local: SocketAddr) -> (&AtomicU64, u64) {
        let port = local.port();
        (&self.0[usize::from(port / 64)], 1 << (port % 64))
    }
}

fn local_address(connected: &Connected) -> Option<SocketAddr> {
    let mut extras = Extensions::new();
    connected.get_extras(&mut extras);
    extras.get::<HttpInfo>().map(HttpInfo::local_addr)
}

/// True if the connection ended before the answer.
fn is_an_end(error: &reqwest::Error) -> bool {
    let incomplete = find::<hyper::Error>(error).is_some_and(hyper::Error::is_incomplete_message);
    incomplete
        || matches!(
            find_io(error),
            Some(
                ErrorKind::ConnectionReset
                    | ErrorKind::ConnectionAborted
                    | ErrorKind::BrokenPipe
                    | ErrorKind::UnexpectedEof
            )
        )
}

/// Tracks new connections.
impl<S> Layer<S> for Connections {
    type Service = TrackingConnector<S>;

    fn layer(&self, connector: S) -> TrackingConnector<S> {
        TrackingConnector {
            connector,
            connections: self.clone(),
        }
    }
}

/// A connector whose new connections are tracked.
#[derive(Clone)]
pub(crate) struct TrackingConnector<S> {
    connector: S,
    connections: Connections,
}

impl<S, To> Service<To> for TrackingConnector<S>
where
    S: Service<To, Response: Connection, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, to: To) -> Self::Future {
        let connecting = self.connector.call(to);
        let connections = self.connections.clone();
        Box::pin(async move {
            let connection = connecting.await?;
            connections.opened(&connection.connected());
            Ok(connection)
        })
    }
}
