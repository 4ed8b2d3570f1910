//! Builds the server from its configuration. Each part gets what it needs, and only that.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use acteon_admin_api::AdminApi;
use acteon_config::{AdminSettings, Problem, ProblemList, RedactSettings, Section, ServerSettings};
use acteon_core::{Admission, Redactor, Source, State};
use acteon_ingest_http::HttpSource;
use acteon_pipeline::{AuditTrail, Follow, Pipeline, PipelineOptions, Rules};
use acteon_rules::KnownProviders;
use jiff::tz::TimeZone;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::adapters::{Config, ConfigFile};
use crate::connect::RemotePart;
use crate::files::{BackendFile, Purpose};
use crate::metrics::Metrics;
use crate::providers::{BuiltProviders, ProviderPolicies};
use crate::shared_parts::{BackendContext, Backends, SharedParts};
use crate::{check, events, machines, problems, rest};

/// A server without its listeners. Nothing runs yet.
pub struct Assembly {
    pub(crate) routers: rest::ListenerRouters,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) trail: Option<Arc<AuditTrail>>,
    pub(crate) rules: WatchedRules,
    pub(crate) sources: Vec<Arc<dyn Source>>,
    /// One of the sources. It knows how many callers wait.
    pub(crate) http: Arc<HttpSource>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) metrics: Metrics,
    pub(crate) stop: CancellationToken,
    pub(crate) backends: BackendParts,
    pub(crate) remote_parts: Vec<RemotePart>,
    pub(crate) listeners: ListenerSettings,
}

/// The rules, and which changes of them are followed.
pub(crate) struct WatchedRules {
    pub(crate) rules: Arc<Rules>,
    pub(crate) follow: Follow,
}

/// The state backend and its configured name; and the files of all backends, which are closed last.
pub(crate) struct BackendParts {
    pub(crate) state: Arc<dyn State>,
    pub(crate) name: String,
    pub(crate) files: Vec<BackendFile>,
}

/// The sections of the listeners.
pub(crate) struct ListenerSettings {
    pub(crate) server: ServerSettings,
    pub(crate) admin: AdminSettings,
    /// Locates errors.
    pub(crate) section: Section,
}

/// A server that listens, but runs nothing yet.
pub struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) admin_listener: Option<TcpListener>,
    pub(crate) assembly: Assembly,
}

impl Assembly {
    /// Builds all parts. It neither listens nor starts anything, so `acteon-server check` calls it, too.
    ///
    /// # Errors
    /// All mistakes of the configuration, and what waiting cannot repair: broken rules, options that cannot work, a file
    /// that another server uses.
    pub async fn build(
        file: ConfigFile,
        metrics: Metrics,
        purpose: Purpose,
    ) -> Result<Self, ProblemList> {
        let mut problems = file.problems;
        let assembly = match file.config {
            Some(config) => Self::build_parts(config, metrics, purpose, &mut problems).await,
            None => None,
        };
        match assembly {
            Some(assembly) => problems.sorted().or(assembly),
            None => Err(problems.sorted()),
        }
    }

    /// Builds as many parts as possible. `None` if too much is missing to go on.
    async fn build_parts(
        config: Config,
        metrics: Metrics,
        purpose: Purpose,
        problems: &mut ProblemList,
    ) -> Option<Self> {
        problems.extend(invalid_hosts(&config));
        problems.extend(check::overlaps(&config.sources));
        let machines = machines::build(&config, problems);
        let known = rule_settings(&config);
        let options = pipeline_options(&config);
        let context = BackendContext::of(&config, purpose);
        let policies = ProviderPolicies::new(
            &config.pipeline,
            config.providers.len(),
            redactor(&config.audit.redact),
        );
        let built = policies.build(config.providers, &machines, &config.section, problems);
        let BuiltProviders {
            providers,
            mut remote_parts,
        } = built.await?;
        let state_name = config.state.backend.clone();
        let backends = Backends::build(config.state, config.audit, context, problems);
        let mut backends = backends.await?;
        remote_parts.append(&mut backends.remote_parts);
        let shared = SharedParts::new(&options, policies.redactor, backends);
        let rules = &config.rules;
        let rules = shared.rules(rules, known, &policies.templates, &config.section, problems);
        let rules = rules.await?;
        let stop = CancellationToken::new();
        let path = shared.action_path(options.clone(), rules, providers, machines);
        let http = shared.http(&config.server, &options, &path, &stop);
        let built = shared.sources(config.sources, &options, &path.pipeline, problems);
        let built = built.await;
        let mut sources = built.sources;
        sources.insert(0, http.clone());
        remote_parts.extend(built.remote_parts);
        let ports = shared.ports(&path, &sources, &metrics, &stop);
        let body_bytes_max = config.server.max_body_bytes;
        Some(Self {
            routers: rest::ListenerRouters::new(AdminApi::new(ports), &http, body_bytes_max),
            pipeline: path.pipeline,
            rules: WatchedRules {
                rules: path.rules,
                follow: match config.rules.watch {
                    true => Follow::TogglesAndFiles,
                    false => Follow::Toggles,
                },
            },
            sources,
            http,
            metrics,
            stop,
            remote_parts,
            listeners: ListenerSettings {
                server: config.server,
                admin: config.admin,
                section: config.section,
            },
            admission: shared.admission,
            trail: shared.trail,
            backends: BackendParts {
                files: shared.files,
                state: shared.state,
                name: state_name,
            },
        })
    }

