//! The provider's side: an HTTP server that costs little, behaves as configured, and records the actions it has
//! accepted.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::far_end::FarEnd;

const ACCEPTED: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const REFUSED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
const FAILING_TAKES: Duration = Duration::from_millis(20);
const BACKLOG: u32 = 1024;
const BUFFER_BYTES: usize = 16 * 1024;

/// How a provider behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Well,
    /// It takes requests and never answers them. When that ends, it closes their connections.
    Hung,
    /// It takes 20 ms for each request and answers three of four with 503.
    Failing,
    /// It works, but accepts at most this many requests a second.
    Slow(u32),
}

/// A running receiver. It ends when dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    /// Its address while it is away: bound, so that connections to it are refused.
    reserved: Option<TcpSocket>,
    shared: Arc<Shared>,
    accepting: JoinSet<()>,
}

struct Shared {
    far_end: Arc<FarEnd>,
    behaviour: watch::Sender<Behaviour>,
    progress: Mutex<Progress>,
}

struct Progress {
    requests: u64,
    /// When a slow provider accepts the next request.
    next: Instant,
}

impl Receiver {
    /// Starts a healthy provider.
    pub(crate) fn start(far_end: &Arc<FarEnd>) -> anyhow::Result<Self> {
        let mut receiver = Self::away(far_end)?;
        receiver.come_back()?;
        Ok(receiver)
    }

    /// A provider that is away: connections to it are refused until it comes back.
    pub(crate) fn away(far_end: &Arc<FarEnd>) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let progress = Progress {
            requests: 0,
            next: Instant::now(),
        };
        Ok(Self {
            address: socket.local_addr()?,
            reserved: Some(socket),
            shared: Arc::new(Shared {
                far_end: far_end.clone(),
                behaviour: watch::Sender::new(Behaviour::Well),
                progress: Mutex::new(progress),
            }),
            accepting: JoinSet::new(),
        })
    }

    pub(crate) fn come_back(&mut self) -> anyhow::Result<()> {
        let socket = self.reserved.take().context("it is not away")?;
        let listener = socket.listen(BACKLOG)?;
        self.accepting.spawn(accept(listener, self.shared.clone()));
        Ok(())
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.shared.behaviour.send_replace(behaviour);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// How many requests arrived, including refused ones.
    pub(crate) fn requests(&self) -> u64 {
        self.shared.progress.lock().requests
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // A broken connection is left to its caller.
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                if let Ok((socket, _)) = accepted {
                    connections.spawn(serve(socket, shared.clone()));
                }
            }
        }
    }
}

async fn serve(mut socket: TcpStream, shared: Arc<Shared>) -> anyhow::Result<()> {
    socket.set_nodelay(true)?;
    let mut buffer = BytesMut::with_capacity(BUFFER_BYTES);
    while let Some(number) = read_request(&mut socket, &mut buffer).await? {
        match shared.answer(number).await {
            Some(answer) => socket.write_all(answer).await?,
            None => break,
        }
    }
    Ok(())
}

impl Shared {
    /// `None` if the connection must end without an answer.
    async fn answer(&self, number: u64) -> Option<&'static [u8]> {
        let request = {
            let mut progress = self.progress.lock();
            progress.requests += 1;
            progress.requests
        };
        let behaviour = *self.behaviour.borrow();
        match behaviour {
            Behaviour::Well => {}
            Behaviour::Hung => {
                // The sender lives as long as this value.
                let mut changes = self.behaviour.subscribe();
                drop(
                    changes
                        .wait_for(|behaviour| *behaviour != Behaviour::Hung)
                        .await,
                );
                return None;
            }
            Behaviour::Failing => {
                sleep(FAILING_TAKES).await;
                if !request.is_multiple_of(4) {
                    return Some(REFUSED);
                }
            }
            Behaviour::Slow(a_second) => sleep_until(self.turn(a_second)).await,
        }
        self.far_end.arrive(number);
        Some(ACCEPTED)
    }

    fn turn(&self, a_second: u32) -> Instant {
        let mut progress = self.progress.lock();
        progress.next = progress.next.max(Instant::now()) + Duration::from_secs(1) / a_second;
        progress.next
    }
}

/// Reads one request and returns the number in its id; `None` if the caller has closed the connection.
async fn read_request(
    socket: &mut TcpStream,
    buffer: &mut BytesMut,
) -> anyhow::Result<Option<u64>> {
    let end = loop {
        if let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") {
            break end + 4;
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = buffer.split_to(end);
    let number = number_in(&head, "x-acteon-action-id: ")?;
    let mut left = number_in(&head, "content-length: ")? as usize;
    loop {
        let here = left.min(buffer.len());
        buffer.advance(here);
        left -= here;
        if left == 0 {
            return Ok(Some(number));
        }
        buffer.reserve(BUFFER_BYTES);
        if socket.read_buf(buffer).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

fn number_in(head: &[u8], header: &str) -> anyhow::Result<u64> {
    let head = std::str::from_utf8(head)?;
    let mut lines = head.split("\r\n");
    let value = lines.find_map(|line| line.strip_prefix(header));
    let value = value.with_context(|| format!("a request without `{header}`"))?;
    Ok(value.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends one request and reads the answer to its end; `None` if the connection ends without one.
    async fn send(connection: &mut TcpStream, number: u64) -> io::Result<Option<String>> {
        let request = format!(
            "POST / HTTP/1.1\r\nx-acteon-action-id: {number}\r\ncontent-length: 5\r\n\r\nhello"
        );
        connection.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            if connection.read_buf(&mut answer).await? == 0 {
                return Ok(None);
            }
        }
        Ok(Some(String::from_utf8_lossy(&answer).into_owned()))
    }

    #[tokio::test]
    async fn a_failing_provider_accepts_one_request_of_four() {
        let far_end = Arc::new(FarEnd::default());
        let receiver = Receiver::start(&far_end).unwrap();
        receiver.behave(Behaviour::Failing);
        let mut connection = TcpStream::connect(receiver.address).await.unwrap();
        for _ in 0..8 {
            let number = far_end.offer("failing");
            let answer = send(&mut connection, number).await.unwrap().unwrap();
            assert_eq!(answer.contains("200 OK"), far_end.has_arrived(number));
        }
        assert_eq!((far_end.count().arrived, receiver.requests()), (2, 8));
    }

    #[tokio::test]
    async fn a_hung_provider_answers_nothing_and_closes_when_it_is_well_again() {
        let far_end = Arc::new(FarEnd::default());
        let receiver = Receiver::start(&far_end).unwrap();
        receiver.behave(Behaviour::Hung);
        let number = far_end.offer("hung");
        let mut connection = TcpStream::connect(receiver.address).await.unwrap();
        let well_again = async {
            while receiver.requests() == 0 {
                tokio::task::yield_now().await;
            }
            receiver.behave(Behaviour::Well);
        };
        let (answer, ()) = tokio::join!(send(&mut connection, number), well_again);
        assert_eq!(answer.unwrap(), None);
        assert_eq!(far_end.count().arrived, 0);
    }

    #[tokio::test]
    async fn a_provider_that_is_away_refuses_connections_until_it_is_back() {
        let far_end = Arc::new(FarEnd::default());
        let mut receiver = Receiver::away(&far_end).unwrap();
        let refused = TcpStream::connect(receiver.address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        receiver.come_back().unwrap();
        let mut connection = TcpStream::connect(receiver.address).await.unwrap();
        let number = far_end.offer("away");
        assert!(send(&mut connection, number).await.unwrap().is_some());
        assert!(far_end.has_arrived(number));
    }
}
