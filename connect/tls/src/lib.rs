//! TLS of a client, for sources and sinks of every protocol: the authorities it trusts, read
//! from the system or from a file, and its own certificate. Each protocol connects by itself.
#![deny(missing_docs)]

mod cause;
mod certificates;
mod options;
mod trust;

pub use cause::{causes, find_cause};
pub use certificates::{ClientCertificate, certificates, certified};
pub use options::TlsOptions;
pub use trust::{trusting, trusting_file, trusting_the_system};
