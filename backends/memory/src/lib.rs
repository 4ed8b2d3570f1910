#![doc = include_str!("../README.md")]

mod audit;
mod config;
mod error;
mod events;
mod gather;
mod key;
mod letters;
mod names;
mod quota;
mod record;
mod refunds;
mod remembered;
mod reservation;
mod shard;
mod shards;
mod state;
mod table;
mod tally;
mod time;
mod tracking;

pub use audit::{MemoryAudit, MemoryAudits};
pub use config::{AuditConfig, StateConfig};
pub use state::{MemoryState, MemoryStates};

#[cfg(test)]
mod tests;
