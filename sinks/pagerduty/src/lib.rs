#![doc = include_str!("../README.md")]

mod config;
mod event;
mod payload;
mod routing;
mod sink;

pub use config::{PagerDutyConfig, Severity};
pub use sink::{PagerDuty, PagerDutySink};

#[cfg(test)]
mod tests;
