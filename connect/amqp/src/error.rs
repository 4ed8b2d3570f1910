//! Why there is no connection, and why a message is not confirmed. Messages contain no credentials.

use std::error::Error;

use lapin::ErrorKind;
use thiserror::Error;

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AmqpConnectError {
    /// The broker does not answer. Another attempt may succeed.
    #[error("the broker does not answer: {0}")]
    Unreachable(String),
    /// The broker refuses the credentials, the certificate or the virtual host, or a file cannot be read. Every attempt
    /// fails until that is fixed.
    #[error("{0}")]
    Refused(String),
}

/// Why a message is not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AmqpPublishError {
    /// The broker would refuse a message of this size, or has refused it.
    #[error("the message is larger than the broker accepts: {0}")]
    TooLarge(String),
    /// A name is too long for the protocol. Nothing was sent.
    #[error("the message cannot be sent: {0}")]
    Invalid(String),
    /// The broker has refused the exchange or the user.
    #[error("the broker refuses the exchange or the user: {0}")]
    Denied(String),
    /// No queue takes the message. The broker has returned it.
    #[error("no queue takes messages of this routing key")]
    Unroutable,
    /// A queue did not take the message: it is full, or has failed.
    #[error("the broker could not store the message")]
    Unstored,
    /// The broker takes no messages at the moment. Nothing was sent.
    #[error("the broker blocks publishers: it is low on memory or disk space")]
    Blocked,
    /// The connection or the channel was lost before the confirmation. The message may have arrived nevertheless.
    #[error("the connection was lost before the confirmation: {0}")]
    Lost(String),
}

/// What a broker says when it closes a channel or a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmqpReply {
    /// The reply code of the protocol, such as 404.
    pub code: u16,
    /// The broker's own words.
    pub text: String,
}

impl AmqpReply {
    /// The reply in an error of the library, if it has one.
    pub fn of(error: &lapin::Error) -> Option<Self> {
        match error.kind() {
            ErrorKind::ProtocolError(reply) => Some(Self {
                code: reply.get_id(),
                text: reply.get_message().to_string(),
            }),
            _ => None,
        }
    }
}

/// What a failure to connect means.
pub(crate) fn unconnected(error: &lapin::Error) -> AmqpConnectError {
    if let Some(reply) = AmqpReply::of(error) {
        return match reply.code {
            // ACCESS_REFUSED
            403 => AmqpConnectError::Refused(format!("authentication failed: {}", reply.text)),
            // NOT_ALLOWED: the virtual host, or the number of connections. INVALID_PATH is its older name.
            402 | 530 => AmqpConnectError::Refused(format!("the broker refuses: {}", reply.text)),
            _ => AmqpConnectError::Unreachable(reply.text),
        };
    }
    match error.kind() {
        ErrorKind::IOError(io) => match find_tls(io) {
            Some(tls) => AmqpConnectError::Refused(format!("TLS failed: {tls}")),
            None => AmqpConnectError::Unreachable(io.to_string()),
        },
        ErrorKind::AuthProviderError(_) => {
            let message = "authentication failed: the broker does not offer the mechanism";
            AmqpConnectError::Refused(message.to_owned())
        }
        ErrorKind::InvalidProtocolVersion(_) | ErrorKind::ParsingError(_) => {
            AmqpConnectError::Refused("the server does not speak AMQP 0.9.1".to_owned())
        }
        _ => AmqpConnectError::Unreachable(error.to_string()),
    }
}

/// What the end of a channel or a connection means for the message that waits for its confirmation.
pub(crate) fn unconfirmed(error: &lapin::Error) -> AmqpPublishError {
    let Some(reply) = AmqpReply::of(error) else {
        return AmqpPublishError::Lost(error.to_string());
    };
    match reply.code {
        // CONTENT_TOO_LARGE
        311 => AmqpPublishError::TooLarge(reply.text),
        // PRECONDITION_FAILED: "message size ... is larger than max size ..."
        406 if reply.text.contains("message size") => AmqpPublishError::TooLarge(reply.text),
        // ACCESS_REFUSED, NOT_FOUND, NOT_ALLOWED, NOT_IMPLEMENTED
        403 | 404 | 406 | 530 | 540 => AmqpPublishError::Denied(reply.text),
        _ => AmqpPublishError::Lost(reply.text),
    }
}

/// The error of TLS that an I/O error wraps.
fn find_tls(error: &std::io::Error) -> Option<&rustls::Error> {
    let mut next = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        let io = error.downcast_ref::<std::io::Error>();
        next = match io.and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}
