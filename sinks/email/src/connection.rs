//! A connection to the server: opens, encrypts and authenticates it, and exchanges commands and replies. The mail
//! transactions are in `transaction.rs`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use acteon_core::SinkError;
use acteon_sinks_kit::{Connector, TlsHandshake};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use crate::auth::SmtpLogin;
use crate::error::{DialogueStep, NoReply, OpenError, not_offered, step_refused};
use crate::hello::{SmtpCapabilities, address_literal};
use crate::hidden::HiddenTexts;
use crate::reply::{ReplyClass, ReplyLine, ReplyLines, SmtpReply};

/// The maximum length of one reply, in bytes.
const REPLY_BYTES_MAX: u64 = 64 << 10;
/// How long to wait for the reply to QUIT, which is ignored.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// How to reach the server and authenticate.
pub(crate) struct SmtpServer {
    pub(crate) connector: Connector,
    pub(crate) encryption: SmtpEncryption,
    pub(crate) login: Option<SmtpLogin>,
    /// `None`: the address of the connection.
    pub(crate) hello_name: Option<String>,
}

/// How a connection is encrypted.
pub(crate) enum SmtpEncryption {
    None,
    Starttls(TlsHandshake),
    Implicit(TlsHandshake),
}

/// An authenticated connection, ready for mail transactions.
pub(crate) struct SmtpConnection {
    stream: BufReader<Stream>,
    deadline: Instant,
    hidden: HiddenTexts,
    pub(crate) capabilities: SmtpCapabilities,
    /// True if it has carried a transaction before. The server may have closed it since then.
    pub(crate) is_used: bool,
    /// True while a transaction that was given up is still open at the server.
    pub(crate) needs_reset: bool,
}

impl SmtpServer {
    pub(crate) fn peer(&self) -> &str {
        self.connector.peer()
    }

    /// Opens a connection.
    pub(crate) async fn open(&self, deadline: Instant) -> Result<SmtpConnection, OpenError> {
        let failed = |no_reply: NoReply| no_reply.into_error(self.peer());
        let late = |step| move |_| NoReply::timeout(step).into_error(self.peer());
        let connecting = timeout_at(deadline, self.connector.connect()).await;
        let tcp = connecting.map_err(late(DialogueStep::Greeting))??;
        let own = tcp
            .local_addr()
            .map(|address| address_literal(address.ip()));
        let name = match (&self.hello_name, own) {
            (Some(name), _) => name.clone(),
            (None, Ok(own)) => own,
            (None, Err(error)) => {
                return Err(failed(NoReply::io(DialogueStep::Greeting, error)).into());
            }
        };
        let stream = match &self.encryption {
            SmtpEncryption::Implicit(handshake) => {
                let handshake = timeout_at(deadline, handshake.perform(tcp)).await;
                Either::Right(Box::new(handshake.map_err(late(DialogueStep::Greeting))??))
            }
            SmtpEncryption::Starttls(_) | SmtpEncryption::None => Either::Left(tcp),
        };
        let hidden = HiddenTexts {
            secrets: self
                .login
                .as_ref()
                .map(SmtpLogin::secrets)
                .unwrap_or_default(),
            addresses: Arc::default(),
        };
        let mut connection = SmtpConnection::new(stream, deadline, hidden);
        let greeting = connection
            .reply(DialogueStep::Greeting)
            .await
            .map_err(failed)?;
        let greeted = self.expect(DialogueStep::Greeting, ReplyClass::Completed, &greeting);
        greeted.map_err(|error| OpenError {
            error,
            is_crowded: true,
        })?;
        self.hello(&mut connection, &name).await?;
        if let SmtpEncryption::Starttls(handshake) = &self.encryption {
            connection = self.starttls(connection, handshake).await?;
            self.hello(&mut connection, &name).await?;
        }
        if let Some(login) = &self.login {
            self.log_in(&mut connection, login).await?;
        }
        Ok(connection)
    }

    async fn hello(&self, connection: &mut SmtpConnection, name: &str) -> Result<(), SinkError> {
        let line = format!("EHLO {name}");
        let reply = connection.command(DialogueStep::Ehlo, &line).await;
        let reply = reply.map_err(|no_reply| no_reply.into_error(self.peer()))?;
        self.expect(DialogueStep::Ehlo, ReplyClass::Completed, &reply)?;
        connection.capabilities = SmtpCapabilities::of(&reply);
        Ok(())
    }

    async fn starttls(
        &self,
        mut connection: SmtpConnection,
        handshake: &TlsHandshake,
    ) -> Result<SmtpConnection, SinkError> {
        let failed = |no_reply: NoReply| no_reply.into_error(self.peer());
        if !connection.capabilities.starttls {
            return Err(not_offered("STARTTLS", self.peer()));
        }
        let reply = connection.command(DialogueStep::Starttls, "STARTTLS");
        let reply = reply.await.map_err(failed)?;
        self.expect(DialogueStep::Starttls, ReplyClass::Completed, &reply)?;
        // Bytes after the reply were not encrypted. An attacker may have injected them.
        if !connection.stream.buffer().is_empty() {
            return Err(failed(NoReply::malformed(DialogueStep::Starttls)));
        }
        let deadline = connection.deadline;
        let stream = match connection.stream.into_inner() {
            Either::Left(tcp) => {
                let handshake = timeout_at(deadline, handshake.perform(tcp)).await;
                let encrypted =
                    handshake.map_err(|_| failed(NoReply::timeout(DialogueStep::Starttls)))??;
                Either::Right(Box::new(encrypted))
            }
            encrypted @ Either::Right(_) => encrypted,
        };
        Ok(SmtpConnection::new(stream, deadline, connection.hidden))
    }

