//! The common parts of all HTTP sinks: a client that connects only to allowed addresses, a table of what each status
//! means, bounded reading of bodies, and messages without secrets. Each sink decides what to send, and with which
//! headers.
//!
//! The clauses that every HTTP sink must pass are in [`contract`], behind the feature of that name.
#![deny(missing_docs)]

mod address;
mod broker_headers;
mod client;
mod cloud_event;
mod connection;
mod connector;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod dial;
mod headers;
mod message;
mod proxy;
mod reply;
mod request_body;
mod resolver;
mod retry_after;
mod routing;
mod sent_secrets;
mod shared_connection;
mod status;
mod target;
mod text;
mod tls;
mod transport;
mod wire;

pub use address::{AddressFilter, RefusedAddress};
pub use broker_headers::{broker_headers, check_broker_headers};
pub use client::{CONNECT_TIMEOUT_MAX, ClientOptions, HttpClient, USER_AGENT, attempt_limit};
pub use connection::ConnectionOptions;
pub use connector::{Connector, TlsHandshake};
pub use headers::{header_text, percent_encoded};
pub use message::{BrokerMessage, MessageFormat, confirmed};
pub use reply::{BODY_BYTES_MAX, BodyError, Reply};
pub use request_body::RequestBody;
pub use routing::RoutingTemplate;
pub use sent_secrets::redact_secret;
pub use shared_connection::{BrokerLink, SharedConnection};
pub use status::SuccessCodes;
pub use text::cut;
pub use tls::Roots;
pub use wire::action_json;

#[cfg(test)]
mod tests;
