//! What every client of NATS needs, sources and sinks alike: the options of a connection, the checks that need no
//! server, and a connection that ends when it is lost instead of hiding that from its user.
#![deny(missing_docs)]

mod connect;
mod credentials;
mod error;
mod events;
mod link;
mod login;
mod options;
mod reports;
mod servers;

pub use acteon_connect_tls::TlsOptions;
pub use async_nats::{HeaderMap, HeaderName, HeaderValue, Message};
pub use error::{NatsConnectError, NatsRequestError};
pub use link::NatsLink;
pub use options::NatsConnection;

#[cfg(test)]
mod tests;
