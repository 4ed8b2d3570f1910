//! What every client of AMQP 0.9.1 needs, sources and sinks alike: the options of a connection, the checks that need no
//! broker, and a connection that ends when it is lost, with channels that confirm each message.
#![deny(missing_docs)]

mod channels;
mod connect;
mod error;
mod events;
mod link;
mod options;
mod socket;

pub use acteon_connect_tls::TlsOptions;
pub use error::{AmqpConnectError, AmqpPublishError, AmqpReply};
pub use lapin::BasicProperties;
pub use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
pub use link::{AmqpLink, AmqpMessage};
pub use options::AmqpConnection;
