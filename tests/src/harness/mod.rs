//! The parts of an end-to-end test: the real binary, a provider that receives its deliveries, and a producer.

mod producer;
mod receiver;
mod server;

pub(crate) use self::producer::Producer;
pub(crate) use self::receiver::Receiver;
pub(crate) use self::server::{Server, binary};

/// Installs the TLS provider of this test binary, once.
pub(crate) fn tls_provider() {
    // Another test of this binary may have installed it already.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}
