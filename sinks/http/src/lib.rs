#![doc = include_str!("../README.md")]

mod answer;
mod config;
mod error;
mod events;
mod filters;
mod fit;
mod preset;
mod request;
mod shipped;
mod sink;
mod values;

pub use config::HttpConfig;
pub use preset::{AnswerClass, AnswerMatcher, Preset, PresetOption, PresetRequest, RequestMethod};
pub use sink::{Http, HttpSink};

#[cfg(test)]
mod tests;
