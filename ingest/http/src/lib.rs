#![doc = include_str!("../README.md")]

mod answer;
mod batch;
mod batcher;
mod config;
mod dispatch;
mod events;
mod loans;
mod openapi;
mod request;
mod routes;
mod source;

pub use config::HttpContext;
pub use routes::openapi;
pub use source::HttpSource;

#[cfg(test)]
mod tests;