    async fn log_in(
        &self,
        connection: &mut SmtpConnection,
        login: &SmtpLogin,
    ) -> Result<(), SinkError> {
        let mechanism = login.mechanism(&connection.capabilities.auth);
        let mechanism =
            mechanism.ok_or_else(|| not_offered("the configured AUTH mechanism", self.peer()))?;
        let mut lines = login.lines(mechanism).into_iter();
        let mut next = lines.next();
        while let Some(line) = next {
            let reply = connection.command(DialogueStep::Auth, &line).await;
            let reply = reply.map_err(|no_reply| no_reply.into_error(self.peer()))?;
            match reply.class() {
                ReplyClass::Completed => return Ok(()),
                ReplyClass::Intermediate => next = lines.next(),
                ReplyClass::Transient | ReplyClass::Permanent => {
                    return Err(step_refused(DialogueStep::Auth, &reply, self.peer()));
                }
            }
        }
        Err(NoReply::malformed(DialogueStep::Auth).into_error(self.peer()))
    }

    /// Fails unless the reply is of this class.
    fn expect(
        &self,
        step: DialogueStep,
        class: ReplyClass,
        reply: &SmtpReply,
    ) -> Result<(), SinkError> {
        match reply.class() == class {
            true => Ok(()),
            false => Err(step_refused(step, reply, self.peer())),
        }
    }
}

impl SmtpConnection {
    fn new(stream: Stream, deadline: Instant, hidden: HiddenTexts) -> Self {
        Self {
            stream: BufReader::new(stream),
            deadline,
            hidden,
            capabilities: SmtpCapabilities::default(),
            is_used: false,
            needs_reset: false,
        }
    }

    /// Sets the deadline of all further steps.
    pub(crate) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Removes these addresses from further replies. They are in lower case, the longest first.
    pub(crate) fn hide_addresses(&mut self, addresses: Arc<[String]>) {
        self.hidden.addresses = addresses;
    }

    /// True if the server has neither sent anything since its last reply nor closed the connection.
    pub(crate) fn is_quiet(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.stream.buffer().is_empty()
            && Pin::new(&mut self.stream)
                .poll_fill_buf(&mut context)
                .is_pending()
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(self.stream.get_ref(), Either::Right(_))
    }

    /// Sends one line and reads the reply.
    pub(crate) async fn command(
        &mut self,
        step: DialogueStep,
        line: &str,
    ) -> Result<SmtpReply, NoReply> {
        debug_assert!(!line.contains(['\r', '\n']), "a command must be one line");
        let mut bytes = Vec::with_capacity(line.len() + 2);
        bytes.extend_from_slice(line.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        self.send(step, &bytes).await
    }

    /// Sends bytes and reads the reply. A reply that came before is out of step, and only an announcement that the server
    /// closes the connection is of use.
    pub(crate) async fn send(
        &mut self,
        step: DialogueStep,
        bytes: &[u8],
    ) -> Result<SmtpReply, NoReply> {
        if !self.is_quiet() {
            let early = self.reply(step).await.map_err(NoReply::before_end)?;
            return match early.code {
                421 => Ok(early),
                _ => Err(NoReply::malformed(step).before_end()),
            };
        }
        let stream = &mut self.stream;
        let sending = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        match timeout_at(self.deadline, sending).await {
            Ok(Ok(())) => self.reply(step).await,
            // The server may have sent a reply before it closed the connection.
            Ok(Err(error)) => match self.reply(step).await {
                Ok(reply) => Ok(reply),
                Err(_) => Err(NoReply::io(step, error).before_end()),
            },
            Err(_) => Err(NoReply::timeout(step).before_end()),
        }
    }

    async fn reply(&mut self, step: DialogueStep) -> Result<SmtpReply, NoReply> {
        let deadline = self.deadline;
        match timeout_at(deadline, self.read_reply(step)).await {
            Ok(reply) => reply,
            Err(_) => Err(NoReply::timeout(step)),
        }
    }

    async fn read_reply(&mut self, step: DialogueStep) -> Result<SmtpReply, NoReply> {
        let mut room = REPLY_BYTES_MAX;
        let mut lines = ReplyLines::default();
        loop {
            let mut line = Vec::new();
            let reading = (&mut self.stream)
                .take(room)
                .read_until(b'\n', &mut line)
                .await;
            let length = reading.map_err(|error| NoReply::io(step, error))?;
            if length == 0 && room > 0 {
                return Err(NoReply::io(step, std::io::ErrorKind::UnexpectedEof.into()));
            }
            room -= length as u64;
            let text = String::from_utf8_lossy(&line);
            let is_complete = text.ends_with('\n');
            let line = lines.push(text.trim_end_matches(['\r', '\n']));
            match line.filter(|_| is_complete) {
                Some(ReplyLine::More) => {}
                Some(ReplyLine::Last) => {
                    let reply = lines.into_reply(&self.hidden);
                    return reply.ok_or_else(|| NoReply::malformed(step));
                }
                None => return Err(NoReply::malformed(step)),
            }
        }
    }

    /// Ends the session.
    pub(crate) async fn quit(mut self) {
        self.deadline = self.deadline.min(Instant::now() + QUIT_TIMEOUT);
        let _ = self.command(DialogueStep::Quit, "QUIT").await;
    }
}
