//! An HTTP proxy: opens tunnels for CONNECT, and forwards requests for plain HTTP.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A running proxy. Dropping it stops it.
pub(super) struct ProxyServer {
    pub(super) port: u16,
    heads: Arc<Mutex<Vec<String>>>,
    _server: JoinSet<()>,
}

impl ProxyServer {
    /// Starts on a free port. With `authorization`, it requires this value of the header.
    pub(super) async fn start(authorization: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let mut server = JoinSet::new();
        let seen = heads.clone();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, authorization, seen.clone()));
            }
        });
        Self {
            port,
            heads,
            _server: server,
        }
    }

    /// The first line and the headers of each request.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().clone()
    }
}

/// `None` when a connection breaks.
async fn serve(
    mut stream: TcpStream,
    authorization: Option<&str>,
    heads: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(head.clone()).unwrap();
    heads.lock().push(text.clone());
    let refused = authorization.is_some_and(|value| !text.contains(value));
    if refused {
        let answer = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
        return stream.write_all(answer.as_bytes()).await.ok();
    }
    let target = text.split(' ').nth(1).unwrap();
    if text.starts_with("CONNECT ") {
        let mut peer = TcpStream::connect(target).await.ok()?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
        copy_bidirectional(&mut stream, &mut peer).await.ok()?;
    } else {
        let target = target.strip_prefix("http://").unwrap();
        let mut peer = TcpStream::connect(target.split('/').next().unwrap())
            .await
            .ok()?;
        peer.write_all(&head).await.ok()?;
        copy_bidirectional(&mut stream, &mut peer).await.ok()?;
    }
    Some(())
}
