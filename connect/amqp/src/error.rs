//! Why there is no connection, and why a message is not confirmed. Messages contain no credentials.

use acteon_connect_tls::find_cause;
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
    /// The user may not write to the exchange under this routing key. The broker's own words repeat the key, which may
    /// contain a value of the action.
    #[error("the broker refuses the routing key: the topic permissions of the user lack it")]
    KeyDenied,
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
        ErrorKind::IOError(io) => match find_cause::<rustls::Error>(&**io) {
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
        // ACCESS_REFUSED: "access to topic '...' in exchange '...' refused", for the right to a routing key
        403 if reply.text.contains("access to topic '") => AmqpPublishError::KeyDenied,
        // ACCESS_REFUSED, NOT_FOUND, NOT_ALLOWED, NOT_IMPLEMENTED
        403 | 404 | 406 | 530 | 540 => AmqpPublishError::Denied(reply.text),
        _ => AmqpPublishError::Lost(reply.text),
    }
}

#[cfg(test)]
mod tests {
    use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPSoftError};

    use super::*;

    #[test]
    fn a_refused_routing_key_is_distinguished_from_a_refused_exchange() {
        let refused = |text: &str| {
            let kind = AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED);
            let error = ErrorKind::ProtocolError(AMQPError::new(kind, text.into()));
            unconfirmed(&error.into())
        };
        let key = "ACCESS_REFUSED - access to topic 'a.b' in exchange 'x' in vhost '/' refused for user 'u'";
        assert_eq!(refused(key), AmqpPublishError::KeyDenied);
        let exchange = "ACCESS_REFUSED - access to exchange 'x' in vhost '/' refused for user 'u'";
        let denied = AmqpPublishError::Denied(exchange.to_owned());
        assert_eq!(refused(exchange), denied);
    }
}
