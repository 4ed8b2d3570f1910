#![doc = include_str!("../README.md")]

mod config;
mod request;
mod signature;
mod sink;

pub use config::{Auth, Body, Method, WebhookConfig};
pub use sink::{Webhook, WebhookSink};

#[cfg(test)]
mod tests;
