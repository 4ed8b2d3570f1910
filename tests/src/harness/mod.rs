//! What end-to-end tests are made of: the real binary, a provider to receive what it delivers, and a producer.

mod producer;
mod receiver;
mod server;

pub(crate) use self::producer::Producer;
pub(crate) use self::receiver::Receiver;
pub(crate) use self::server::{Server, binary};

/// Installs the TLS provider of this test binary, once.
pub(crate) fn tls_provider() {
    // Another test of this binary may have done it already.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}
