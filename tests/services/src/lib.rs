//! Starts the real servers that tests need: one file a server, each built from the same three parts.
//!
//! [`cache`] keeps what is downloaded, [`java`] fetches Java archives into it, [`process`] runs a server so that
//! it never outlives the test that started it. A server listens on 127.0.0.1 only, on a free port, in a folder
//! of its own, and is ready when it says so itself.

pub mod cache;
pub mod eventually;
pub mod java;
pub mod kafka;
pub mod process;

pub use eventually::eventually;
pub use kafka::{Kafka, Listener, Secured};
