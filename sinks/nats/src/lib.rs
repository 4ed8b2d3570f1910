#![doc = include_str!("../README.md")]

mod ack;
mod config;
mod error;
mod message;
mod sink;
mod streams;

pub use acteon_sinks_kit::MessageFormat;
pub use config::NatsSinkConfig;
pub use sink::{NatsSink, NatsSinkFactory};

#[cfg(test)]
mod tests;
