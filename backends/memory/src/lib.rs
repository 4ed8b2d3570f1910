#![doc = include_str!("../README.md")]

mod audit;
mod config;
mod due;
mod event_index;
mod event_list;
mod event_table;
mod event_write;
mod events;
mod gather;
mod grouping;
mod groups;
mod key;
mod keys;
mod letters;
mod places;
mod quota;
mod record;
mod remembered;
mod reservation;
mod shard;
mod shards;
mod silences;
mod state;
mod table;
mod tally;

pub use audit::{MemoryAudit, MemoryAudits};
pub use config::{AuditConfig, StateConfig};
pub use state::{MemoryState, MemoryStates};

#[cfg(test)]
mod tests;
