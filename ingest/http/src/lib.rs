#![doc = include_str!("../README.md")]

mod answer;
mod batch;
mod config;
mod dispatch;
mod events;
mod gather;
mod loans;
mod openapi;
mod request;
mod source;

pub use config::HttpContext;
pub use openapi::openapi;
pub use source::HttpSource;

#[cfg(test)]
mod tests;
