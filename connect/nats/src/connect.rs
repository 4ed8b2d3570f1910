//! Opens one connection. The library would reconnect by itself and then send what it had queued before, long after the
//! attempts that queued it have ended. So a connection here is used once: when it is lost, its user opens another.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use acteon_connect_tls::{TlsOptions, find_cause};
use async_nats::{AuthError, ConnectErrorKind, ConnectOptions, Event, ServerError};
use tokio::sync::watch;

use crate::error::NatsConnectError;
use crate::events;
use crate::link::NatsLink;
use crate::options::{CheckedConnection, NatsConnection, NatsTls};
use crate::reports::{ServerReports, record};

/// A server that does not answer two pings in a row is gone.
const PING_INTERVAL: Duration = Duration::from_secs(5);

impl NatsConnection {
    /// Connects to the first server that answers. `client` names the connection at the server and in the log; `timeout`
    /// applies to each address.
    ///
    /// # Errors
    /// If no server accepts the client. The message contains no credentials.
    pub async fn connect(
        &self,
        tls: &TlsOptions,
        client: &str,
        timeout: Duration,
    ) -> Result<NatsLink, NatsConnectError> {
        let checked = self.checked(tls);
        let checked = checked.map_err(|error| NatsConnectError::Refused(error.to_string()))?;
        let (reports, reported) = watch::channel(ServerReports::default());
        let is_used = Arc::new(AtomicBool::new(false));
        let addresses = checked.servers.addresses.clone();
        let server = checked.servers.shown();
        let options = options(client, timeout, checked, &is_used);
        let name: Arc<str> = client.into();
        let options = options.event_callback(move |event: Event| {
            record(&name, &reports, &event);
            std::future::ready(())
        });
        let connected = options.connect(addresses).await;
        let connected = connected.map_err(|error| classify(&error))?;
        is_used.store(true, Relaxed);
        events::connected(client, &server);
        Ok(NatsLink::new(connected, server, reported))
    }
}

fn options(
    client: &str,
    timeout: Duration,
    checked: CheckedConnection,
    is_used: &Arc<AtomicBool>,
) -> ConnectOptions {
    let login = Arc::new(checked.login);
    let is_used = is_used.clone();
    let options = ConnectOptions::with_auth_callback(move |challenge| {
        let login = login.clone();
        let is_used = is_used.load(Relaxed);
        async move {
            match is_used {
                true => Err(AuthError::new("a lost connection is not used again")),
                false => login.answer(&challenge).await.map_err(AuthError::new),
            }
        }
    });
    let options = options
        .name(client)
        .connection_timeout(timeout)
        .ping_interval(PING_INTERVAL)
        .request_timeout(None)
        // After a loss the library tries each server once, is refused above, and ends.
        .max_reconnects(checked.servers.addresses.len())
        .ignore_discovered_servers();
    match checked.tls {
        NatsTls::AsAsked => options,
        NatsTls::Required(tls) => options.require_tls(true).tls_client_config(tls),
        NatsTls::First(tls) => options.tls_first().tls_client_config(tls),
    }
}

/// What a failure to connect means. The library's texts contain neither credentials nor addresses with them.
fn classify(error: &async_nats::ConnectError) -> NatsConnectError {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    if let Some(tls) = find_cause::<rustls::Error>(error) {
        return NatsConnectError::Refused(format!("TLS failed: {tls}"));
    }
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation => NatsConnectError::Refused(
            "authentication failed: the server refuses the user".to_owned(),
        ),
        ConnectErrorKind::Authentication => NatsConnectError::Refused(format!(
            "authentication failed: {}",
            find_cause::<AuthError>(error).map_or(cause, ToString::to_string)
        )),
        ConnectErrorKind::Tls => NatsConnectError::Refused(format!("TLS failed: {cause}")),
        _ => match find_cause::<ServerError>(error) {
            Some(ServerError::Other(said)) if said.to_lowercase().contains("authentication") => {
                NatsConnectError::Refused(format!("authentication failed: {said}"))
            }
            Some(said) => NatsConnectError::Unreachable(said.to_string()),
            None if cause.is_empty() => NatsConnectError::Unreachable(error.kind().to_string()),
            None => NatsConnectError::Unreachable(cause),
        },
    }
}
