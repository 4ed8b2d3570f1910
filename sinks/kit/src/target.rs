//! The URL that a sink sends to. Its path and query may be secrets, so messages show only the host.

use acteon_core::BuildError;
use compact_str::{CompactString, format_compact};
use url::{Host, Url};

use crate::address::AddressFilter;

/// An `http` or `https` URL from an option.
#[derive(Clone)]
pub(crate) struct TargetUrl {
    option: &'static str,
    url: Url,
}

impl TargetUrl {
    /// Reads the option `option`. The error does not repeat the URL.
    pub(crate) fn parse(option: &'static str, text: &str) -> Result<Self, BuildError> {
        let wrong = |why: &str| Err(BuildError::at(option, why));
        let mut url = match Url::parse(text.trim()) {
            Ok(url) => url,
            Err(error) => return wrong(&format!("not a URL: {error}")),
        };
        if !matches!(url.scheme(), "http" | "https") {
            return wrong("the scheme must be `http` or `https`");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return wrong(
                "the URL must not contain a user and password; use the options for credentials",
            );
        }
        url.set_fragment(None);
        Ok(Self { option, url })
    }

    pub(crate) fn option(&self) -> &'static str {
        self.option
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn uses_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Host and port: the only part of the URL that messages may contain.
    pub(crate) fn shown_host(&self) -> CompactString {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port() {
            Some(port) => format_compact!("{host}:{port}"),
            None => host.into(),
        }
    }

    pub(crate) fn host_and_port(&self) -> Result<(Host, u16), BuildError> {
        let host = self.url.host().map(|host| host.to_owned());
        let host = host.ok_or_else(|| BuildError::at(self.option, "must contain a host"))?;
        Ok((host, self.url.port_or_known_default().unwrap_or_default()))
    }

    /// The HTTP library resolves names only, so an address in the URL is checked here.
    pub(crate) fn check_address(&self, filter: &AddressFilter) -> Result<(), BuildError> {
        let checked = match self.url.host() {
            Some(Host::Ipv4(address)) => filter.check(address.into()),
            Some(Host::Ipv6(address)) => filter.check(address.into()),
            Some(Host::Domain(_)) | None => Ok(()),
        };
        checked.map_err(|refused| BuildError::at(self.option, refused.to_string()))
    }

    /// The URL of `path` below this one.
    pub(crate) fn below(&self, path: &str) -> Self {
        let mut below = self.clone();
        let base = self.url.path().trim_end_matches('/');
        below.url.set_path(&format!("{base}/{path}"));
        below
    }

    /// The URL of `path` below this one, with these pairs at the end of the query.
    pub(crate) fn at(&self, path: &str, query: &[(String, String)]) -> Self {
        let mut at = match path.trim_start_matches('/') {
            "" => self.clone(),
            path => self.below(path),
        };
        if !query.is_empty() {
            at.url.query_pairs_mut().extend_pairs(query);
        }
        at
    }
}
