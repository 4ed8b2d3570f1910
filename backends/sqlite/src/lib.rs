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
mod page;
mod readers;
mod schema;
mod state;
mod store;
mod time;
mod values;
mod writer;

pub use audit::{SqliteAudit, SqliteAudits};
pub use config::{SqliteAuditOptions, SqliteStateOptions, Synchronous};
pub use files::SqliteFiles;
pub use state::{SqliteState, SqliteStates};

#[cfg(test)]
mod tests;
