//! The log lines of the `email` sink.

/// Messages and the password are sent without encryption.
pub(crate) fn unencrypted(provider: &str, server: &str) {
    tracing::warn!(
        provider,
        server,
        "mail is sent without encryption because `tls` is \"none\""
    );
}

/// The server closed an idle connection. The attempt continues on a new one.
pub(crate) fn idle_connection_closed(provider: &str, server: &str) {
    tracing::debug!(provider, server, "the server closed an idle connection");
}
