//! A scripted mail server. Accepts everything that its script does not cover.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A line from the client, before the server replies.
pub(super) struct ReceivedLine<'a> {
    /// Counted from 0.
    pub(super) connection: usize,
    /// `connect`, a command, `.` for the end of a message, or `gone`, to which no reply is sent.
    pub(super) line: &'a str,
}

/// How the server replies.
#[derive(Clone, Copy)]
pub(super) enum Say {
    /// With this reply, given without its last line break.
    Reply(&'static str),
    /// With this reply. Then it closes the connection.
    Last(&'static str),
    /// It closes the connection.
    Close,
    /// With this reply, after this time.
    Late(Duration, &'static str),
    /// Never.
    Hang,
}

type Script = dyn FnMut(&ReceivedLine<'_>) -> Option<Say> + Send;

/// A message that the server accepted.
#[derive(Clone, Debug)]
pub(super) struct AcceptedMessage {
    pub(super) recipients: Vec<String>,
    pub(super) content: String,
}

#[derive(Default)]
struct Record {
    lines: Vec<(usize, String)>,
    accepted: Vec<AcceptedMessage>,
}

pub(super) struct Peer {
    port: u16,
    record: Arc<Mutex<Record>>,
    _accepting: JoinSet<()>,
}

impl Peer {
    /// Accepts everything.
    pub(super) async fn willing() -> Self {
        Self::start(|_| None).await
    }

    /// Replies `say` to every line that begins with `at`.
    pub(super) async fn at(at: &'static str, say: Say) -> Self {
        Self::start(move |received| received.line.starts_with(at).then_some(say)).await
    }

    /// Replies as `script` returns, or else accepts.
    pub(super) async fn start(
        script: impl FnMut(&ReceivedLine<'_>) -> Option<Say> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let record = Arc::new(Mutex::new(Record::default()));
        let script: Arc<Mutex<Box<Script>>> = Arc::new(Mutex::new(Box::new(script)));
        let mut accepting = JoinSet::new();
        let record_of_all = record.clone();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let mut session = Session {
                    connection,
                    stream: BufReader::new(stream),
                    script: script.clone(),
                    record: record_of_all.clone(),
                };
                connections.spawn(async move {
                    // An error means that the client disconnected.
                    let _ = session.run().await;
                    session.gone();
                });
            }
        });
        Self {
            port,
            record,
            _accepting: accepting,
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The lines from all connections, with `connect` for each new one.
    pub(super) fn lines(&self) -> Vec<String> {
        let record = self.record.lock();
        record.lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// The number of lines that begin with `begin`.
    pub(super) fn count(&self, begin: &str) -> usize {
        let lines = self.lines();
        lines.iter().filter(|line| line.starts_with(begin)).count()
    }

    pub(super) fn accepted(&self) -> Vec<AcceptedMessage> {
        self.record.lock().accepted.clone()
    }

    /// The recipients of all accepted messages, in order.
    pub(super) fn delivered(&self) -> Vec<String> {
        self.accepted()
            .into_iter()
            .flat_map(|mail| mail.recipients)
            .collect()
    }
}

struct Session {
    connection: usize,
    stream: BufReader<TcpStream>,
    script: Arc<Mutex<Box<Script>>>,
    record: Arc<Mutex<Record>>,
}

impl Session {
    fn gone(self) {
        drop(self.stream);
        (self.script.lock())(&ReceivedLine {
            connection: self.connection,
            line: "gone",
        });
    }

    async fn run(&mut self) -> std::io::Result<()> {
        self.answer("connect").await?;
        let mut recipients = Vec::new();
        loop {
            let Some(line) = self.line().await? else {
                return Ok(());
            };
            let reply = self.answer(&line).await?;
            let is_taken = reply.starts_with("250 ");
            if line.starts_with("MAIL") || line == "RSET" {
                recipients.clear();
            } else if is_taken && let Some(address) = line.strip_prefix("RCPT TO:") {
                recipients.push(address.trim_matches(['<', '>']).to_owned());
            } else if reply.starts_with("354") {
                self.mail(std::mem::take(&mut recipients)).await?;
            } else if line == "QUIT" {
                return Ok(());
            }
        }
    }

    async fn mail(&mut self, recipients: Vec<String>) -> std::io::Result<()> {
        let mut content = String::new();
        while let Some(line) = self.line().await? {
            if line == "." {
                break;
            }
            content.push_str(line.strip_prefix('.').unwrap_or(&line));
            content.push('\n');
        }
        let reply = self.answer(".").await?;
        if reply.starts_with("250 ") {
            let message = AcceptedMessage {
                recipients,
                content,
            };
            self.record.lock().accepted.push(message);
        }
        Ok(())
    }

    async fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut line = String::new();
        let length = self.stream.read_line(&mut line).await?;
        assert!(
            length == 0 || line.ends_with("\r\n"),
            "a line must end in CRLF: {line:?}"
        );
        Ok((length > 0).then(|| line.trim_end_matches("\r\n").to_owned()))
    }

    /// Replies to one line, and returns the reply.
    async fn answer(&mut self, line: &str) -> std::io::Result<&'static str> {
        let received = ReceivedLine {
            connection: self.connection,
            line,
        };
        self.record
            .lock()
            .lines
            .push((self.connection, line.to_owned()));
        let said = (self.script.lock())(&received);
        let (reply, closes) = match said.unwrap_or_else(|| willing(line)) {
            Say::Reply(reply) => (reply, false),
            Say::Last(reply) => (reply, true),
            Say::Close => ("", true),
            Say::Late(wait, reply) => {
                tokio::time::sleep(wait).await;
                (reply, false)
            }
            Say::Hang => std::future::pending().await,
        };
        if !reply.is_empty() {
            let line = format!("{reply}\r\n");
            self.stream.write_all(line.as_bytes()).await?;
        }
        match closes {
            true => Err(std::io::ErrorKind::ConnectionAborted.into()),
            false => Ok(reply),
        }
    }
}

/// The replies of a server that accepts everything.
fn willing(line: &str) -> Say {
    Say::Reply(match line.split([' ', ':']).next().unwrap_or_default() {
        "connect" => "220 peer.test ESMTP",
        "EHLO" => "250-peer.test\r\n250-SIZE 1000000\r\n250-AUTH PLAIN LOGIN\r\n250 SMTPUTF8",
        "AUTH" => "235 2.7.0 ok",
        "DATA" => "354 go on",
        "QUIT" => "221 bye",
        _ => "250 2.0.0 ok",
    })
}
