//! Connects without sending a request, to check that an attempt could reach a URL's host: resolves the name, checks the
//! addresses, and performs the TLS handshake.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use acteon_core::BuildError;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::resolver::FilteringResolver;

/// Connects to the host of a URL.
pub(crate) struct Dialer {
    pub(crate) resolver: FilteringResolver,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    /// The time limit for one address.
    pub(crate) connect_timeout: Duration,
}

impl Dialer {
    /// Connects, and describes the connection. `host` is the part of `url` that messages may contain.
    pub(crate) async fn dial(&self, url: &Url, host: &str) -> Result<String, BuildError> {
        let wrong = |why: String| BuildError::at("url", format!("{host} cannot be reached: {why}"));
        let addresses = self.addresses(url).await.map_err(wrong)?;
        let mut refusal = "it has no address".to_owned();
        for address in addresses {
            match self.connect(url, address).await {
                Ok(how) => return Ok(format!("connected to {host} {how}")),
                Err(error) => refusal = error.to_string(),
            }
        }
        Err(wrong(refusal))
    }

    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, String> {
        let port = url.port_or_known_default().unwrap_or_default();
        let addresses = match url.host() {
            Some(Host::Ipv4(address)) => vec![SocketAddr::new(IpAddr::V4(address), port)],
            Some(Host::Ipv6(address)) => vec![SocketAddr::new(IpAddr::V6(address), port)],
            Some(Host::Domain(name)) => {
                let found = self.resolver.addresses(name.to_owned()).await;
                found.map_err(|error| error.to_string())?
            }
            None => Vec::new(),
        };
        let with_port = addresses
            .into_iter()
            .map(|address| SocketAddr::new(address.ip(), port));
        Ok(with_port.collect())
    }

    async fn connect(&self, url: &Url, address: SocketAddr) -> io::Result<&'static str> {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
        let connected = timeout(self.connect_timeout, TcpStream::connect(address)).await;
        let stream = connected.map_err(late)??;
        if url.scheme() == "http" {
            return Ok("without TLS");
        }
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let handshake = TlsConnector::from(self.tls.clone()).connect(name, stream);
        timeout(self.connect_timeout, handshake)
            .await
            .map_err(late)??;
        Ok("over TLS")
    }
}
