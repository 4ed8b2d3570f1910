#![doc = include_str!("../README.md")]

mod audit;
mod config;
mod events;
mod key;
mod letters;
mod quota;
mod reservation;
mod shard;
mod shards;
mod state;
mod table;
mod time;

pub use audit::{MemoryAudit, MemoryAudits};
pub use config::{AuditConfig, StateConfig};
pub use state::{MemoryState, MemoryStates};

#[cfg(test)]
mod tests;
