//! The log lines of a connection.

use tracing::{info, warn};

pub(crate) fn connected(client: &str, server: &str) {
    info!(client, server, "connected to the AMQP broker");
}

/// The connection was lost, or has confirmed nothing for too long.
pub(crate) fn ended(client: &str, given_up: usize) {
    warn!(
        client,
        given_up, "the connection to the AMQP broker has ended"
    );
}

/// The broker takes no messages.
pub(crate) fn blocked(client: &str) {
    warn!(
        client,
        "the AMQP broker blocks publishers: it is low on memory or disk space"
    );
}
