//! A provider for tests: a real HTTP server on 127.0.0.1 that gives the answers of a test, in order, and records the
//! requests.
#![allow(
    clippy::unwrap_used,
    reason = "a clause fails by panicking, as tests do"
)]

use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, yield_now};

use crate::reply::BODY_BYTES_MAX;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// How the receiver answers a request.
pub enum CannedResponse {
    /// With this answer.
    #[allow(missing_docs)]
    Reply {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Body,
    },
    /// With the path, query, headers and body of the request.
    #[allow(missing_docs)]
    Echo { status: u16 },
    /// Never, after reading the request.
    Hang,
    /// By closing the connection after reading the request.
    HangUp,
}

impl CannedResponse {
    /// A status with an empty body.
    pub fn of(status: u16) -> Self {
        Self::with_body(status, text(""))
    }

    /// A status with a body that is cut off.
    pub fn broken_body(status: u16) -> Self {
        let start = stream::iter([Ok("{\"cut\":".into())]);
        // The start is sent before this is polled again.
        let cut = stream::once(async {
            yield_now().await;
            Err(io::Error::other("cut off"))
        });
        Self::with_body(status, streamed(start.chain(cut)))
    }

    /// A status with a body that is longer than a sink reads.
    pub fn long_body(status: u16) -> Self {
        let piece = Bytes::from(vec![b' '; BODY_BYTES_MAX / 16]);
        let long = stream::repeat(piece).take(17).map(Ok);
        Self::with_body(status, streamed(long))
    }

    /// A status with a body that never ends.
    pub fn hung_body(status: u16) -> Self {
        let start = stream::iter([Ok("{\"begun\":".into())]);
        Self::with_body(status, streamed(start.chain(stream::pending())))
    }

    fn with_body(status: u16, body: Body) -> Self {
        Self::Reply {
            status,
            headers: Vec::new(),
            body,
        }
    }

    /// The same with this body.
    #[must_use]
    pub fn body(mut self, json: &'static str) -> Self {
        if let Self::Reply { body, .. } = &mut self {
            *body = text(json);
        }
        self
    }

    /// The same with this additional header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Reply { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// A request as it was received.
#[derive(Clone, Debug)]
pub struct Received {
    /// The address of the client.
    pub from: SocketAddr,
    /// Its version of HTTP.
    pub version: Version,
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub uri: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Received {
    /// The text of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The server. Dropping it stops it and closes its connections.
pub struct Receiver {
    address: SocketAddr,
    state: Arc<ReceiverState>,
    server: Mutex<JoinSet<()>>,
}

struct ReceiverState {
    answers: Mutex<std::vec::IntoIter<CannedResponse>>,
    received: Mutex<Vec<Received>>,
    count: watch::Sender<usize>,
    connections: AtomicUsize,
    hung_up: watch::Sender<usize>,
}

impl Receiver {
    /// Starts on a free port. After the last answer, it answers 200 with `{}`.
    pub async fn start(answers: impl IntoIterator<Item = CannedResponse>) -> Self {
        Self::start_over(answers, |stream| ready(Ok(stream))).await
    }

    /// The same with each connection wrapped, for example in TLS.
    pub(crate) async fn start_over<Wrapped, IO>(
        answers: impl IntoIterator<Item = CannedResponse>,
        wrap: impl Fn(TcpStream) -> Wrapped + Send + 'static,
    ) -> Self
    where
        Wrapped: Future<Output = io::Result<IO>> + Send + 'static,
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let answers: Vec<_> = answers.into_iter().collect();
        let state = Arc::new(ReceiverState {
            answers: Mutex::new(answers.into_iter()),
            received: Mutex::default(),
            count: watch::Sender::default(),
            connections: AtomicUsize::new(0),
            hung_up: watch::Sender::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        let serving = state.clone();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, from) = listener.accept().await.unwrap();
                serving.connections.fetch_add(1, SeqCst);
                connections.spawn(serve(wrap(stream), from, serving.clone()));
            }
        });
        Self {
            address,
            state,
            server: Mutex::new(server),
        }
    }

    /// Its URL, with a path and a query.
    pub fn url(&self) -> String {
        format!("http://{}/hook?from=acteon", self.address)
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().clone()
    }

    /// The number of connections so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(SeqCst)
    }

    /// Waits for this many requests in total.
    pub async fn received_many(&self, many: usize) {
        let mut count = self.state.count.subscribe();
        count.wait_for(|count| *count >= many).await.unwrap();
    }

    /// Waits until a client has closed a connection that [`CannedResponse::Hang`] keeps waiting.
    pub async fn hung_up(&self) {
        let mut hung_up = self.state.hung_up.subscribe();
        hung_up.wait_for(|count| *count > 0).await.unwrap();
    }

    /// Stops listening and closes its connections.
    pub async fn stop(&self) {
        let mut server = std::mem::take(&mut *self.server.lock());
        server.shutdown().await;
    }
}

/// Errors end the connection; tests look at the received requests only.
async fn serve<IO: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    wrapped: impl Future<Output = io::Result<IO>>,
    from: SocketAddr,
    state: Arc<ReceiverState>,
) {
    if let Ok(stream) = wrapped.await {
        let service = service_fn(|request| answer(request, from, state.clone()));
        let builder = auto::Builder::new(TokioExecutor::new());
        let _ = builder
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }
}

async fn answer(
    request: Request<Incoming>,
    from: SocketAddr,
    state: Arc<ReceiverState>,
) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let sent = String::from_utf8_lossy(&body);
    let echo = format!("{} {:?} {sent} x-echo-ends", parts.uri, parts.headers);
    state.received.lock().push(Received {
        from,
        version: parts.version,
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body,
    });
    state.count.send_modify(|count| *count += 1);
    let answer = state.answers.lock().next();
    match answer.unwrap_or_else(|| CannedResponse::of(200).body("{}")) {
        CannedResponse::Reply {
            status,
            headers,
            body,
        } => Ok(reply(status, headers, body)),
        CannedResponse::Echo { status } => Ok(reply(status, Vec::new(), text(echo))),
        CannedResponse::Hang => {
            let _hang_up = CountHangUp(state);
            std::future::pending().await
        }
        CannedResponse::HangUp => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

fn reply(status: u16, headers: Vec<(&'static str, String)>, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().append(name, value.parse().unwrap());
    }
    response
}

fn text(text: impl Into<Bytes>) -> Body {
    Full::from(text.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn streamed(chunks: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Body {
    StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync()
}

struct CountHangUp(Arc<ReceiverState>);

impl Drop for CountHangUp {
    fn drop(&mut self) {
        self.0.hung_up.send_modify(|count| *count += 1);
    }
}
