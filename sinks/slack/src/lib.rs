#![doc = include_str!("../README.md")]

mod answer;
mod config;
mod layout;
mod markup;
mod message;
mod pauses;
mod sink;

pub use config::SlackConfig;
pub use sink::{Slack, SlackSink};

#[cfg(test)]
mod tests;
