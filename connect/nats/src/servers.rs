//! The addresses of the servers, and the credentials that an address may contain.

use acteon_core::BuildError;
use async_nats::ServerAddr;
use percent_encoding::percent_decode_str;
use url::Url;

/// The schemes of addresses: plain until the server asks for TLS, and TLS.
const SCHEMES: [&str; 2] = ["nats", TLS];
const TLS: &str = "tls";

/// Servers of one cluster.
#[derive(Clone)]
pub(crate) struct NatsServers {
    pub(crate) addresses: Vec<ServerAddr>,
    /// The user of the addresses, and the password. A user without one is a token.
    pub(crate) user: Option<(String, Option<String>)>,
}

impl NatsServers {
    /// Reads a list such as `nats://a:4222,tls://b`. The error does not repeat it.
    pub(crate) fn parse(list: &str) -> Result<Self, BuildError> {
        let mut addresses = Vec::new();
        let mut users = Vec::new();
        for text in list.split(',').map(str::trim) {
            let (address, user) = address(text).map_err(|why| BuildError::at("url", why))?;
            addresses.push(address);
            users.extend(user);
        }
        users.dedup();
        match users.len() {
            0 | 1 => Ok(Self {
                addresses,
                user: users.pop(),
            }),
            _ => {
                let message = "the servers must have the same user and password";
                Err(BuildError::at("url", message))
            }
        }
    }

    /// True if an address requires TLS.
    pub(crate) fn require_tls(&self) -> bool {
        self.addresses.iter().any(ServerAddr::tls_required)
    }

    /// The hosts and ports, for people.
    pub(crate) fn shown(&self) -> String {
        let shown = |address: &ServerAddr| format!("{}:{}", address.host(), address.port());
        let all: Vec<_> = self.addresses.iter().map(shown).collect();
        all.join(", ")
    }
}

type User = (String, Option<String>);

fn address(text: &str) -> Result<(ServerAddr, Option<User>), String> {
    let text = match text.contains("://") {
        true => text.to_owned(),
        false => format!("nats://{text}"),
    };
    let mut url = Url::parse(&text).map_err(|error| format!("not an address: {error}"))?;
    if !SCHEMES.contains(&url.scheme()) {
        return Err("the scheme must be `nats` or `tls`".to_owned());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("an address has no host".to_owned());
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err("an address is a host and a port".to_owned());
    }
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8();
        text.map(String::from)
            .map_err(|_| "user and password must be text".to_owned())
    };
    let user = match url.username() {
        "" => None,
        name => Some((decoded(name)?, url.password().map(decoded).transpose()?)),
    };
    let cannot_fail = |()| "not an address".to_owned();
    url.set_username("").map_err(cannot_fail)?;
    url.set_password(None).map_err(cannot_fail)?;
    let address = ServerAddr::from_url(url).map_err(|_| "not an address".to_owned())?;
    Ok((address, user))
}
