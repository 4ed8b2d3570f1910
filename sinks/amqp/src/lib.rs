#![doc = include_str!("../README.md")]

mod config;
mod error;
mod message;
mod sink;

pub use acteon_sinks_kit::MessageFormat;
pub use config::AmqpSinkConfig;
pub use sink::{AmqpSink, AmqpSinkFactory};

#[cfg(test)]
mod tests;
