//! Tests whether the host of a URL can be reached, in the same way as an attempt. Sends no request.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::{BuildError, SinkError};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Host;

use crate::connector::{Connector, TlsHandshake};
use crate::proxy::ForwardProxy;
use crate::resolver::FilteringResolver;
use crate::target::TargetUrl;

/// Connects to the host of one URL.
pub(crate) struct Dialer {
    target: TargetUrl,
    connector: Connector,
    proxy: Option<Via>,
    /// `None` for plain HTTP.
    tls: Option<TlsHandshake>,
    timeout: Duration,
}

/// The proxy, and the host that it must connect to.
struct Via {
    proxy: ForwardProxy,
    host: Host,
    port: u16,
}

impl Dialer {
    /// A dialer for `target`. `timeout` applies to each address and to the handshakes.
    pub(crate) fn new(
        target: &TargetUrl,
        proxy: Option<&ForwardProxy>,
        resolver: FilteringResolver,
        tls: &rustls::ClientConfig,
        timeout: Duration,
    ) -> Result<Self, BuildError> {
        let (host, port) = target.host_and_port()?;
        let connector = Connector::over(resolver.clone(), host.clone(), port, timeout);
        let tls = match target.uses_tls() {
            false => None,
            true => Some(connector.handshake(Arc::new(tls.clone()))?),
        };
        let via = |proxy: &ForwardProxy| Via {
            proxy: proxy.clone(),
            host,
            port,
        };
        let (connector, proxy) = match proxy {
            None => (connector, None),
            Some(proxy) => {
                let (host, port) = proxy.address().host_and_port()?;
                let first = Connector::over(resolver, host, port, timeout);
                (first, Some(via(proxy)))
            }
        };
        Ok(Self {
            target: target.clone(),
            connector,
            proxy,
            tls,
            timeout,
        })
    }

    /// Connects, and reports the host and the encryption.
    pub(crate) async fn dial(&self) -> Result<String, BuildError> {
        let host = self.target.shown_host();
        let failed = |why: String| {
            let message = format!("{host} cannot be reached: {why}");
            BuildError::at(self.target.option(), message)
        };
        let cause = |error: SinkError| match error.source {
            Some(source) => failed(source.to_string()),
            None => failed(error.message.into()),
        };
        let mut stream = self.connector.connect().await.map_err(cause)?;
        let late = |_| failed("no answer in time".to_owned());
        let handshakes = timeout(self.timeout, self.shake_hands(&mut stream));
        let through = handshakes.await.map_err(late)?.map_err(cause)?;
        let Some(tls) = &self.tls else {
            return Ok(format!("connected to {host} without TLS{through}"));
        };
        let performed = timeout(self.timeout, tls.perform(stream)).await;
        performed.map_err(late)?.map_err(cause)?;
        Ok(format!("connected to {host} over TLS{through}"))
    }

    /// Asks the proxy for a tunnel. Requests of plain HTTP need none: the proxy receives them whole. Returns what to add
    /// to the report.
    async fn shake_hands(&self, stream: &mut TcpStream) -> Result<String, SinkError> {
        let Some(Via { proxy, host, port }) = &self.proxy else {
            return Ok(String::new());
        };
        if self.tls.is_some() {
            proxy.tunnel(stream, host, *port).await?;
        }
        let proxy = proxy.address().shown_host();
        Ok(format!(" through the proxy {proxy}"))
    }
}
