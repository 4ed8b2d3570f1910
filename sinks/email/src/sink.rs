//! One attempt: builds the message and sends it to the recipients that have no final result yet.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::sink::SinkContext;
use acteon_core::{
    Attempt, BuildError, Clock, Factory, FailureCode, Faults, ProviderResponse, Sink, SinkError,
    Sinks,
};
use acteon_sinks_kit::{AddressFilter, CONNECT_TIMEOUT_MAX, Connector, Roots, attempt_limit};
use async_trait::async_trait;
use compact_str::CompactString;
use lettre::message::Mailbox;
use lettre::message::header::HeaderName;
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

use crate::auth::SmtpLogin;
use crate::config::{EmailConfig, RECIPIENTS_MAX, SmtpTls};
use crate::connection::{SmtpConnection, SmtpEncryption, SmtpServer};
use crate::connections::{Connections, Lease};
use crate::error::OpenError;
use crate::events;
use crate::hello::hello_name;
use crate::message::{IDEMPOTENCY_KEY, MailLimits, OutgoingMail, system_time};
use crate::recipient::parse_mailbox;
use crate::results::RecipientResults;
use crate::times::AttemptTimes;
use crate::transaction::{AfterTransaction, Transaction};
use crate::writer::MailWriter;

/// The maximum size of all attachments of one message, decoded, in bytes. Few servers accept larger messages.
const ATTACHMENT_BYTES_MAX: usize = 10 << 20;
/// Larger payloads are not turned into messages on the threads that serve others.
const BUILT_AT_ONCE_BYTES_MAX: usize = 4 << 10;
/// Headers that `allow_headers` must not contain: Acteon or the server sets them.
const RESERVED_HEADERS: &[&str] = &[
    "bcc",
    "cc",
    "date",
    "dkim-signature",
    "from",
    "message-id",
    "mime-version",
    "received",
    "reply-to",
    "return-path",
    "sender",
    "subject",
    "to",
];
/// Prefixes of further such headers.
const RESERVED_PREFIXES: &[&str] = &["content-", "resent-", "arc-"];

/// The factory of the `email` sink. All its sinks share the root certificates.
#[derive(Default)]
pub struct Email {
    roots: Roots,
}

#[async_trait]
impl Factory<Sinks> for Email {
    const KIND: &'static str = "email";
    type Config = EmailConfig;

    async fn build(
        &self,
        config: EmailConfig,
        context: SinkContext,
    ) -> Result<Arc<dyn Sink>, BuildError> {
        Ok(Arc::new(EmailSink::new(&config, &context, &self.roots)?))
    }
}

/// Sends each action as a mail through one server.
pub struct EmailSink {
    server: SmtpServer,
    connections: Arc<Connections>,
    writer: Arc<MailWriter>,
    provider: CompactString,
    attempt_limit: Duration,
    final_reply: Duration,
    clock: Clock,
}

impl EmailSink {
    /// Builds a sink. Connects to nothing yet.
    ///
    /// # Errors
    /// All options that cannot work.
    pub fn new(
        config: &EmailConfig,
        context: &SinkContext,
        roots: &Roots,
    ) -> Result<Self, BuildError> {
        let mut faults = Faults::default();
        let from = faults.keep(from(&config.from_address));
        let limits = faults.keep(limits(config));
        let login = faults.keep(SmtpLogin::new(config));
        let name = faults.keep(hello_name(config.hello_name.as_deref()));
        let transport = faults.keep(transport(config, context, roots));
        let final_reply = faults.keep(final_reply(config, context));
        let server = login.zip(name).zip(transport);
        let server = server.map(
            |((login, hello_name), (connector, encryption))| SmtpServer {
                connector,
                encryption,
                login,
                hello_name,
            },
        );
        let parts = from.zip(limits).zip(server).zip(final_reply);
        let (((from, limits), server), final_reply) = faults.end(parts)?;
        if config.tls == SmtpTls::None {
            events::unencrypted(&context.name, server.peer());
        }
        Ok(Self {
            server,
            connections: Connections::new(context.max_concurrent),
            writer: Arc::new(MailWriter {
                from,
                limits,
                provider: context.name.clone(),
            }),
            provider: context.name.clone(),
            attempt_limit: attempt_limit(context),
            final_reply,
            clock: Clock::system(),
        })
    }

