//! One attempt over HTTP: connections kept open, only to addresses that may be connected to, no redirects, no
//! proxy, and an answer within the attempt's time. Trying again is the pipeline's.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use acteon_core::sink::{ProviderRefusal, SinkContext};
use acteon_core::{BuildError, Clock, SinkError};
use compact_str::{CompactString, format_compact};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::redirect::Policy;
use tokio::time::Instant;
use url::{Host, Url};

use crate::address::AddressFilter;
use crate::confidence::{self, Confidence};
use crate::connections::Connections;
use crate::dial::Dialer;
use crate::reply::{self, Reply};
use crate::request_body::RequestBody;
use crate::resolver::FilteringResolver;
use crate::retry_after::retry_after;
use crate::status::{self, SuccessCodes};
use crate::tls::Roots;
use crate::transport;

/// The `User-Agent` of every sink.
pub const USER_AGENT: &str = concat!("acteon/", env!("CARGO_PKG_VERSION"));

const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// Shorter than the minute after which most servers close, so that few requests meet a closing connection.
const IDLE_MAX: Duration = Duration::from_secs(50);
/// An HTTP/2 connection carries all attempts, so one that is dead must be found before they all time out.
const PING_INTERVAL: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an attempt's time is kept back at most, to end before it is cut off.
const MARGIN_MAX: Duration = Duration::from_secs(1);

/// What a client needs to know.
pub struct ClientOptions<'a> {
    /// Where every request goes.
    pub url: Url,
    /// Where it may connect to.
    pub filter: AddressFilter,
    /// Which answers are successes.
    pub success: SuccessCodes,
    /// Whom to trust.
    pub roots: &'a Roots,
}

/// Sends requests to one URL.
pub struct HttpClient {
    pooled: reqwest::Client,
    /// Makes a connection of its own for each request.
    unpooled: reqwest::Client,
    connections: Connections,
    dialer: Dialer,
    url: Url,
    host: CompactString,
    success: SuccessCodes,
    confidence: Confidence,
    /// How long an attempt may go on until it must have its end.
    patience: Duration,
    clock: Clock,
}

/// Reads the option `option` as a URL to send to.
///
/// # Errors
/// When it is not an `http` or `https` URL, or holds a user and password. The message does not repeat the URL.
pub fn parse_url(option: &str, text: &str) -> Result<Url, BuildError> {
    let wrong = |what: &str| Err(BuildError::at(option, what));
    let mut url = match Url::parse(text.trim()) {
        Ok(url) => url,
        Err(error) => return wrong(&format!("not a URL: {error}")),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return wrong("the scheme must be `http` or `https`");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("a URL holds no user and password; use the options made for credentials");
    }
    url.set_fragment(None);
    Ok(url)
}

impl HttpClient {
    /// A client for one sink. Touches nothing outside but the system's root certificates.
    ///
    /// # Errors
    /// When the URL names an address that may not be connected to, or TLS cannot be used.
    pub fn new(options: ClientOptions<'_>, context: &SinkContext) -> Result<Self, BuildError> {
        check_literal(&options.url, &options.filter)?;
        let tls = options.roots.config(&options.url)?;
        Self::with_tls(options, context, &tls)
    }

    /// A client that trusts whom `tls` says.
    pub(crate) fn with_tls(
        options: ClientOptions<'_>,
        context: &SinkContext,
        tls: &rustls::ClientConfig,
    ) -> Result<Self, BuildError> {
        let dialer = Dialer {
            resolver: FilteringResolver::new(options.filter),
            tls: Arc::new(tls.clone()),
            patience: context.timeout.min(CONNECT_TIMEOUT_MAX),
        };
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(dialer.resolver.clone())
                .redirect(Policy::none())
                .no_proxy()
                .connect_timeout(dialer.patience)
                .http2_keep_alive_interval(PING_INTERVAL)
                .http2_keep_alive_timeout(PING_TIMEOUT)
        };
        let connections = Connections::default();
        let pooled = builder()
            .pool_max_idle_per_host(context.max_concurrent)
            .pool_idle_timeout(IDLE_MAX)
            .connector_layer(connections.clone());
        Ok(Self {
            pooled: pooled.build().map_err(unusable)?,
            unpooled: builder()
                .pool_max_idle_per_host(0)
                .build()
                .map_err(unusable)?,
            connections,
            dialer,
            host: host(&options.url),
            confidence: Confidence::of(&options.url),
            url: options.url,
            success: options.success,
            patience: context.timeout - MARGIN_MAX.min(context.timeout / 10),
            clock: Clock::system(),
        })
    }

    /// Connects to the URL's host, sends nothing, and says whom it reached.
    ///
    /// # Errors
    /// Why it cannot be reached.
    pub async fn dial(&self) -> Result<String, BuildError> {
        self.dialer.dial(&self.url, &self.host).await
    }

    /// Sends one request, and once more when its connection had answered others before and broke without an answer to it.
    /// Dropping the future closes its connection, unless others share it.
    ///
    /// # Errors
    /// As the table of statuses says, and for every way in which no answer comes.
    pub async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        body: RequestBody,
    ) -> Result<Reply, SinkError> {
        let deadline = Instant::now() + self.patience;
        let secrets = confidence::sensitive(&headers);
        let request = |headers| {
            let mut request = reqwest::Request::new(method.clone(), self.url.clone());
            *request.headers_mut() = headers;
            *request.body_mut() = Some(body.clone().into());
            request
        };
        let mut answer = self.pooled.execute(request(headers.clone())).await;
        match &answer {
            Ok(answer) => self.connections.answered(answer),
            Err(error) if self.connections.broke_unused(error) => {
                answer = self.unpooled.execute(request(headers)).await;
            }
            Err(_) => {}
        }
        match answer {
            Err(error) => Err(transport::failure(error, &self.host)),
            Ok(answer) if self.success.contains(answer.status()) => {
                Ok(Reply::read(answer, deadline).await)
            }
            Ok(answer) => Err(self.refused(answer, &secrets, deadline).await),
        }
    }

    async fn refused(
        &self,
        answer: reqwest::Response,
        secrets: &[HeaderValue],
        deadline: Instant,
    ) -> SinkError {
        let status = answer.status();
        let wait = retry_after(answer.headers(), || self.now());
        let said = reply::refusal(answer, deadline).await;
        let failure = status::failure(status, &self.host).refused(ProviderRefusal {
            status: Some(status.as_u16()),
            body: self.confidence.kept(secrets, said),
        });
        match wait {
            Some(wait) => failure.after(wait),
            None => failure,
        }
    }

    fn now(&self) -> SystemTime {
        let millis = u64::try_from(self.clock.now().as_millisecond()).unwrap_or_default();
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }
}

fn unusable(error: reqwest::Error) -> BuildError {
    BuildError::new("the HTTP client could not be built").with_source(error)
}

/// The HTTP library asks its resolver about names only, so an address written in the URL is judged here.
fn check_literal(url: &Url, filter: &AddressFilter) -> Result<(), BuildError> {
    let checked = match url.host() {
        Some(Host::Ipv4(address)) => filter.check(address.into()),
        Some(Host::Ipv6(address)) => filter.check(address.into()),
        Some(Host::Domain(_)) | None => Ok(()),
    };
    checked.map_err(|refused| BuildError::at("url", refused.to_string()))
}

/// Host and port: all of a URL that messages may show.
fn host(url: &Url) -> CompactString {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format_compact!("{host}:{port}"),
        None => host.into(),
    }
}
