#![doc = include_str!("../README.md")]

mod auth;
mod config;
mod connection;
mod connections;
mod error;
mod events;
mod hello;
mod hidden;
mod message;
mod payload;
mod recipient;
mod reply;
mod results;
mod sink;
mod times;
mod transaction;
mod wire;
mod writer;

pub use config::{EmailConfig, SmtpAuth, SmtpTls};
pub use sink::{Email, EmailSink};

#[cfg(test)]
mod tests;