    /// Builds the message. A large one takes long, so it is built apart from the threads that serve others.
    async fn mail(
        &self,
        attempt: Attempt<'_>,
        times: AttemptTimes,
    ) -> Result<OutgoingMail, SinkError> {
        let now = system_time(self.clock.now().as_millisecond());
        let payload = &attempt.action.payload;
        if payload.as_bytes().len() <= BUILT_AT_ONCE_BYTES_MAX {
            return self.writer.write(payload, attempt.idempotency_key, now);
        }
        let writer = self.writer.clone();
        let payload = payload.clone();
        let key = attempt.idempotency_key.to_owned();
        let writing = spawn_blocking(move || writer.write(&payload, &key, now));
        match timeout_at(times.steps_until, writing).await {
            Ok(Ok(mail)) => mail,
            Ok(Err(error)) => {
                let message = "the message was not built, because of a bug or a shutdown";
                Err(SinkError::permanent(FailureCode::ExecutionFailed, message).with_source(error))
            }
            Err(_) => {
                let message = "the message was not built in time";
                Err(SinkError::deferred(FailureCode::Timeout, message))
            }
        }
    }

    /// Sends the message in as many transactions as the server requires.
    async fn send(
        &self,
        mail: &OutgoingMail,
        results: &mut RecipientResults<'_>,
        times: AttemptTimes,
    ) -> Result<(), SinkError> {
        let peer = self.server.peer();
        let transaction = Transaction {
            from: &self.writer.from.email,
            mail,
            peer,
            times,
        };
        let mut kept: Option<Lease> = None;
        let mut is_fresh = false;
        while !results.pending().is_empty() {
            let (mut lease, mut connection) = self.connection(kept.take(), is_fresh, times).await?;
            let is_used = connection.is_used;
            let before = results.clone();
            let error = match transaction.run(&mut connection, results).await {
                Ok(next) => {
                    lease.connection = Some(connection);
                    kept = Some(lease);
                    is_fresh = false;
                    match next {
                        AfterTransaction::Continue => continue,
                        AfterTransaction::TryLater => break,
                    }
                }
                Err(error) => error,
            };
            // The replies may have belonged to other recipients.
            *results = before;
            is_fresh = is_used;
            if is_used && error.may_be_of_connection() {
                events::connection_replaced(&self.provider, peer);
            } else if error.is_closing() && lease.use_fewer() {
                events::fewer_connections(&self.provider, peer);
            } else {
                return Err(error.into_error(peer));
            }
        }
        if let Some(lease) = kept {
            lease.keep();
        }
        Ok(())
    }

    /// The connection in `kept`, or else an idle or a new one. While the server accepts no more, waits for one of the
    /// others.
    async fn connection(
        &self,
        kept: Option<Lease>,
        is_fresh: bool,
        times: AttemptTimes,
    ) -> Result<(Lease, SmtpConnection), SinkError> {
        let until = times.steps_until;
        let mut next = kept;
        loop {
            let mut lease = match next.take() {
                Some(lease) => lease,
                None => {
                    let leasing = timeout_at(until, self.connections.lease(is_fresh));
                    leasing.await.map_err(|_| self.no_free_connection())?
                }
            };
            if let Some(connection) = lease.connection.take() {
                return Ok((lease, connection));
            }
            match self.server.open(until).await {
                Ok(connection) => {
                    lease.opened();
                    return Ok((lease, connection));
                }
                Err(refused) if refused.is_crowded && lease.use_fewer() => {
                    events::fewer_connections(&self.provider, self.server.peer());
                }
                Err(refused) => return Err(refused.error),
            }
        }
    }

    fn no_free_connection(&self) -> SinkError {
        let peer = self.server.peer();
        let message = format!("all connections that {peer} accepts were in use");
        SinkError::deferred(FailureCode::Timeout, message)
    }

    fn times(&self) -> AttemptTimes {
        AttemptTimes::new(self.attempt_limit, self.final_reply)
    }
}

#[async_trait]
impl Sink for EmailSink {
    async fn deliver(&self, attempt: Attempt<'_>) -> Result<ProviderResponse, SinkError> {
        let times = self.times();
        let mail = self.mail(attempt, times).await?;
        let mut results = RecipientResults::new(&mail.recipients, attempt.progress);
        match self.send(&mail, &mut results, times).await {
            Ok(()) => results.conclude(self.server.peer(), &mail.message_id),
            Err(error) => Err(results.with_progress(error)),
        }
    }

