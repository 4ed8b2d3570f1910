//! A broker with TLS listeners besides the plain one, under its own certificate authority. Its certificates are created
//! on each start, in its folder.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use tokio::task::spawn_blocking;

use super::Kafka;
use crate::certificates::Authority;
use crate::java;

const USER: &str = "acteon";
const PASSWORD: &str = "swordfish-in-the-tests";
const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule required;";

/// The clients that a listener accepts, and their credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Any client, over TLS.
    Tls,
    /// Users with a password, by SCRAM-SHA-256 or SCRAM-SHA-512 over TLS.
    Scram,
    /// Clients with a certificate from the broker's authority.
    ClientCertificate,
}

impl Listener {
    pub(super) const ALL: [Self; 3] = [Self::Tls, Self::Scram, Self::ClientCertificate];

    fn name(self) -> &'static str {
        match self {
            Self::Tls => "TLS",
            Self::Scram => "SCRAM",
            Self::ClientCertificate => "MUTUAL",
        }
    }

    fn protocol(self) -> &'static str {
        match self {
            Self::Tls | Self::ClientCertificate => "SSL",
            Self::Scram => "SASL_SSL",
        }
    }
}

/// A running broker with all these listeners.
#[derive(Debug)]
pub struct Secured {
    kafka: Kafka,
    listeners: Listeners,
}

impl Secured {
    /// Starts a broker.
    pub async fn start() -> anyhow::Result<Self> {
        let make = |folder: &Path, ports: [u16; Listener::ALL.len()]| {
            write_certificates(folder)?;
            let ports = ports.to_vec();
            Ok(Listeners { ports })
        };
        let (kafka, listeners) = Kafka::start_with(make).await?;
        Ok(Self { kafka, listeners })
    }

    /// The broker as seen through the plain listener.
    pub fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    /// `host:port` for clients.
    pub fn bootstrap(&self, listener: Listener) -> String {
        address(self.listeners.ports[listener as usize]).to_string()
    }

    /// The client properties for which `listener` accepts a client and the client trusts the broker.
    pub fn client_properties(&self, listener: Listener) -> BTreeMap<String, String> {
        let file = |name| self.kafka.folder.join(name).display().to_string();
        let mut properties = vec![
            ("security.protocol", listener.protocol().to_owned()),
            ("ssl.ca.location", file("authority.pem")),
        ];
        match listener {
            Listener::Tls => {}
            Listener::Scram => properties.extend([
                ("sasl.mechanism", "SCRAM-SHA-512".to_owned()),
                ("sasl.username", USER.to_owned()),
                ("sasl.password", PASSWORD.to_owned()),
            ]),
            Listener::ClientCertificate => properties.extend([
                ("ssl.certificate.location", file("client.pem")),
                ("ssl.key.location", file("client.key")),
            ]),
        }
        let owned = |(name, value): (&str, String)| (name.to_owned(), value);
        properties.into_iter().map(owned).collect()
    }

    /// Sets a user's password for SCRAM-SHA-512, and creates the user if missing.
    pub async fn set_password(&self, user: &str, password: &str) -> anyhow::Result<()> {
        let archives = &self.kafka.archives;
        let mut command = java::class(archives, java::SHORT_LIVED, "kafka.admin.ConfigCommand");
        command.args(["--bootstrap-server", self.kafka.bootstrap(), "--alter"]);
        command.args(["--entity-type", "users", "--entity-name", user]);
        command.arg("--add-config");
        command.arg(format!("SCRAM-SHA-512=[password={password}]"));
        spawn_blocking(move || java::run(&mut command)).await?
    }
}

/// The listeners of a broker besides the plain one: none, or all of [`Listener::ALL`].
#[derive(Debug, Default)]
pub(super) struct Listeners {
    ports: Vec<u16>,
}

impl Listeners {
    /// The additions to the broker's lists of listeners.
    pub(super) fn addresses(&self) -> String {
        let address =
            |(listener, port): (Listener, u16)| format!(",{}://{}", listener.name(), address(port));
        self.all().map(address).collect()
    }

    /// The additions to the map of listener protocols.
    pub(super) fn protocols(&self) -> String {
        let protocol = |(listener, _): (Listener, u16)| {
            format!(",{}:{}", listener.name(), listener.protocol())
        };
        self.all().map(protocol).collect()
    }

    /// The additions to the broker's properties.
    pub(super) fn properties(&self, folder: &Path) -> String {
        if self.ports.is_empty() {
            return String::new();
        }
        format!(
            "ssl.keystore.type=PEM\n\
             ssl.keystore.location={folder}/broker.pem\n\
             ssl.truststore.type=PEM\n\
             ssl.truststore.location={folder}/authority.pem\n\
             listener.name.mutual.ssl.client.auth=required\n\
             listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512\n\
             listener.name.scram.scram-sha-256.sasl.jaas.config={SCRAM}\n\
             listener.name.scram.scram-sha-512.sasl.jaas.config={SCRAM}\n",
            folder = folder.display(),
        )
    }

    /// The arguments that create the user, for the command that formats the broker's storage.
    pub(super) fn format_arguments(&self) -> Vec<String> {
        if self.ports.is_empty() {
            return Vec::new();
        }
        let user = |mechanism| {
            let user = format!("{mechanism}=[name={USER},password={PASSWORD}]");
            ["--add-scram".to_owned(), user]
        };
        ["SCRAM-SHA-256", "SCRAM-SHA-512"]
            .into_iter()
            .flat_map(user)
            .collect()
    }

    fn all(&self) -> impl Iterator<Item = (Listener, u16)> {
        Listener::ALL.into_iter().zip(self.ports.iter().copied())
    }
}

fn address(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)
}

/// Writes the certificates, and once more that of the broker with its key in one file.
fn write_certificates(folder: &Path) -> anyhow::Result<()> {
    Authority::new()?.write(&Ipv4Addr::LOCALHOST.to_string(), folder)?;
    let read = |name: &str| fs::read_to_string(folder.join(name));
    let both = read("server.key")? + &read("server.pem")?;
    Ok(fs::write(folder.join("broker.pem"), both)?)
}
