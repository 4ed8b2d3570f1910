//! The admin API: health, rules, audit trail, dead letters and providers.
//!
//! [`service`] holds the use cases over the ports of the core; [`rest`] shows them as JSON with their OpenAPI document,
//! and pages for people stand beside it. No backend, broker or rule file is known here.
//!
//! A resource is a file in each: the use cases take an [`Access`] (what the caller may see, and who that is) and know
//! nothing of HTTP; their changes go through one place that records them. The endpoints turn wire into words and
//! back, and describe themselves for the document.

mod events;
pub mod rest;
pub mod service;

pub use rest::{Routers, openapi, read_evaluation, routers, swagger};
pub use service::{Access, AdminApi, AdminError, Ports};

#[cfg(test)]
mod tests;
