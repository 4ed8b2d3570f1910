//! Tells a connection that its server closed while it was idle from one that broke under a request: many servers close
//! without saying so, and a request that is sent at that moment is answered by nobody. Whether the server had read it cannot
//! be known for sure. It is sent once more all the same, on a new connection and under the same idempotency key, as Go's HTTP
//! client does: otherwise a server that closes early would seem to fail.

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

/// Which of the connections of one client have brought an answer. A bit for each port of this end.
#[derive(Clone)]
pub(crate) struct Connections(Arc<[AtomicU64]>);

impl Default for Connections {
    fn default() -> Self {
        let words = usize::from(u16::MAX) / u64::BITS as usize + 1;
        Self((0..words).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Connections {
    /// It has brought an answer.
    pub(crate) fn answered(&self, answer: &reqwest::Response) {
        if let Some(info) = answer.extensions().get::<HttpInfo>() {
            let (word, bit) = self.place(info.local_addr());
            if word.load(Relaxed) & bit == 0 {
                word.fetch_or(bit, Relaxed);
            }
        }
    }

    /// True when `error` is the end of a connection that has brought an answer before, and none to this request.
    pub(crate) fn broke_unused(&self, error: &reqwest::Error) -> bool {
        let connected = find::<ClientError>(error).and_then(ClientError::connect_info);
        // HTTP/2 has a frame that tells which requests were not looked at; the client acts by it.
        let connected = connected.filter(|connected| !connected.is_negotiated_h2());
        let Some(local) = connected.and_then(local_address) else {
            return false;
        };
        let (word, bit) = self.place(local);
        word.load(Relaxed) & bit != 0 && is_an_end(error)
    }

    /// It is new.
    fn begun(&self, connected: &Connected) {
        if let Some(local) = local_address(connected) {
            let (word, bit) = self.place(local);
            word.fetch_and(!bit, Relaxed);
        }
    }

    fn place(&self, local: SocketAddr) -> (&AtomicU64, u64) {
        let (word, bit) = (local.port() / 64, local.port() % 64);
        (&self.0[usize::from(word)], 1 << bit)
    }
}

fn local_address(connected: &Connected) -> Option<SocketAddr> {
    let mut extras = Extensions::new();
    connected.get_extras(&mut extras);
    extras.get::<HttpInfo>().map(HttpInfo::local_addr)
}

/// The connection ended where an answer was to begin.
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

/// Has new connections noted.
impl<S> Layer<S> for Connections {
    type Service = Noting<S>;

    fn layer(&self, connector: S) -> Noting<S> {
        Noting {
            connector,
            connections: self.clone(),
        }
    }
}

/// A connector whose connections are noted.
#[derive(Clone)]
pub(crate) struct Noting<S> {
    connector: S,
    connections: Connections,
}

impl<S, To> Service<To> for Noting<S>
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
        let (connecting, connections) = (self.connector.call(to), self.connections.clone());
        Box::pin(async move {
            let connection = connecting.await?;
            connections.begun(&connection.connected());
            Ok(connection)
        })
    }
}
