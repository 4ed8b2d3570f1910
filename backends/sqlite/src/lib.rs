#![doc = include_str!("../README.md")]

mod audit;
mod backup;
mod conditions;
mod config;
mod connection;
mod error;
mod events;
mod files;
mod lock;
mod readers;
mod schema;
mod store;

mod time;
mod values;
mod writer;

pub use audit::{SqliteAudit, SqliteAudits};
pub use config::{SqliteAuditOptions, Synchronous};
pub use files::SqliteFiles;

#[cfg(test)]
mod tests;
