#![doc = include_str!("../README.md")]

mod auth;
mod config;
mod connection;
mod error;
mod events;
mod hello;
mod idle;
mod message;
mod payload;
mod recipient;
mod reply;
mod results;
mod sink;
mod transaction;

pub use config::{EmailConfig, SmtpAuth, SmtpTls};
pub use sink::{Email, EmailSink};

#[cfg(test)]
mod tests;
