//! A provider for tests: a real HTTP server on 127.0.0.1 that gives the answers it was told to give, in turn, and
//! remembers what it received.
#![allow(
    clippy::unwrap_used,
    reason = "a clause fails by panicking, as tests do"
)]

use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

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

/// What the receiver does with a request.
pub enum Answer {
    /// It answers.
    #[allow(missing_docs)]
    Reply {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Body,
    },
    /// It repeats what it was sent, path, query and headers.
    #[allow(missing_docs)]
    Echo { status: u16 },
    /// It reads the request and never answers.
    Hang,
    /// It reads the request and closes the connection.
    HangUp,
}

impl Answer {
    /// A status with nothing else.
    pub fn of(status: u16) -> Self {
        Self::with_body(status, text(""))
    }

    /// A status with a body that breaks off.
    pub fn broken_body(status: u16) -> Self {
        let begun = stream::iter([Ok("{\"cut\":".into())]);
        // What comes before is on its way by the time this is asked for again.
        let cut = stream::once(async {
            yield_now().await;
            Err(io::Error::other("cut off"))
        });
        Self::with_body(status, streamed(begun.chain(cut)))
    }

    /// A status with a body that is longer than a sink reads.
    pub fn long_body(status: u16) -> Self {
        let piece = Bytes::from(vec![b' '; BODY_BYTES_MAX / 16]);
        let long = stream::repeat(piece).take(17).map(Ok);
        Self::with_body(status, streamed(long))
    }

    /// A status with a body that never ends.
    pub fn hung_body(status: u16) -> Self {
        let begun = stream::iter([Ok("{\"begun\":".into())]);
        Self::with_body(status, streamed(begun.chain(stream::pending())))
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

    /// The same with this header besides.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Reply { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// The other end of its connection.
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

/// The server. Dropping it ends it and closes its connections.
pub struct Receiver {
    address: SocketAddr,
    seen: Arc<Seen>,
    server: Mutex<JoinSet<()>>,
}

struct Seen {
    answers: Mutex<std::vec::IntoIter<Answer>>,
    received: Mutex<Vec<Received>>,
    count: watch::Sender<usize>,
    hung_up: watch::Sender<usize>,
}

impl Receiver {
    /// Starts on a free port. When the answers are used up, it answers 200 with `{}`.
    pub async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::start_over(answers, |stream| ready(Ok(stream))).await
    }

    /// The same over what `wrap` makes of each connection.
    pub(crate) async fn start_over<Wrapped, IO>(
        answers: impl IntoIterator<Item = Answer>,
        wrap: impl Fn(TcpStream) -> Wrapped + Send + 'static,
    ) -> Self
    where
        Wrapped: Future<Output = io::Result<IO>> + Send + 'static,
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let answers: Vec<_> = answers.into_iter().collect();
        let seen = Arc::new(Seen {
            answers: Mutex::new(answers.into_iter()),
            received: Mutex::default(),
            count: watch::Sender::default(),
            hung_up: watch::Sender::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mut server, serving) = (JoinSet::new(), seen.clone());
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, from) = listener.accept().await.unwrap();
                connections.spawn(serve(wrap(stream), from, serving.clone()));
            }
        });
        Self {
            address,
            seen,
            server: Mutex::new(server),
        }
    }

    /// Where it listens, with a path and a query.
    pub fn url(&self) -> String {
        format!("http://{}/hook?from=acteon", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has received so far.
    pub fn received(&self) -> Vec<Received> {
        self.seen.received.lock().clone()
    }

    /// Returns when there is a request.
    pub async fn received_one(&self) {
        let mut count = self.seen.count.subscribe();
        count.wait_for(|count| *count > 0).await.unwrap();
    }

    /// Returns when a sender has hung up on an answer of [`Answer::Hang`].
    pub async fn hung_up(&self) {
        let mut hung_up = self.seen.hung_up.subscribe();
        hung_up.wait_for(|count| *count > 0).await.unwrap();
    }

    /// Stops listening and closes its connections.
    pub async fn stop(&self) {
        let mut server = std::mem::take(&mut *self.server.lock());
        server.shutdown().await;
    }
}

/// Errors end the connection, as they would anywhere; what was received is what counts.
async fn serve<IO: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    wrapped: impl Future<Output = io::Result<IO>>,
    from: SocketAddr,
    seen: Arc<Seen>,
) {
    if let Ok(stream) = wrapped.await {
        let service = service_fn(|request| answer(request, from, seen.clone()));
        let builder = auto::Builder::new(TokioExecutor::new());
        let _ = builder
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }
}

async fn answer(
    request: Request<Incoming>,
    from: SocketAddr,
    seen: Arc<Seen>,
) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let echo = format!("{} {:?} x-echo-ends", parts.uri, parts.headers);
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    seen.received.lock().push(Received {
        from,
        version: parts.version,
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body,
    });
    seen.count.send_modify(|count| *count += 1);
    let answer = seen.answers.lock().next();
    match answer.unwrap_or_else(|| Answer::of(200).body("{}")) {
        Answer::Reply {
            status,
            headers,
            body,
        } => Ok(reply(status, headers, body)),
        Answer::Echo { status } => Ok(reply(status, Vec::new(), text(echo))),
        Answer::Hang => {
            let _told = TellWhenDropped(seen);
            std::future::pending().await
        }
        Answer::HangUp => Err(io::ErrorKind::ConnectionAborted.into()),
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

struct TellWhenDropped(Arc<Seen>);

impl Drop for TellWhenDropped {
    fn drop(&mut self) {
        self.0.hung_up.send_modify(|count| *count += 1);
    }
}
