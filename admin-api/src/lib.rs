//! The admin API: health, rules, audit trail, dead letters and providers.
//!
//! [`service`] has the use cases, over the ports of the core. [`rest`] serves them as JSON and describes them in an
//! OpenAPI document. Neither knows a backend, a broker or a rule file.
//!
//! Each resource has one file in both. The use cases take an [`Access`] (the caller's identity and scope) and know
//! nothing of HTTP. All changes go through one function that records them. The endpoints convert between JSON and the
//! core's types.

mod events;
pub mod rest;
pub mod service;

pub use rest::{Routers, openapi, read_evaluation, routers, swagger};
pub use service::{Access, AdminApi, AdminError, AuditPorts, Ports, StatusPorts};

#[cfg(test)]
mod tests;
