//! Tests whether the host of a URL can be reached, in the same way as an attempt. Sends no request.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{BuildError, SinkError};
use tokio::time::timeout;
use url::Url;

use crate::connector::{Connector, TlsHandshake};
use crate::resolver::FilteringResolver;

/// Connects to the host of one URL.
pub(crate) struct Dialer {
    connector: Connector,
    /// `None` for plain HTTP.
    tls: Option<TlsHandshake>,
    timeout: Duration,
}

impl Dialer {
    /// A dialer for `url`. `timeout` applies to each address and to the handshake.
    pub(crate) fn new(
        url: &Url,
        resolver: FilteringResolver,
        tls: &rustls::ClientConfig,
        timeout: Duration,
    ) -> Result<Self, BuildError> {
        let host = url.host().map(|host| host.to_owned());
        let host = host.ok_or_else(|| BuildError::at("url", "must contain a host"))?;
        let port = url.port_or_known_default().unwrap_or_default();
        let connector = Connector::over(resolver, host, port, timeout);
        let tls = match url.scheme() {
            "http" => None,
            _ => Some(connector.handshake(Arc::new(tls.clone()))?),
        };
        Ok(Self {
            connector,
            tls,
            timeout,
        })
    }

    /// Connects, and reports the host and the encryption. `host` is the part of the URL that messages may show.
    pub(crate) async fn dial(&self, host: &str) -> Result<String, BuildError> {
        let failed =
            |why: String| BuildError::at("url", format!("{host} cannot be reached: {why}"));
        let cause = |error: SinkError| match error.source {
            Some(source) => failed(source.to_string()),
            None => failed(error.message.into()),
        };
        let stream = self.connector.connect().await.map_err(cause)?;
        let Some(tls) = &self.tls else {
            return Ok(format!("connected to {host} without TLS"));
        };
        match timeout(self.timeout, tls.perform(stream)).await {
            Ok(result) => result.map_err(cause)?,
            Err(_) => return Err(failed("no answer in time".to_owned())),
        };
        Ok(format!("connected to {host} over TLS"))
    }
}
