//! What every HTTP sink needs: a client that connects only where it may, one table of what a status means, bodies
//! read with a bound, and messages that hold no secrets. What to send, and with which headers, is each sink's.
//!
//! The clauses that every HTTP sink must pass stand in [`contract`], behind the feature of that name.
#![deny(missing_docs)]

mod address;
mod client;
mod confidence;
mod connections;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod dial;
mod headers;
mod reply;
mod request_body;
mod resolver;
mod retry_after;
mod status;
mod tls;
mod transport;
mod wire;

pub use address::{AddressFilter, RefusedAddress};
pub use client::{ClientOptions, HttpClient, USER_AGENT, parse_url};
pub use headers::header_text;
pub use reply::{BODY_BYTES_MAX, Reply, Unread};
pub use request_body::RequestBody;
pub use status::SuccessCodes;
pub use tls::Roots;
pub use wire::action_json;

#[cfg(test)]
mod tests;
