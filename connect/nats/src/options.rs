//! The options of a connection, and the checks that need no server.

use std::path::PathBuf;

use acteon_connect_tls::{TlsOptions, trusting_the_system};
use acteon_core::{BuildError, Faults, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::credentials::NatsCredentials;
use crate::login::NatsLogin;
use crate::servers::NatsServers;

/// How to connect to NATS. Each adapter flattens them into its own options, and [`TlsOptions`] beside them. With any of
/// those, TLS is required.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub struct NatsConnection {
    /// The servers to ask first, such as `nats://nats-1:4222` or `tls://nats-1:4222`, separated by commas. A secret, since
    /// an address may contain a user and password.
    pub url: Secret,
    /// The user to authenticate as.
    #[serde(default)]
    pub username: Option<String>,
    /// The password of `username`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// A token, instead of a user.
    #[serde(default)]
    pub token: Option<Secret>,
    /// A credentials file with a user and its key, instead of a password. Read again for each connection.
    #[serde(default)]
    pub credentials_file: Option<PathBuf>,
    /// True for servers with `handshake_first`: TLS begins before the server says anything. Requires TLS.
    #[serde(default)]
    pub tls_first: bool,
}

/// The options, checked.
pub(crate) struct CheckedConnection {
    pub(crate) servers: NatsServers,
    pub(crate) login: NatsLogin,
    pub(crate) tls: NatsTls,
}

/// When a connection becomes one over TLS.
pub(crate) enum NatsTls {
    /// When the server requires it.
    AsAsked,
    /// After the server's first message.
    Required(rustls::ClientConfig),
    /// At once.
    First(rustls::ClientConfig),
}

impl NatsConnection {
    /// Checks everything that can be checked without a server.
    ///
    /// # Errors
    /// All options that cannot work. Messages contain no credentials.
    pub fn check(&self, tls: &TlsOptions) -> Result<(), BuildError> {
        let mut faults = Faults::default();
        let checked = faults.keep(self.checked(tls));
        if let Some(path) = &self.credentials_file {
            let read = NatsCredentials::read_now(path);
            faults.keep(read.map_err(|why| BuildError::at("credentials_file", why)));
        }
        faults.end(checked.map(drop))
    }

    /// The hosts and ports, for people; empty if they cannot be read.
    pub fn shown(&self) -> String {
        NatsServers::parse(self.url.expose()).map_or_else(|_| String::new(), |all| all.shown())
    }

    pub(crate) fn checked(&self, tls: &TlsOptions) -> Result<CheckedConnection, BuildError> {
        let mut faults = Faults::default();
        let servers = faults.keep(NatsServers::parse(self.url.expose()));
        let login = faults.keep(self.login(servers.as_ref()));
        let tls = faults.keep(self.tls(tls, servers.as_ref()));
        let both = login.zip(tls);
        let checked = servers
            .zip(both)
            .map(|(servers, (login, tls))| CheckedConnection {
                servers,
                login,
                tls,
            });
        faults.end(checked)
    }

    fn tls(&self, tls: &TlsOptions, servers: Option<&NatsServers>) -> Result<NatsTls, BuildError> {
        let is_required = tls.is_given() || servers.is_some_and(NatsServers::require_tls);
        match (is_required, self.tls_first) {
            // An address that cannot be read is reported alone.
            (false, true) if servers.is_some() => {
                let message = "requires TLS; begin `url` with `tls://`";
                Err(BuildError::at("tls_first", message))
            }
            (false, _) => Ok(NatsTls::AsAsked),
            (true, is_first) => {
                let config = tls.client_config(|| trusting_the_system("url"))?;
                Ok(match is_first {
                    true => NatsTls::First(config),
                    false => NatsTls::Required(config),
                })
            }
        }
    }

    fn login(&self, servers: Option<&NatsServers>) -> Result<NatsLogin, BuildError> {
        let in_url = servers.and_then(|servers| servers.user.clone());
        let ways = [
            ("url", in_url.is_some()),
            ("username", self.username.is_some()),
            ("token", self.token.is_some()),
            ("credentials_file", self.credentials_file.is_some()),
        ];
        let mut given = ways.iter().filter(|(_, is_given)| *is_given);
        if let (Some((first, _)), Some((second, _))) = (given.next(), given.next()) {
            let message = format!("`{first}` has credentials already; remove one of them");
            return Err(BuildError::at(*second, message));
        }
        match (&self.username, &self.password) {
            (None, Some(_)) => {
                return Err(BuildError::at("username", "`password` requires it"));
            }
            (Some(_), None) => {
                return Err(BuildError::at("password", "`username` requires it"));
            }
            (Some(name), Some(password)) => {
                return Ok(NatsLogin::User {
                    name: name.clone(),
                    password: password.clone(),
                });
            }
            (None, None) => {}
        }
        Ok(match (in_url, &self.token, &self.credentials_file) {
            (Some((name, Some(password))), _, _) => NatsLogin::User {
                name,
                password: Secret::new(password),
            },
            (Some((token, None)), _, _) => NatsLogin::Token(Secret::new(token)),
            (None, Some(token), _) => NatsLogin::Token(token.clone()),
            (None, None, Some(path)) => NatsLogin::Credentials(path.clone()),
            (None, None, None) => NatsLogin::Nobody,
        })
    }
}
