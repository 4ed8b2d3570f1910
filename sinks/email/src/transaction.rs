//! One mail transaction: MAIL, RCPT for each recipient, DATA. If the server refuses a recipient, the others still get the
//! message.

use acteon_core::SinkError;
use lettre::Address;

use crate::connection::SmtpConnection;
use crate::error::{DialogueStep, NoReply, not_offered, step_refused};
use crate::message::{OutgoingMail, dot_stuffed};
use crate::reply::{ReplyClass, SmtpReply};
use crate::results::RecipientResults;

/// Why a transaction ended without results for all of its recipients.
pub(crate) enum TransactionError {
    /// There was no usable reply.
    NoReply(NoReply),
    /// The server closes the connection (421).
    Closing(DialogueStep, SmtpReply),
    /// The server refused a step that does not depend on the action.
    Refused(SinkError),
}

/// How to continue after a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterTransaction {
    /// With another transaction, if recipients are pending.
    Continue,
    /// In another attempt: the server does not accept messages now.
    TryLater,
}

impl From<NoReply> for TransactionError {
    fn from(no_reply: NoReply) -> Self {
        Self::NoReply(no_reply)
    }
}

impl TransactionError {
    /// True if the connection ended before the message was sent. The transaction can be repeated on a new connection.
    pub(crate) fn is_disconnect_before_content(&self) -> bool {
        use DialogueStep::{Data, Mail, Rcpt, Rset};
        let is_before = |step| matches!(step, Mail | Rcpt | Data | Rset);
        match self {
            Self::NoReply(no_reply) => no_reply.is_disconnect() && is_before(no_reply.step),
            Self::Closing(step, _) => is_before(*step),
            Self::Refused(_) => false,
        }
    }
}

/// Sends `mail` to the pending recipients, or to as many as the server accepts at once.
pub(crate) async fn transact(
    connection: &mut SmtpConnection,
    from: &Address,
    mail: &OutgoingMail,
    results: &mut RecipientResults<'_>,
    peer: &str,
) -> Result<AfterTransaction, TransactionError> {
    if mail.needs_smtputf8 && !connection.capabilities.smtputf8 {
        if !from.user().is_ascii() {
            let what = "SMTPUTF8, which `from_address` needs";
            return Err(TransactionError::Refused(not_offered(what, peer)));
        }
        let reason = format!("{peer} does not accept internationalized addresses (SMTPUTF8)");
        results.refuse_pending(&reason);
        return Ok(AfterTransaction::Continue);
    }
    let refused = begin(connection, from, mail, peer).await?;
    connection.is_used = true;
    if let Some(reply) = refused {
        for position in results.pending() {
            results.refuse(position, &reply);
        }
        return reset(connection).await;
    }
    let accepted = send_recipients(connection, mail, results, peer).await?;
    if accepted.is_empty() {
        return reset(connection).await;
    }
    let reply = connection.command(DialogueStep::Data, "DATA").await?;
    match reply.class() {
        ReplyClass::Intermediate => {}
        ReplyClass::Completed => return Err(NoReply::malformed(DialogueStep::Data).into()),
        ReplyClass::Transient | ReplyClass::Permanent => {
            let next = record(DialogueStep::Data, &reply, &accepted, results, peer)?;
            reset(connection).await?;
            return Ok(next);
        }
    }
    let content = dot_stuffed(&mail.content);
    let reply = connection.send(DialogueStep::Content, &content).await?;
    record(DialogueStep::Content, &reply, &accepted, results, peer)
}

/// Sends MAIL. Returns the reply if the server refuses this message for its size.
async fn begin(
    connection: &mut SmtpConnection,
    from: &Address,
    mail: &OutgoingMail,
    peer: &str,
) -> Result<Option<SmtpReply>, TransactionError> {
    let mut line = format!("MAIL FROM:<{from}>");
    if connection.capabilities.size {
        line.push_str(&format!(" SIZE={}", mail.content.len()));
    }
    if mail.needs_smtputf8 {
        line.push_str(" BODY=8BITMIME SMTPUTF8");
    }
    let reply = connection.command(DialogueStep::Mail, &line).await?;
    match reply.class() {
        ReplyClass::Completed => Ok(None),
        ReplyClass::Permanent if reply.code == 552 => Ok(Some(reply)),
        _ if reply.code == 421 => Err(TransactionError::Closing(DialogueStep::Mail, reply)),
        ReplyClass::Intermediate | ReplyClass::Transient | ReplyClass::Permanent => {
            let error = step_refused(DialogueStep::Mail, &reply, peer);
            Err(TransactionError::Refused(error))
        }
    }
}

/// Sends RCPT for each pending recipient. Returns the positions of the accepted ones.
async fn send_recipients(
    connection: &mut SmtpConnection,
    mail: &OutgoingMail,
    results: &mut RecipientResults<'_>,
    peer: &str,
) -> Result<Vec<usize>, TransactionError> {
    let mut accepted = Vec::new();
    for position in results.pending() {
        let line = format!("RCPT TO:<{}>", mail.recipients[position].address);
        let reply = connection.command(DialogueStep::Rcpt, &line).await?;
        match reply.class() {
            ReplyClass::Completed => accepted.push(position),
            // The remaining recipients stay pending, for the next transaction.
            _ if !accepted.is_empty() && reply.is_too_many_recipients() => break,
            _ => {
                record(DialogueStep::Rcpt, &reply, &[position], results, peer)?;
            }
        }
    }
    Ok(accepted)
}

/// Records the result of a step for the recipients at these positions.
fn record(
    step: DialogueStep,
    reply: &SmtpReply,
    positions: &[usize],
    results: &mut RecipientResults<'_>,
    peer: &str,
) -> Result<AfterTransaction, TransactionError> {
    let each = positions.iter().copied();
    match (reply.class(), reply.code) {
        (ReplyClass::Completed, _) => each.for_each(|position| results.accept(position)),
        (_, 421) => return Err(TransactionError::Closing(step, reply.clone())),
        (_, 530 | 535) => {
            let error = step_refused(step, reply, peer);
            return Err(TransactionError::Refused(error));
        }
        (ReplyClass::Intermediate, _) => return Err(NoReply::malformed(step).into()),
        (ReplyClass::Permanent, _) => each.for_each(|position| results.refuse(position, reply)),
        (ReplyClass::Transient, _) => {
            each.for_each(|position| results.defer(position, reply));
            return Ok(AfterTransaction::TryLater);
        }
    }
    Ok(AfterTransaction::Continue)
}

/// Aborts the transaction so that the connection can carry another one.
async fn reset(connection: &mut SmtpConnection) -> Result<AfterTransaction, TransactionError> {
    let reply = connection.command(DialogueStep::Rset, "RSET").await?;
    match reply.class() {
        ReplyClass::Completed => Ok(AfterTransaction::Continue),
        ReplyClass::Intermediate | ReplyClass::Transient | ReplyClass::Permanent => {
            Err(TransactionError::Closing(DialogueStep::Rset, reply))
        }
    }
}
