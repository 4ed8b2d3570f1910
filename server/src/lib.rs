//! The composition root: puts the adapters, the pipeline and the APIs together and keeps them running.
//!
//! [`Server::build`] builds and listens but starts nothing; [`Server::run`] starts everything, and joins it at the end.
//! Nothing here decides, delivers or stores.

mod adapters;
mod assembly;
pub mod backup;
pub mod check;
mod connect;
pub mod eval;
mod events;
mod files;
mod fullness;
mod listen;
mod machines;
mod metered;
mod metrics;
mod open_files;
mod problems;
mod providers;
mod readiness;
mod reload;
pub mod render;
mod rest;
mod run;
mod shared_parts;
mod signals;
pub mod test;

pub use adapters::{AdapterSet, Config, ConfigFile, PipelineConfig};
pub use assembly::{Assembly, Server};
pub use connect::DialResult;
pub use files::{FileOf, Purpose};
pub use metrics::Metrics;
pub use run::ShutdownOutcome;
pub use signals::Signals;

#[cfg(test)]
mod tests;