    /// The number of rules in force.
    pub(crate) fn rule_count(&self) -> usize {
        self.rules.rules.generation().set.len()
    }

    /// Listens. Nothing is answered before the server runs.
    ///
    /// # Errors
    /// The addresses that cannot be bound.
    pub async fn listen(self) -> Result<Server, ProblemList> {
        let settings = &self.listeners;
        let server = &settings.server;
        let section = &settings.section;
        let listener = bind(section, "server", &server.host, server.port).await;
        let admin_listener = match settings.admin.listener(server) {
            Some((host, port)) => Some(bind(section, "admin", host, port).await),
            None => None,
        };
        match (listener, admin_listener.transpose()) {
            (Ok(listener), Ok(admin_listener)) => Ok(Server {
                listener,
                admin_listener,
                assembly: self,
            }),
            (listener, admin) => {
                let refused = [listener.err(), admin.err()];
                Err(refused.into_iter().flatten().collect())
            }
        }
    }
}

impl Server {
    /// Builds the server and listens. Nothing is answered before it runs.
    ///
    /// # Errors
    /// What waiting cannot repair: a port in use, broken rules, options that cannot work.
    pub async fn build(config: Config, metrics: Metrics) -> Result<Self, ProblemList> {
        let assembly = Assembly::build(config.into(), metrics, Purpose::Run).await?;
        assembly.listen().await
    }

    /// The address of its listener.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The address of its admin API.
    pub fn admin_address(&self) -> std::io::Result<SocketAddr> {
        self.admin_listener
            .as_ref()
            .unwrap_or(&self.listener)
            .local_addr()
    }

    /// The addresses of all endpoints, for a terminal.
    pub fn greeting(&self) -> String {
        let (Ok(address), Ok(admin)) = (self.address(), self.admin_address()) else {
            return String::new();
        };
        format!(
            "Acteon listens on http://{address}\n\
             \u{20} dispatch   POST http://{address}/v1/dispatch\n\
             \u{20} Swagger    http://{admin}/swagger-ui/\n\
             \u{20} metrics    http://{address}/metrics\n\
             \u{20} health     http://{address}/health"
        )
    }

    /// Logs the addresses, the guarantees of the state backend, and a warning for each open address.
    pub(crate) fn announce(&self) {
        let listeners = [self.address(), self.admin_address()].map(Result::ok);
        let shown = listeners.map(|address| address.map_or_else(String::new, |it| it.to_string()));
        let [address, admin_address] = shown.each_ref().map(String::as_str);
        let BackendParts { state, name, .. } = &self.assembly.backends;
        events::started(address, admin_address, name, state.capabilities());
        let is_open = |address: &&SocketAddr| !address.ip().to_canonical().is_loopback();
        let open: BTreeSet<_> = listeners.iter().flatten().filter(is_open).collect();
        open.into_iter().for_each(events::open_to_others);
    }
}

/// Hides fields wherever payloads are shown.
pub(crate) fn redactor(redact: &RedactSettings) -> Redactor {
    match redact.enabled {
        true => Redactor::new(redact.fields.clone(), &redact.placeholder),
        false => Redactor::default(),
    }
}

async fn bind(
    section: &Section,
    listener: &str,
    host: &str,
    port: u16,
) -> Result<TcpListener, Problem> {
    let bound = TcpListener::bind((host, port)).await;
    bound.map_err(|error| problems::of_listener(section, listener, host, port, &error))
}

/// The hosts that cannot be listened on.
fn invalid_hosts(config: &Config) -> Vec<Problem> {
    let server = ("server.host", Some(&config.server.host));
    let hosts = [server, ("admin.host", config.admin.host.as_ref())];
    let wrong = hosts.into_iter().filter_map(|(key, host)| {
        let host = host.filter(|host| !problems::may_be_host(host))?;
        let message = format!("`{host}` is neither an IP address nor the name of a host");
        Some(config.section.problem(key, &message))
    });
    wrong.collect()
}

/// What rules may refer to.
pub(crate) fn rule_settings(config: &Config) -> acteon_rules::CompileSettings {
    // An unknown zone was reported when the configuration was read.
    let default_timezone = TimeZone::get(&config.rules.default_timezone).unwrap_or(TimeZone::UTC);
    let allowed = config.rules.environment.iter();
    let environment = allowed
        .filter_map(|name| Some((name.into(), std::env::var(name).ok()?.into())))
        .collect();
    let names = config.names.providers.iter();
    let providers = if config.names.providers.is_empty() {
        KnownProviders::Any
    } else {
        KnownProviders::Only(names.map(|name| name.as_str().into()).collect())
    };
    acteon_rules::CompileSettings {
        default_timezone,
        environment,
        providers,
        state_machines: config.names.state_machines.iter().map(Into::into).collect(),
    }
}

/// The options of the pipeline, those from other sections included.
pub(crate) fn pipeline_options(config: &Config) -> PipelineOptions {
    let sources = config.sources.iter();
    PipelineOptions {
        store_payload: config.audit.store_payload,
        redelivery: config.pipeline.redelivery.for_unknown_provider(),
        silences: config.pipeline.silences.clone(),
        sources: sources.map(|source| source.name.as_str().into()).collect(),
        ..config.pipeline.pipeline.clone()
    }
}
