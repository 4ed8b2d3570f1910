#![doc = include_str!("../README.md")]

mod config;
mod sink;

pub use config::{LogConfig, LogLevel};
pub use sink::{Log, LogSink};

#[cfg(test)]
mod tests;
