//! The manners of the HTTP API, shared by the HTTP source and the admin API: one shape for every error, bodies that
//! are read with a bound, a request id on every answer.
//!
//! [`with_manners`] wraps a whole router; [`Json`], [`Query`] and [`Path`] take the place of axum's extractors,
//! whose refusals are plain text. What the endpoints do is left to their crates.

mod body;
pub mod code;
mod error;
mod events;
mod extract;
mod manners;
mod pace;
mod request_id;
mod strict;

pub use body::Room;
pub use error::{ApiError, ErrorBody};
pub use extract::{Json, NoQuery, Path, Query, parse_json, read_json, read_json_into};
pub use manners::{Answer, Mannered, Manners, with_manners};
pub use request_id::{REQUEST_ID, RequestId};

#[cfg(test)]
mod tests;
