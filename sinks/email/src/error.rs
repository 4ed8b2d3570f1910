//! Maps failures of the dialogue to what the caller may do.

use std::io;
use std::time::Duration;

use acteon_core::sink::{ProviderRefusal, SinkErrorClass};
use acteon_core::{FailureCode, SinkError};
use serde_json::json;
use thiserror::Error;

use crate::reply::{ReplyClass, SmtpReply};

/// How long to wait after the reply to a message is lost. The server may still deliver it (RFC 5321, 4.5.4.1).
const LOST_REPLY_WAIT: Duration = Duration::from_secs(30 * 60);

/// The steps of the dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DialogueStep {
    Greeting,
    Ehlo,
    Starttls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Content,
    Rset,
    Quit,
}

impl DialogueStep {
    /// True for the steps of a transaction before the message.
    pub(crate) fn is_before_message(self) -> bool {
        matches!(self, Self::Mail | Self::Rcpt | Self::Data | Self::Rset)
    }

    /// The server's part of this step, for messages.
    fn reply_name(self) -> &'static str {
        match self {
            Self::Greeting => "its greeting",
            Self::Ehlo => "its reply to EHLO",
            Self::Starttls => "its reply to STARTTLS",
            Self::Auth => "its reply to AUTH",
            Self::Mail => "its reply to MAIL",
            Self::Rcpt => "its reply to RCPT",
            Self::Data => "its reply to DATA",
            Self::Content => "its reply to the message",
            Self::Rset => "its reply to RSET",
            Self::Quit => "its reply to QUIT",
        }
    }
}

/// A step without a usable reply.
#[derive(Debug)]
pub(crate) struct NoReply {
    pub(crate) step: DialogueStep,
    cause: NoReplyCause,
    /// True if everything was sent, so that only the reply is missing.
    is_sent: bool,
}

#[derive(Debug)]
enum NoReplyCause {
    Timeout,
    Io(io::Error),
    Malformed,
}

/// The server sent bytes that are not a reply of SMTP, or a reply that the step does not allow.
#[derive(Debug, Error)]
#[error("not an SMTP reply that is allowed here")]
struct UnexpectedReply;

impl NoReply {
    /// The deadline of the step passed.
    pub(crate) fn timeout(step: DialogueStep) -> Self {
        Self::of(step, NoReplyCause::Timeout)
    }

    /// The connection broke.
    pub(crate) fn io(step: DialogueStep, error: io::Error) -> Self {
        Self::of(step, NoReplyCause::Io(error))
    }

    /// The server sent something else.
    pub(crate) fn malformed(step: DialogueStep) -> Self {
        Self::of(step, NoReplyCause::Malformed)
    }

    fn of(step: DialogueStep, cause: NoReplyCause) -> Self {
        Self {
            step,
            cause,
            is_sent: true,
        }
    }

    /// The command or the message was not sent as a whole, so the server cannot have acted on it.
    pub(crate) fn before_end(mut self) -> Self {
        self.is_sent = false;
        self
    }

    /// True if the connection is broken or out of step, and not only slow.
    pub(crate) fn is_broken(&self) -> bool {
        !matches!(self.cause, NoReplyCause::Timeout)
    }

    /// A transient error. If the message was sent, the server may have accepted it, so the next attempt is not soon.
    pub(crate) fn into_error(self, peer: &str) -> SinkError {
        let reply = self.step.reply_name();
        let is_lost = self.step == DialogueStep::Content && self.is_sent;
        let error = match self.cause {
            NoReplyCause::Timeout => {
                let message = format!("{peer} did not send {reply} in time");
                SinkError::transient(FailureCode::Timeout, message)
            }
            NoReplyCause::Io(error) => {
                let message = format!("{peer} closed the connection before {reply}");
                SinkError::transient(FailureCode::Connection, message).with_source(error)
            }
            NoReplyCause::Malformed => {
                let message = format!("{peer} did not send valid SMTP as {reply}");
                SinkError::transient(FailureCode::Connection, message).with_source(UnexpectedReply)
            }
        };
        match is_lost {
            true => error.after(LOST_REPLY_WAIT),
            false => error,
        }
    }
}

/// The error for a refused step that does not depend on the action: the configuration or the server is at fault.
pub(crate) fn step_refused(step: DialogueStep, reply: &SmtpReply, peer: &str) -> SinkError {
    let message = format!("{peer} sent {} as {}", reply.code, step.reply_name());
    let code = FailureCode::ExecutionFailed;
    let error = match reply.class() {
        ReplyClass::Transient => SinkError::transient(code, message),
        ReplyClass::Permanent => SinkError::provider_fault(code, message),
        ReplyClass::Completed | ReplyClass::Intermediate => {
            SinkError::transient(FailureCode::Connection, message).with_source(UnexpectedReply)
        }
    };
    error.refused(ProviderRefusal {
        status: Some(reply.code),
        body: json!({ "reply": reply.text }).to_string().into(),
    })
}

/// The error for a server without a capability that the options require.
pub(crate) fn not_offered(what: &str, peer: &str) -> SinkError {
    let message = format!("{peer} does not offer {what}");
    SinkError::provider_fault(FailureCode::Configuration, message)
}

/// Why there is no connection.
pub(crate) struct OpenError {
    pub(crate) error: SinkError,
    /// True if the server may refuse only one connection more than it has.
    pub(crate) is_crowded: bool,
}

impl From<SinkError> for OpenError {
    fn from(error: SinkError) -> Self {
        let is_transient = matches!(error.class, SinkErrorClass::Transient { .. });
        Self {
            is_crowded: is_transient && error.code != FailureCode::Timeout,
            error,
        }
    }
}
