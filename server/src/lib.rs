//! The composition root: puts the adapters, the pipeline and the APIs together and keeps them running.
//!
//! [`Server::build`] touches what it must and starts nothing; [`Server::run`] starts everything, and joins it at the
//! end. Nothing in here decides, delivers or stores.

mod adapters;
pub mod check;
mod compose;
mod connect;
pub mod eval;
mod events;
mod fullness;
mod ground;
mod listen;
mod metered;
mod metrics;
mod problems;
mod providers;
mod readiness;
mod reload;
mod rest;
mod run;
mod signals;
pub mod test;

pub use adapters::AdapterSet;
pub use compose::{Assembly, Server};
pub use connect::Contacted;
pub use metrics::Metrics;
pub use run::Ended;
pub use signals::Signals;

#[cfg(test)]
mod tests;
