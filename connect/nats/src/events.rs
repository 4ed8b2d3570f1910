//! The log lines of a connection.

use tracing::{debug, info, warn};

pub(crate) fn connected(client: &str, server: &str) {
    info!(client, server, "connected to NATS");
}

pub(crate) fn lost(client: &str) {
    warn!(client, "the connection to NATS was lost");
}

pub(crate) fn reported(client: &str, said: &str) {
    warn!(client, said, "the NATS server reported an error");
}

pub(crate) fn stopping(client: &str) {
    info!(client, "the NATS server is about to stop");
}

pub(crate) fn other(client: &str, said: &str) {
    debug!(client, said, "NATS client");
}
