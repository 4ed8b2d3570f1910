//! One attempt over HTTP: with pooled connections, only to allowed addresses, without redirects, and within the time of
//! the attempt. Retries are left to the pipeline.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use acteon_core::sink::{ProviderRefusal, SinkContext};
use acteon_core::{BuildError, Clock, Faults, Secret, SinkError};
use compact_str::CompactString;
use http::{HeaderMap, Method};
use reqwest::redirect::Policy;
use tokio::time::Instant;

use crate::address::AddressFilter;
use crate::connection::ConnectionOptions;
use crate::dial::Dialer;
use crate::proxy::ForwardProxy;
use crate::reply::{self, Reply};
use crate::request_body::RequestBody;
use crate::resolver::FilteringResolver;
use crate::retry_after::retry_after;
use crate::sent_secrets::{RequestSecrets, SentSecrets};
use crate::status::{self, SuccessCodes};
use crate::target::TargetUrl;
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
    /// The name of the option with the URL.
    pub option: &'static str,
    /// The URL of every request: `http` or `https`, without user and password.
    pub url: &'a str,
    /// How it connects.
    pub connection: &'a ConnectionOptions,
    /// The statuses of a success.
    pub success: SuccessCodes,
    /// Credentials in the requests, outside the URL and sensitive headers. They are removed from kept answers.
    pub credentials: Vec<Secret>,
    /// The trusted certificates.
    pub roots: &'a Roots,
}

/// Sends requests to one URL. Clones share the connections.
#[derive(Clone)]
pub struct HttpClient {
    client: reqwest::Client,
    dialer: Arc<Dialer>,
    target: TargetUrl,
    host: CompactString,
    success: SuccessCodes,
    secrets: SentSecrets,
    /// The time limit of one attempt.
    attempt_timeout: Duration,
    clock: Clock,
}

/// How a client reaches its target.
struct Route {
    target: TargetUrl,
    filter: AddressFilter,
    tls: rustls::ClientConfig,
    proxy: Option<ForwardProxy>,
}

/// The time limit of an attempt that must end by itself, before the pipeline cuts it off.
pub fn attempt_limit(context: &SinkContext) -> Duration {
    context.timeout - MARGIN_MAX.min(context.timeout / 10)
}

impl HttpClient {
    /// A client for one sink. It does not connect; it reads certificates.
    ///
    /// # Errors
    /// When an option cannot work: an address that is not allowed, a file that cannot be read.
    pub fn new(options: ClientOptions<'_>, context: &SinkContext) -> Result<Self, BuildError> {
        let connection = options.connection;
        let mut faults = Faults::default();
        let filter = AddressFilter::new("allow_cidrs", &connection.allow_cidrs);
        let filter = faults.keep(filter);
        let target = faults.keep(TargetUrl::parse(options.option, options.url));
        let tls = target.as_ref().and_then(|target| {
            let filter = filter.as_ref()?;
            faults.keep(target.check_address(filter));
            faults.keep(options.roots.config(target, connection))
        });
        let proxy = filter.as_ref().and_then(|filter| {
            let proxy = connection.proxy.as_ref();
            let proxy = proxy.map(|proxy| ForwardProxy::parse(proxy, filter));
            faults.keep(proxy.transpose())
        });
        let parts = target.zip(filter).zip(tls.zip(proxy));
        let ((target, filter), (tls, proxy)) = faults.end(parts)?;
        let route = Route {
            target,
            filter,
            tls,
            proxy,
        };
        Self::over(options, route, context)
    }

    fn over(
        options: ClientOptions<'_>,
        route: Route,
        context: &SinkContext,
    ) -> Result<Self, BuildError> {
        let Route {
            target,
            filter,
            tls,
            proxy,
        } = route;
        let resolver = FilteringResolver::new(filter);
        let connect_timeout = context.timeout.min(CONNECT_TIMEOUT_MAX);
        let dialer = Dialer::new(
            &target,
            proxy.as_ref(),
            resolver.clone(),
            &tls,
            connect_timeout,
        )?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(resolver)
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(connect_timeout)
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .pool_max_idle_per_host(context.max_concurrent)
            .pool_idle_timeout(IDLE_MAX)
            .http1_max_headers(HEADERS_MAX);
        let client = match &proxy {
            Some(proxy) => client.proxy(proxy.for_client()?),
            None => client,
        };
        let mut secrets = SentSecrets::new(target.url(), &options.credentials);
        if let Some(value) = proxy.as_ref().and_then(ForwardProxy::credentials) {
            secrets.add(value);
        }
        Ok(Self {
            client: client.build().map_err(unusable)?,
            dialer: Arc::new(dialer),
            host: target.shown_host(),
            secrets,
            target,
            success: options.success,
            attempt_timeout: attempt_limit(context),
            clock: Clock::system(),
        })
    }

    /// The same client for `path` below its URL.
    #[must_use]
    pub fn below(&self, path: &str) -> Self {
        Self {
            target: self.target.below(path),
            ..self.clone()
        }
    }

    /// The same client for `path` below its URL, with these pairs at the end of the query. `path` is percent-encoded; an
    /// empty one leaves the URL's.
    #[must_use]
    pub fn at(&self, path: &str, query: &[(String, String)]) -> Self {
        Self {
            target: self.target.at(path, query),
            ..self.clone()
        }
    }

    /// Host and port of its URL, for messages.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Connects to the URL's host and sends nothing. Returns a description of the connection.
    ///
    /// # Errors
    /// When the host cannot be reached, with the reason.
    pub async fn dial(&self) -> Result<String, BuildError> {
        self.dialer.dial().await
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
        let secrets = self.secrets.of_request(&headers);
        let mut request = reqwest::Request::new(method, self.target.url().clone());
        *request.headers_mut() = headers;
        *request.body_mut() = Some(body.into());
        match self.client.execute(request).await {
            Err(error) => Err(transport::failure(error, &self.host)),
            Ok(answer) if self.success.contains(answer.status()) => {
                Ok(Reply::read(answer, secrets, deadline).await)
            }
            Ok(answer) => Err(self.refused(answer, &secrets, deadline).await),
        }
    }

    async fn refused(
        &self,
        answer: reqwest::Response,
        secrets: &RequestSecrets,
        deadline: Instant,
    ) -> SinkError {
        let status = answer.status();
        let wait = retry_after(answer.headers(), || self.now());
        let body = reply::refusal(answer, deadline).await;
        let failure = status::failure(status, &self.host).refused(ProviderRefusal {
            status: Some(status.as_u16()),
            body: secrets.redact(body),
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
