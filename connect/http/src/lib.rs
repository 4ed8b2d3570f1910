//! The conventions of the HTTP API, shared by the HTTP source and the admin API: one format for every error, size and
//! time limits on bodies, a request id in every answer.
//!
//! [`ApiService`] wraps a whole router. [`Json`], [`Query`] and [`Path`] replace axum's extractors, which refuse
//! requests in plain text. [`responses`] describes the shared errors in the OpenAPI document. The endpoints are in
//! other crates.

mod body;
mod body_permit;
pub mod code;
mod conventions;
mod error;
mod events;
mod extract;
mod request_id;
pub mod responses;
mod strict;
mod timed_body;

pub use body::MemoryBudget;
pub use body_permit::BodyPermit;
pub use conventions::{ApiFuture, ApiService};
pub use error::{ApiError, ErrorBody};
pub use extract::{Json, NoQuery, Path, Query, parse_json, read_json_within};
pub use request_id::{REQUEST_ID, RequestId};

#[cfg(test)]
mod tests;
