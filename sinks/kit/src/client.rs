//! One attempt over HTTP: with pooled connections, only to allowed addresses, without redirects and proxies, and within
//! the time of the attempt. Retries are left to the pipeline.

use std::time::{Duration, SystemTime};

use acteon_core::sink::{ProviderRefusal, SinkContext};
use acteon_core::{BuildError, Clock, SinkError};
use compact_str::{CompactString, format_compact};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::redirect::Policy;
use tokio::time::Instant;
use url::{Host, Url};

use crate::address::AddressFilter;
use crate::dial::Dialer;
use crate::reply::{self, Reply};
use crate::request_body::RequestBody;
use crate::resolver::FilteringResolver;
use crate::retry_after::retry_after;
use crate::sent_secrets::{self, SentSecrets};
use crate::status::{self, SuccessCodes};
use crate::tls::Roots;
use crate::transport;

/// The `User-Agent` of every sink.
pub const USER_AGENT: &str = concat!("acteon/", env!("CARGO_PKG_VERSION"));

/// The maximum time to connect to one address. Attempts with a shorter time limit use that.
pub const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// Most servers close idle connections after a minute. A shorter limit here keeps requests off closing connections.
const IDLE_MAX: Duration = Duration::from_secs(50);
/// The default of 100 made a success with more headers a failure.
const HEADERS_MAX: usize = 1000;
/// One HTTP/2 connection carries all attempts, so a dead one must be detected before all of them time out.
const PING_INTERVAL: Duration = Duration::from_secs(15);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// An attempt ends before the pipeline cuts it off, by a tenth of its time and at most this long.
const MARGIN_MAX: Duration = Duration::from_secs(1);

/// The options of a client.
pub struct ClientOptions<'a> {
    /// The URL of every request.
    pub url: Url,
    /// The addresses it may connect to.
    pub filter: AddressFilter,
    /// The statuses of a success.
    pub success: SuccessCodes,
    /// The trusted certificates.
    pub roots: &'a Roots,
}

/// Sends requests to one URL.
pub struct HttpClient {
    client: reqwest::Client,
    dialer: Dialer,
    url: Url,
    host: CompactString,
    success: SuccessCodes,
    secrets: SentSecrets,
    /// The time limit of one attempt.
    attempt_timeout: Duration,
    clock: Clock,
}

/// The time limit of an attempt that must end by itself, before the pipeline cuts it off.
pub fn attempt_limit(context: &SinkContext) -> Duration {
    context.timeout - MARGIN_MAX.min(context.timeout / 10)
}

/// Reads the option `option` as a URL to send to.
///
/// # Errors
/// When it is not an `http` or `https` URL, or contains a user and password. The message does not repeat the URL.
pub fn parse_url(option: &str, text: &str) -> Result<Url, BuildError> {
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
    Ok(url)
}

impl HttpClient {
    /// A client for one sink. It does not connect; it reads the system's root certificates.
    ///
    /// # Errors
    /// When the URL contains an address that is not allowed, or TLS cannot be used.
    pub fn new(options: ClientOptions<'_>, context: &SinkContext) -> Result<Self, BuildError> {
        check_literal(&options.url, &options.filter)?;
        let tls = options.roots.config(&options.url)?;
        Self::with_tls(options, context, &tls)
    }

    /// A client with this TLS configuration.
    pub(crate) fn with_tls(
        options: ClientOptions<'_>,
        context: &SinkContext,
        tls: &rustls::ClientConfig,
    ) -> Result<Self, BuildError> {
        let resolver = FilteringResolver::new(options.filter);
        let connect_timeout = context.timeout.min(CONNECT_TIMEOUT_MAX);
        let dialer = Dialer::new(&options.url, resolver.clone(), tls, connect_timeout)?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .dns_resolver(resolver)
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(connect_timeout)
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .pool_max_idle_per_host(context.max_concurrent)
            .pool_idle_timeout(IDLE_MAX)
            .http1_max_headers(HEADERS_MAX);
        Ok(Self {
            client: client.build().map_err(unusable)?,
            dialer,
            host: host(&options.url),
            secrets: SentSecrets::of(&options.url),
            url: options.url,
            success: options.success,
            attempt_timeout: attempt_limit(context),
            clock: Clock::system(),
        })
    }

    /// Connects to the URL's host and sends nothing. Returns a description of the connection.
    ///
    /// # Errors
    /// When the host cannot be reached, with the reason.
    pub async fn dial(&self) -> Result<String, BuildError> {
        self.dialer.dial(&self.host).await
    }

    /// Sends one request, once. The HTTP library takes another connection only if it finds a pooled one closed before
    /// it writes anything of the request, or if an HTTP/2 server says that it did not process it. Once it is written,
    /// the server may have processed it, so a connection that breaks without an answer is a failed attempt. Dropping
    /// the future closes the connection unless others share it.
    ///
    /// # Errors
    /// For each status that is not a success, and whenever no answer arrives.
    pub async fn send(
        &self,
        method: Method,
        headers: HeaderMap,
        body: RequestBody,
    ) -> Result<Reply, SinkError> {
        let deadline = Instant::now() + self.attempt_timeout;
        let sensitive = sent_secrets::sensitive(&headers);
        let mut request = reqwest::Request::new(method, self.url.clone());
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.into());
        match self.client.execute(request).await {
            Err(error) => Err(transport::failure(error, &self.host)),
            Ok(answer) if self.success.contains(answer.status()) => {
                Ok(Reply::read(answer, deadline).await)
            }
            Ok(answer) => Err(self.refused(answer, &sensitive, deadline).await),
        }
    }

    async fn refused(
        &self,
        answer: reqwest::Response,
        sensitive: &[HeaderValue],
        deadline: Instant,
    ) -> SinkError {
        let status = answer.status();
        let wait = retry_after(answer.headers(), || self.now());
        let body = reply::refusal(answer, deadline).await;
        let failure = status::failure(status, &self.host).refused(ProviderRefusal {
            status: Some(status.as_u16()),
            body: self.secrets.redact(sensitive, body),
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
    BuildError::new("the HTTP client could not be created").with_source(error)
}

/// The HTTP library calls its resolver for names only, so an address in the URL is checked here.
fn check_literal(url: &Url, filter: &AddressFilter) -> Result<(), BuildError> {
    let checked = match url.host() {
        Some(Host::Ipv4(address)) => filter.check(address.into()),
        Some(Host::Ipv6(address)) => filter.check(address.into()),
        Some(Host::Domain(_)) | None => Ok(()),
    };
    checked.map_err(|refused| BuildError::at("url", refused.to_string()))
}

/// Host and port: the only part of a URL that messages may contain.
fn host(url: &Url) -> CompactString {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format_compact!("{host}:{port}"),
        None => host.into(),
    }
}
