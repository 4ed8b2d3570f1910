//! One mail transaction: MAIL, RCPT for each recipient, DATA. If the server refuses a recipient, the others still get the
//! message.

use acteon_core::SinkError;
use lettre::Address;
use tokio::time::Instant;

use crate::connection::SmtpConnection;
use crate::error::{DialogueStep, NoReply, not_offered, step_refused};
use crate::message::OutgoingMail;
use crate::recipient::needs_smtputf8;
use crate::reply::{ReplyClass, SmtpReply};
use crate::results::RecipientResults;
use crate::times::AttemptTimes;
use crate::wire::MailContent;

/// What the transactions of one attempt have in common.
pub(crate) struct Transaction<'a> {
    pub(crate) from: &'a Address,
    pub(crate) mail: &'a OutgoingMail,
    pub(crate) peer: &'a str,
    pub(crate) times: AttemptTimes,
}

/// Why a transaction ended without results for its recipients.
pub(crate) enum TransactionError {
    /// There was no usable reply.
    NoReply(NoReply),
    /// The server refused a step that does not depend on the action, or closes the connection (421).
    Refused(DialogueStep, SmtpReply),
    /// The server lacks what `from_address` needs.
    NotOffered(SinkError),
}

/// How to continue after a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterTransaction {
    /// With another transaction, if recipients are pending.
    Continue,
    /// In another attempt: the server does not accept messages now, or too little time is left.
    TryLater,
}

impl From<NoReply> for TransactionError {
    fn from(no_reply: NoReply) -> Self {
        Self::NoReply(no_reply)
    }
}

impl TransactionError {
    /// True if a new connection may succeed where one that was used before failed: the server closed it, limits the
    /// messages of one connection, or its replies are out of step. False once the message was sent.
    pub(crate) fn may_be_of_connection(&self) -> bool {
        match self {
            Self::NoReply(no_reply) => no_reply.is_broken() && no_reply.step.is_before_message(),
            Self::Refused(step, _) => step.is_before_message(),
            Self::NotOffered(_) => false,
        }
    }

    /// True if the server closes the connection and has not got the message.
    pub(crate) fn is_closing(&self) -> bool {
        matches!(self, Self::Refused(step, reply) if reply.code == 421 && step.is_before_message())
    }

    pub(crate) fn into_error(self, peer: &str) -> SinkError {
        match self {
            Self::NoReply(no_reply) => no_reply.into_error(peer),
            Self::Refused(step, reply) => step_refused(step, &reply, peer),
            Self::NotOffered(error) => error,
        }
    }
}

