//! Connects to one host: resolves its name, filters the addresses, and performs the TLS handshake. For sinks with a
//! protocol other than HTTP, and for `dial`. Classifies failures as the HTTP client does.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use acteon_connect_tls::{find_cause, trusting_file};
use acteon_core::{BuildError, FailureCode, SinkError};
use compact_str::{CompactString, format_compact};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use url::Host;

use crate::address::{AddressFilter, RefusedAddress};
use crate::resolver::FilteringResolver;
use crate::tls::Roots;
use crate::transport::is_lasting;

/// Opens TCP connections to one host and port.
pub struct Connector {
    resolver: FilteringResolver,
    host: Host,
    port: u16,
    /// Host and port, for messages.
    peer: CompactString,
    /// For one address.
    connect_timeout: Duration,
}

impl Connector {
    /// A connector to `host`, a name or an IP address from the option `option`. Does not connect yet.
    ///
    /// # Errors
    /// If `host` is invalid, or is an address that the filter refuses.
    pub fn new(
        option: &str,
        host: &str,
        port: u16,
        filter: AddressFilter,
        connect_timeout: Duration,
    ) -> Result<Self, BuildError> {
        let host = parse_host(host.trim())
            .ok_or_else(|| BuildError::at(option, "must be a host name or an IP address"))?;
        if let Some(address) = literal(&host) {
            let checked = filter.check(address);
            checked.map_err(|refused| BuildError::at(option, refused.to_string()))?;
        }
        let resolver = FilteringResolver::new(filter);
        Ok(Self::over(resolver, host, port, connect_timeout))
    }

    pub(crate) fn over(
        resolver: FilteringResolver,
        host: Host,
        port: u16,
        connect_timeout: Duration,
    ) -> Self {
        Self {
            peer: format_compact!("{host}:{port}"),
            resolver,
            host,
            port,
            connect_timeout,
        }
    }

    /// Host and port, for messages.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Connects to the first reachable address.
    ///
    /// # Errors
    /// A provider fault if the filter refuses all addresses, else a transient error.
    pub async fn connect(&self) -> Result<TcpStream, SinkError> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
        for address in self.addresses().await? {
            match timeout(self.connect_timeout, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Dialogues of short commands are slow with Nagle's algorithm. Without the option they still work.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        let message = format!("no connection to {}: {}", self.peer, last.kind());
        let code = match last.kind() {
            io::ErrorKind::TimedOut => FailureCode::Timeout,
            _ => FailureCode::Connection,
        };
        Err(SinkError::transient(code, message).with_source(last))
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, SinkError> {
        let name = match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => return Ok(vec![SocketAddr::new((*address).into(), self.port)]),
            Host::Ipv6(address) => return Ok(vec![SocketAddr::new((*address).into(), self.port)]),
        };
        let addresses = self.resolver.addresses(name).await.map_err(|error| {
            if let Some(refused) = error.downcast_ref::<RefusedAddress>() {
                let message = format!("{} may not be connected to: {refused}", self.peer);
                let fault = SinkError::provider_fault(FailureCode::Configuration, message);
                return fault.with_source(refused.clone());
            }
            let message = format!("the name of {} could not be resolved", self.peer);
            SinkError::transient(FailureCode::Connection, message).with_source(error)
        })?;
        let with_port = |address: SocketAddr| SocketAddr::new(address.ip(), self.port);
        Ok(addresses.into_iter().map(with_port).collect())
    }

    /// The TLS client for this host. Trusts the certificate authorities in `ca_file`, or else those of the system.
    ///
    /// # Errors
    /// If there are no certificates.
    pub fn tls(&self, roots: &Roots, ca_file: Option<&Path>) -> Result<TlsHandshake, BuildError> {
        let config = match ca_file {
            Some(path) => trusting_file("ca_file", path)?,
            None => roots.of_system("tls")?,
        };
        self.handshake(Arc::new(config))
    }

    pub(crate) fn handshake(&self, config: Arc<ClientConfig>) -> Result<TlsHandshake, BuildError> {
        let name = match &self.host {
            Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|error| {
                let message = format!("{name} is not a valid server name for TLS");
                BuildError::new(message).with_source(error)
            })?,
            Host::Ipv4(address) => ServerName::from(IpAddr::V4(*address)),
            Host::Ipv6(address) => ServerName::from(IpAddr::V6(*address)),
        };
        Ok(TlsHandshake {
            config,
            name,
            peer: self.peer.clone(),
        })
    }
}

/// Performs the TLS handshake with one host.
pub struct TlsHandshake {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    peer: CompactString,
}

impl TlsHandshake {
    /// Performs the handshake.
    ///
    /// # Errors
    /// A provider fault if only a change of certificates or settings can help, else a transient error.
    pub async fn perform(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, SinkError> {
        let connector = TlsConnector::from(self.config.clone());
        let result = connector.connect(self.name.clone(), stream).await;
        result.map_err(|error| {
            let message = format!(
                "no TLS connection to {}: the handshake failed, or its certificate is not trusted",
                self.peer
            );
            let code = FailureCode::Connection;
            let failure = match find_cause::<rustls::Error>(&error).is_some_and(is_lasting) {
                true => SinkError::provider_fault(code, message),
                false => SinkError::transient(code, message),
            };
            failure.with_source(error)
        })
    }
}

fn parse_host(text: &str) -> Option<Host> {
    let address = text.trim_start_matches('[').trim_end_matches(']');
    match address.parse() {
        Ok(IpAddr::V4(address)) => Some(Host::Ipv4(address)),
        Ok(IpAddr::V6(address)) => Some(Host::Ipv6(address)),
        Err(_) => Host::parse(text).ok(),
    }
}

fn literal(host: &Host) -> Option<IpAddr> {
    match host {
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some((*address).into()),
        Host::Domain(_) => None,
    }
}
