//! The options of a connection, and the checks that need no broker.

use acteon_connect_tls::{TlsOptions, trusting_the_system};
use acteon_core::{BuildError, Faults, Secret};
use lapin::uri::{AMQPScheme, AMQPUri};
use schemars::JsonSchema;
use serde::Deserialize;
use url::{Host, Url};

/// After twice this time without a sign of life, the broker counts as lost. The default of brokers is a minute.
const HEARTBEAT_SECONDS: u16 = 10;

/// How to connect to a broker. Each adapter flattens them into its own options, and [`TlsOptions`] beside them.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct AmqpConnection {
    /// The broker, such as `amqp://user:password@rabbit-1:5672/vhost`, or `amqps` for TLS. A secret, because of the
    /// password. The virtual host `/` is the default, and written `%2f`.
    pub url: Secret,
}

/// The options, checked.
pub(crate) struct CheckedBroker {
    pub(crate) uri: AMQPUri,
    /// `None` without TLS.
    pub(crate) tls: Option<rustls::ClientConfig>,
}

impl AmqpConnection {
    /// Checks everything that can be checked without a broker.
    ///
    /// # Errors
    /// All options that cannot work. Messages contain no credentials.
    pub fn check(&self, tls: &TlsOptions) -> Result<(), BuildError> {
        self.checked(tls).map(drop)
    }

    pub(crate) fn checked(&self, tls: &TlsOptions) -> Result<CheckedBroker, BuildError> {
        let mut faults = Faults::default();
        let uri = faults.keep(parse(self.url.expose()));
        let tls = match uri.as_ref().map(|uri| &uri.scheme) {
            None => Some(None),
            Some(AMQPScheme::AMQP) => {
                let refused = tls.refuse("`url` is not amqps");
                faults.keep(refused.map(|()| None))
            }
            Some(AMQPScheme::AMQPS) => {
                let config = tls.client_config(|| trusting_the_system("url"));
                faults.keep(config.map(Some))
            }
        };
        let checked = uri.zip(tls).map(|(uri, tls)| CheckedBroker { uri, tls });
        faults.end(checked)
    }
}

/// The host and the port, for people.
pub(crate) fn shown(uri: &AMQPUri) -> String {
    let port = uri.authority.port;
    match uri.authority.host.as_str() {
        address if address.contains(':') => format!("[{address}]:{port}"),
        host => format!("{host}:{port}"),
    }
}

/// Reads an address. The error does not repeat it.
fn parse(text: &str) -> Result<AMQPUri, BuildError> {
    let wrong = |why: &str| BuildError::at("url", why);
    let text = text.trim();
    if !text.starts_with("amqp://") && !text.starts_with("amqps://") {
        return Err(wrong("the address must begin with `amqp://` or `amqps://`"));
    }
    let malformed = "not an address of an AMQP broker";
    let url = Url::parse(text).map_err(|_| wrong(malformed))?;
    let mut uri: AMQPUri = text.parse().map_err(|_| wrong(malformed))?;
    // In place of an IP address, or of a host that is missing, the library's parser puts `localhost`.
    match url.host() {
        None | Some(Host::Domain("")) => return Err(wrong("the address has no host")),
        Some(Host::Domain(_)) => {}
        Some(Host::Ipv4(address)) => uri.authority.host = address.to_string(),
        Some(Host::Ipv6(address)) => uri.authority.host = address.to_string(),
    }
    // An address that ends with `/` names a virtual host without a name. It usually means the default.
    if uri.vhost.is_empty() {
        uri.vhost = "/".to_owned();
    }
    uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_virtual_host_and_a_heartbeat_or_their_defaults() {
        for (text, host, vhost) in [
            ("amqp://a", "a:5672", "/"),
            ("amqps://u:p@a/", "a:5671", "/"),
            ("amqp://a:1/%2f", "a:1", "/"),
            ("amqp://a:1/shop", "a:1", "shop"),
        ] {
            let uri = parse(text).unwrap();
            assert_eq!((shown(&uri).as_str(), uri.vhost.as_str()), (host, vhost));
            assert_eq!(uri.query.heartbeat, Some(HEARTBEAT_SECONDS));
        }
        let uri = parse("amqp://a?heartbeat=3").unwrap();
        assert_eq!(uri.query.heartbeat, Some(3));
    }

    #[test]
    fn an_ip_address_is_the_host_itself() {
        for (text, host, server) in [
            ("amqp://10.0.0.7", "10.0.0.7", "10.0.0.7:5672"),
            (
                "amqp://u:p@[2001:db8::1]:1/shop",
                "2001:db8::1",
                "[2001:db8::1]:1",
            ),
            ("amqps://[::1]", "::1", "[::1]:5671"),
        ] {
            let uri = parse(text).unwrap();
            assert_eq!(uri.authority.host, host);
            assert_eq!(shown(&uri), server);
        }
    }

    #[test]
    fn an_address_without_a_host_is_refused() {
        for text in ["amqp://", "amqps:///shop", "amqp://?heartbeat=3"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("no host"), "{text}: {error}");
        }
    }

    #[test]
    fn a_wrong_address_is_refused_without_repeating_it() {
        for text in [
            "",
            "a",
            "http://u:hunter2@a",
            "amqp://u:hunter2@:x",
            "amqp://u:hunter2@:1",
            "amqp://u:hunter2@[2001:db8::x]",
            "amqp://u:hunter2@a?heartbeat=x",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
