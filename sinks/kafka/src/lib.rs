#![doc = include_str!("../README.md")]

mod config;
mod error;
mod events;
mod record;
mod sink;

pub use acteon_sinks_kit::MessageFormat;
pub use config::KafkaSinkConfig;
pub use sink::{KafkaSink, KafkaSinkFactory};

#[cfg(test)]
mod tests;
