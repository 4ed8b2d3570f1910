//! Why there is no connection, and why there is no answer. Messages contain no credentials.

use thiserror::Error;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NatsConnectError {
    /// No server answers. Another attempt may succeed.
    #[error("no server answers: {0}")]
    Unreachable(String),
    /// A server refuses the credentials or the certificate, or a file cannot be read. Every attempt fails until that is
    /// fixed.
    #[error("{0}")]
    Refused(String),
}

/// Why a message has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NatsRequestError {
    /// Nothing was sent: the server would refuse a message of this size.
    #[error("the message is larger than the server accepts: {0}")]
    TooLarge(String),
    /// Nothing was sent: the name of a header or the subject is not one.
    #[error("the message cannot be sent: {0}")]
    Invalid(String),
    /// No client listens to the subject.
    #[error("no client listens to the subject")]
    NoResponders,
    /// The user may not send to the subject.
    #[error("the server refuses the client: the user may not publish to the subject")]
    SubjectDenied,
    /// The user may not receive answers.
    #[error("the server refuses the client: the user may not subscribe to its inbox `_INBOX.>`")]
    InboxDenied,
    /// The connection was lost before the answer. The message may have arrived nevertheless.
    #[error("the connection was lost before the answer")]
    Lost,
}