impl Transaction<'_> {
    /// Sends the message to the pending recipients, or to as many as the server accepts at once.
    pub(crate) async fn run(
        &self,
        connection: &mut SmtpConnection,
        results: &mut RecipientResults<'_>,
    ) -> Result<AfterTransaction, TransactionError> {
        connection.set_deadline(self.times.steps_until);
        connection.hide_addresses(self.mail.hidden_addresses.clone());
        let Some(content) = self.content(connection, results)? else {
            return Ok(AfterTransaction::Continue);
        };
        if connection.needs_reset {
            reset(connection).await?;
        }
        let refused = self.begin(connection, content).await?;
        connection.is_used = true;
        if let Some(reply) = refused {
            for position in results.pending() {
                results.refuse(position, &reply);
            }
            return Ok(AfterTransaction::Continue);
        }
        connection.needs_reset = true;
        let accepted = self.send_recipients(connection, results).await?;
        if accepted.is_empty() {
            return Ok(AfterTransaction::Continue);
        }
        let reply = connection.command(DialogueStep::Data, "DATA").await?;
        match reply.class() {
            ReplyClass::Intermediate => {}
            ReplyClass::Completed => return Err(NoReply::malformed(DialogueStep::Data).into()),
            ReplyClass::Transient | ReplyClass::Permanent => {
                return record(DialogueStep::Data, &reply, &accepted, results);
            }
        }
        connection.set_deadline(self.times.ends_at);
        let reply = connection
            .send(DialogueStep::Content, &content.wire)
            .await?;
        connection.needs_reset = false;
        let next = record(DialogueStep::Content, &reply, &accepted, results)?;
        let is_late = Instant::now() >= self.times.recipients_until;
        Ok(if is_late {
            AfterTransaction::TryLater
        } else {
            next
        })
    }

    /// The content for this server. Without SMTPUTF8, refuses the recipients that need it. `None` if there are no others.
    fn content(
        &self,
        connection: &SmtpConnection,
        results: &mut RecipientResults<'_>,
    ) -> Result<Option<&MailContent>, TransactionError> {
        if !self.mail.needs_smtputf8 || connection.capabilities.smtputf8 {
            return Ok(Some(&self.mail.content));
        }
        if needs_smtputf8(self.from) {
            let what = "SMTPUTF8, which `from_address` needs";
            return Err(TransactionError::NotOffered(not_offered(what, self.peer)));
        }
        let peer = self.peer;
        let reason = format!("{peer} does not accept internationalized addresses (SMTPUTF8)");
        let ascii = self.mail.ascii_content.as_ref();
        for position in results.pending() {
            let address = &self.mail.recipients[position].address;
            if ascii.is_none() || needs_smtputf8(address) {
                results.refuse_unasked(position, &reason);
            }
        }
        Ok(ascii.filter(|_| !results.pending().is_empty()))
    }

    /// Sends MAIL. Returns the reply if the server refuses this message.
    async fn begin(
        &self,
        connection: &mut SmtpConnection,
        content: &MailContent,
    ) -> Result<Option<SmtpReply>, TransactionError> {
        let mut line = format!("MAIL FROM:<{}>", self.from);
        if connection.capabilities.size {
            line.push_str(&format!(" SIZE={}", content.size));
        }
        if self.mail.needs_smtputf8 && connection.capabilities.smtputf8 {
            line.push_str(" BODY=8BITMIME SMTPUTF8");
        }
        let reply = connection.command(DialogueStep::Mail, &line).await?;
        match reply.class() {
            ReplyClass::Completed => Ok(None),
            _ if reply.concerns_message() => Ok(Some(reply)),
            ReplyClass::Intermediate | ReplyClass::Transient | ReplyClass::Permanent => {
                Err(TransactionError::Refused(DialogueStep::Mail, reply))
            }
        }
    }

    /// Sends RCPT for each pending recipient while there is time. Returns the positions of the accepted ones.
    async fn send_recipients(
        &self,
        connection: &mut SmtpConnection,
        results: &mut RecipientResults<'_>,
    ) -> Result<Vec<usize>, TransactionError> {
        let mut accepted = Vec::new();
        for position in results.pending() {
            let is_late = Instant::now() >= self.times.recipients_until;
            if is_late && !accepted.is_empty() {
                break;
            }
            let line = format!("RCPT TO:<{}>", self.mail.recipients[position].address);
            let reply = connection.command(DialogueStep::Rcpt, &line).await?;
            match reply.class() {
                ReplyClass::Completed => accepted.push(position),
                // The remaining recipients stay pending, for the next transaction.
                _ if !accepted.is_empty() && reply.is_too_many_recipients() => break,
                _ => {
                    record(DialogueStep::Rcpt, &reply, &[position], results)?;
                }
            }
        }
        Ok(accepted)
    }
}

/// Records the result of a step for the recipients at these positions.
fn record(
    step: DialogueStep,
    reply: &SmtpReply,
    positions: &[usize],
    results: &mut RecipientResults<'_>,
) -> Result<AfterTransaction, TransactionError> {
    let each = positions.iter().copied();
    match (reply.class(), reply.code) {
        (ReplyClass::Completed, _) => each.for_each(|position| results.accept(position)),
        (_, 421 | 530 | 535) => return Err(TransactionError::Refused(step, reply.clone())),
        (ReplyClass::Intermediate, _) => return Err(NoReply::malformed(step).into()),
        (ReplyClass::Permanent, _) => each.for_each(|position| results.refuse(position, reply)),
        (ReplyClass::Transient, _) => {
            each.for_each(|position| results.defer(position, step, reply));
            return Ok(AfterTransaction::TryLater);
        }
    }
    Ok(AfterTransaction::Continue)
}

/// Aborts the transaction before, so that the connection can carry another one.
async fn reset(connection: &mut SmtpConnection) -> Result<(), TransactionError> {
    let reply = connection.command(DialogueStep::Rset, "RSET").await?;
    match reply.class() {
        ReplyClass::Completed => {
            connection.needs_reset = false;
            Ok(())
        }
        ReplyClass::Intermediate | ReplyClass::Transient | ReplyClass::Permanent => {
            Err(TransactionError::Refused(DialogueStep::Rset, reply))
        }
    }
}