    async fn dial(&self) -> Result<Option<String>, BuildError> {
        let opened = self.server.open(self.times().steps_until).await;
        let connection = opened.map_err(|OpenError { error, .. }| {
            let failed = BuildError::at("smtp_host", error.message.as_str());
            match error.source {
                Some(source) => failed.with_source(source),
                None => failed,
            }
        })?;
        let encryption = match connection.is_encrypted() {
            true => "over TLS",
            false => "without TLS",
        };
        let login = match &self.server.login {
            Some(_) => ", authenticated",
            None => "",
        };
        connection.quit().await;
        let peer = self.server.peer();
        Ok(Some(format!("connected to {peer} {encryption}{login}")))
    }
}

/// The part of an attempt that is kept for the reply to the message.
fn final_reply(config: &EmailConfig, context: &SinkContext) -> Result<Duration, BuildError> {
    let limit = attempt_limit(context);
    let Some(seconds) = config.final_reply_seconds else {
        return Ok(limit / 3);
    };
    let kept = Duration::from_secs(seconds.get().into());
    match kept < limit {
        true => Ok(kept),
        false => Err(BuildError::at(
            "final_reply_seconds",
            "must be less than `timeout_seconds`",
        )),
    }
}

fn from(text: &str) -> Result<Mailbox, BuildError> {
    let message = "must be an address such as alerts@example.com or Acteon <alerts@example.com>";
    parse_mailbox(text).ok_or_else(|| BuildError::at("from_address", message))
}

fn limits(config: &EmailConfig) -> Result<MailLimits, BuildError> {
    let mut faults = Faults::default();
    let named = |(at, name): (usize, &String)| {
        let wrong = |what: &str| BuildError::at(format!("allow_headers[{at}]"), what);
        let is_allowed = |b: u8| b.is_ascii_graphic() && b != b':';
        if !name.bytes().all(is_allowed) {
            return Err(wrong("not a header name"));
        }
        let lower = name.to_ascii_lowercase();
        let is_reserved = RESERVED_HEADERS.contains(&lower.as_str())
            || RESERVED_PREFIXES
                .iter()
                .any(|prefix| lower.starts_with(prefix))
            || lower.eq_ignore_ascii_case(IDEMPOTENCY_KEY);
        if is_reserved {
            return Err(wrong("payloads must not set this header"));
        }
        HeaderName::new_from_ascii(name.clone())
            .map_err(|error| wrong("not a header name").with_source(error))
    };
    let headers = config.allow_headers.iter().enumerate().map(named);
    let headers = headers.filter_map(|name| faults.keep(name)).collect();
    let recipients = config.max_recipients.get();
    if recipients > RECIPIENTS_MAX {
        let message = format!("must be at most {RECIPIENTS_MAX}");
        faults.keep::<()>(Err(BuildError::at("max_recipients", message)));
    }
    faults.end(Some(MailLimits {
        recipients,
        attachment_bytes: ATTACHMENT_BYTES_MAX,
        headers,
    }))
}

/// The connector and the encryption.
fn transport(
    config: &EmailConfig,
    context: &SinkContext,
    roots: &Roots,
) -> Result<(Connector, SmtpEncryption), BuildError> {
    let filter = AddressFilter::new("allow_cidrs", &config.allow_cidrs)?;
    let timeout = context.timeout.min(CONNECT_TIMEOUT_MAX);
    let connector = Connector::new(
        "smtp_host",
        &config.smtp_host,
        config.smtp_port,
        filter,
        timeout,
    )?;
    let ca_file = config.ca_file.as_deref();
    let encryption = match config.tls {
        SmtpTls::None if ca_file.is_some() => {
            let message = "has no effect with `tls = \"none\"`";
            return Err(BuildError::at("ca_file", message));
        }
        SmtpTls::None => SmtpEncryption::None,
        SmtpTls::Starttls => SmtpEncryption::Starttls(connector.tls(roots, ca_file)?),
        SmtpTls::Implicit => SmtpEncryption::Implicit(connector.tls(roots, ca_file)?),
    };
    Ok((connector, encryption))
}
