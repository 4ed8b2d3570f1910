//! The HTTP proxy of a sink. The proxy resolves the names of targets and decides which addresses it connects to; its own
//! address must be public or allowed, as that of every connection.

use std::io;

use acteon_core::{BuildError, FailureCode, Secret, SinkError};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::{Host, Url};

use crate::address::AddressFilter;
use crate::target::TargetUrl;

const OPTION: &str = "proxy";
/// The maximum length of the head of the answer to CONNECT.
const HEAD_BYTES_MAX: usize = 8192;

/// An HTTP proxy and the credentials for it.
#[derive(Clone)]
pub(crate) struct ForwardProxy {
    address: TargetUrl,
    authorization: Option<HeaderValue>,
}

impl ForwardProxy {
    /// Reads the option `proxy`. The error does not repeat the URL.
    pub(crate) fn parse(secret: &Secret, filter: &AddressFilter) -> Result<Self, BuildError> {
        let text = secret.expose().trim();
        let mut url = Url::parse(text)
            .map_err(|error| BuildError::at(OPTION, format!("not a URL: {error}")))?;
        let is_bare = matches!(url.path(), "" | "/") && url.query().is_none();
        if url.scheme() != "http" || !is_bare {
            let message = "must be a URL such as `http://proxy.example.com:3128`";
            return Err(BuildError::at(OPTION, message));
        }
        let authorization = authorization(&url)?;
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.map_err(|()| BuildError::at(OPTION, "must contain a host"))?;
        let address = TargetUrl::parse(OPTION, url.as_str())?;
        address.check_address(filter)?;
        Ok(Self {
            address,
            authorization,
        })
    }

    pub(crate) fn address(&self) -> &TargetUrl {
        &self.address
    }

    /// The credentials that the proxy may repeat in an answer.
    pub(crate) fn credentials(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// The proxy for the HTTP library.
    pub(crate) fn for_client(&self) -> Result<reqwest::Proxy, BuildError> {
        let proxy = reqwest::Proxy::all(self.address.url().clone());
        let proxy =
            proxy.map_err(|error| BuildError::at(OPTION, "cannot be used").with_source(error))?;
        Ok(match &self.authorization {
            Some(value) => proxy.custom_http_auth(value.clone()),
            None => proxy,
        })
    }

    /// Asks the proxy on the other side of `stream` for a connection to a host.
    pub(crate) async fn tunnel(
        &self,
        stream: &mut TcpStream,
        host: &Host,
        port: u16,
    ) -> Result<(), SinkError> {
        let mut request =
            format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n").into_bytes();
        if let Some(value) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        let proxy = self.address.shown_host();
        let broken = |error: io::Error| {
            let message = format!("the connection to the proxy {proxy} broke");
            SinkError::transient(FailureCode::Connection, message).with_source(error)
        };
        stream.write_all(&request).await.map_err(broken)?;
        match answer(stream).await.map_err(broken)? {
            200 => Ok(()),
            status => {
                let message = format!("the proxy {proxy} answered CONNECT with {status}");
                Err(SinkError::transient(FailureCode::Connection, message))
            }
        }
    }
}

/// The status of the answer, read to the end of its head.
async fn answer(stream: &mut TcpStream) -> io::Result<u16> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == HEAD_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
    status.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn authorization(url: &Url) -> Result<Option<HeaderValue>, BuildError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let mut pair = percent_decode_str(url.username()).collect::<Vec<u8>>();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    let value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(pair)));
    let mut value =
        value.map_err(|_| BuildError::at(OPTION, "the user and password cannot be sent"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}
