//! The log lines of the `email` sink.

/// Messages and the password are sent without encryption.
pub(crate) fn unencrypted(provider: &str, server: &str) {
    tracing::warn!(
        provider,
        server,
        "mail is sent without encryption because `tls` is \"none\""
    );
}

/// A connection that was used before is of no more use. The attempt continues on a new one.
pub(crate) fn connection_replaced(provider: &str, server: &str) {
    tracing::debug!(provider, server, "a used connection is replaced");
}

/// The server refused a connection while others work. The attempt waits for one of those.
pub(crate) fn fewer_connections(provider: &str, server: &str) {
    tracing::debug!(
        provider,
        server,
        "the server accepts no more connections; uses fewer"
    );
}
