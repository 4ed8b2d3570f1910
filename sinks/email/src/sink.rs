//! One attempt: builds the message and sends it to the recipients that have no final result yet.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::sink::SinkContext;
use acteon_core::{
    Attempt, BuildError, Clock, Factory, Faults, ProviderResponse, Sink, SinkError, Sinks,
};
use acteon_sinks_kit::{AddressFilter, CONNECT_TIMEOUT_MAX, Connector, Roots, attempt_limit};
use async_trait::async_trait;
use compact_str::CompactString;
use lettre::message::Mailbox;
use lettre::message::header::HeaderName;
use tokio::time::Instant;

use crate::auth::SmtpLogin;
use crate::config::{EmailConfig, RECIPIENTS_MAX, SmtpTls};
use crate::connection::{SmtpEncryption, SmtpServer};
use crate::error::step_refused;
use crate::events;
use crate::hello::hello_name;
use crate::idle::IdleConnections;
use crate::message::{IDEMPOTENCY_KEY, MailLimits, OutgoingMail, mail_key, system_time};
use crate::payload::draft;
use crate::recipient::parse_mailbox;
use crate::results::RecipientResults;
use crate::transaction::{AfterTransaction, TransactionError, transact};

/// The maximum size of all attachments of one message, decoded, in bytes. Few servers accept larger messages.
const ATTACHMENT_BYTES_MAX: usize = 10 << 20;
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
    idle: IdleConnections,
    from: Mailbox,
    limits: MailLimits,
    provider: CompactString,
    attempt_limit: Duration,
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
        let server = login.zip(name).zip(transport);
        let server = server.map(
            |((login, hello_name), (connector, encryption))| SmtpServer {
                connector,
                encryption,
                login,
                hello_name,
            },
        );
        let ((from, limits), server) = faults.end(from.zip(limits).zip(server))?;
        if config.tls == SmtpTls::None {
            events::unencrypted(&context.name, server.peer());
        }
        Ok(Self {
            server,
            idle: IdleConnections::new(context.max_concurrent),
            from,
            limits,
            provider: context.name.clone(),
            attempt_limit: attempt_limit(context),
            clock: Clock::system(),
        })
    }

    fn mail(&self, attempt: Attempt<'_>) -> Result<OutgoingMail, SinkError> {
        let key = mail_key(attempt.idempotency_key, &self.provider);
        let now = system_time(self.clock.now().as_millisecond());
        draft(attempt.action, &self.limits)?.write(&self.from, &key, now)
    }

    /// Sends the message in as many transactions as the server requires.
    async fn send(
        &self,
        mail: &OutgoingMail,
        results: &mut RecipientResults<'_>,
    ) -> Result<(), SinkError> {
        let deadline = Instant::now() + self.attempt_limit;
        let mut idle = self.idle.take(Instant::now());
        let mut may_reopen = true;
        while !results.pending().is_empty() {
            let mut connection = match idle.take() {
                Some(idle) => idle,
                None => self.server.open(deadline).await?,
            };
            connection.set_deadline(deadline);
            let is_used = connection.is_used;
            let from = &self.from.email;
            match transact(&mut connection, from, mail, results, self.server.peer()).await {
                Ok(next) => {
                    idle = Some(connection);
                    if next == AfterTransaction::TryLater {
                        break;
                    }
                }
                Err(error) if is_used && may_reopen && error.is_disconnect_before_content() => {
                    // This is not a failure of the attempt.
                    events::idle_connection_closed(&self.provider, self.server.peer());
                    may_reopen = false;
                }
                Err(_) if results.pending().is_empty() => return Ok(()),
                Err(error) => return Err(self.sink_error(error)),
            }
        }
        if let Some(connection) = idle {
            self.idle.keep(connection, Instant::now());
        }
        Ok(())
    }

    fn sink_error(&self, error: TransactionError) -> SinkError {
        let peer = self.server.peer();
        match error {
            TransactionError::NoReply(no_reply) => no_reply.into_error(peer),
            TransactionError::Closing(step, reply) => step_refused(step, &reply, peer),
            TransactionError::Refused(error) => error,
        }
    }
}

#[async_trait]
impl Sink for EmailSink {
    async fn deliver(&self, attempt: Attempt<'_>) -> Result<ProviderResponse, SinkError> {
        let mail = self.mail(attempt)?;
        let mut results = RecipientResults::new(&mail.recipients, attempt.progress);
        match self.send(&mail, &mut results).await {
            Ok(()) => results.conclude(self.server.peer(), &mail.message_id),
            Err(error) => Err(results.with_progress(error)),
        }
    }

    async fn dial(&self) -> Result<Option<String>, BuildError> {
        let opened = self.server.open(Instant::now() + self.attempt_limit).await;
        let connection = opened.map_err(|error| {
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
