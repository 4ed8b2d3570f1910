//! A provider for tests that closes each connection without announcing it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Answers one request on each connection as if more could follow, and closes it when the next one arrives, unread.
pub struct ClosingReceiver {
    url: String,
    answered: Arc<AtomicU32>,
    _server: JoinSet<()>,
}

impl ClosingReceiver {
    /// Starts on a free port and answers 200 with this body.
    pub async fn start(body: &str) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        Self::ending(head + body, Ending::Close).await
    }

    /// The same, but it resets each connection in the middle of the head of its answer.
    pub async fn resetting() -> Self {
        let half = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\ncontent-ty";
        Self::ending(half.to_owned(), Ending::Reset).await
    }

    async fn ending(answer: String, ending: Ending) -> Self {
        let answer: Arc<str> = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?from=acteon", listener.local_addr().unwrap());
        let answered = Arc::new(AtomicU32::new(0));
        let count = answered.clone();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let answer = answer.clone();
                let count = count.clone();
                connections.spawn(async move { answer_one(stream, &answer, ending, &count).await });
            }
        });
        Self {
            url,
            answered,
            _server: server,
        }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The number of requests answered so far.
    pub fn answered(&self) -> u32 {
        self.answered.load(SeqCst)
    }
}

/// How a connection ends.
#[derive(Clone, Copy)]
enum Ending {
    /// When the next request arrives.
    Close,
    /// At once, with a reset.
    Reset,
}

/// `None` if the request is incomplete.
async fn answer_one(
    mut stream: TcpStream,
    answer: &str,
    ending: Ending,
    answered: &AtomicU32,
) -> Option<()> {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let length = stream.read(&mut chunk).await.ok()?;
        request.extend_from_slice(&chunk[..length]);
        if length == 0 {
            return None;
        }
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some((head, rest)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let mut lines = head.lines();
        let length = lines.find_map(|line| line.strip_prefix("content-length: "));
        if length.map(str::parse) == Some(Ok(rest.len())) {
            answered.fetch_add(1, SeqCst);
            stream.write_all(answer.as_bytes()).await.ok()?;
            return match ending {
                // From here on, every client notices too late that the connection closes.
                Ending::Close => stream.peek(&mut chunk).await.ok().map(drop),
                Ending::Reset => stream.set_zero_linger().ok(),
            };
        }
    }
}
