//! Builds the server from its settings: each part gets what it needs, and only that.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use acteon_admin_api::AdminApi;
use acteon_config::{
    AdminSettings, AuditSettings, PipelineSettings, Problem, Problems, Reading, RedeliverySettings,
    Section, ServerSettings, Settings, SourceSettings,
};
use acteon_core::state::StateContext;
use acteon_core::{Admission, Redactor, Source, State};
use acteon_ingest_http::HttpSource;
use acteon_pipeline::{AuditTrail, Follow, OnStateError, Pipeline, PipelineOptions, Rules};
use acteon_rules::KnownProviders;
use compact_str::CompactString;
use jiff::tz::TimeZone;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::connect::Contact;
use crate::ground::{Backends, Ground};
use crate::metrics::Metrics;
use crate::providers::{Built, Share, Treatment, redelivery_options};
use crate::{check, events, problems, rest};

/// A server without its listeners: all its parts, put together. Nothing runs yet.
pub struct Assembly {
    pub(crate) routers: rest::Routers,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) trail: Option<Arc<AuditTrail>>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) sources: Vec<Arc<dyn Source>>,
    /// One of the sources, which knows of callers that wait.
    pub(crate) http: Arc<HttpSource>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) metrics: Metrics,
    pub(crate) stop: CancellationToken,
    pub(crate) follow: Follow,
    pub(crate) state: Arc<dyn State>,
    pub(crate) contacts: Vec<Contact>,
    pub(crate) server: ServerSettings,
    admin: AdminSettings,
    /// The configuration as it was written.
    section: Section,
    state_kind: String,
}

/// A server that has been put together and runs nothing yet.
pub struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) admin_listener: Option<TcpListener>,
    pub(crate) assembly: Assembly,
}

impl Assembly {
    /// Puts together all that was read. It listens to nobody and starts nothing, so `acteon-server check` does it, too.
    ///
    /// # Errors
    /// All that is wrong with what was read, and what no waiting can mend: broken rules, options that cannot work.
    pub async fn build(reading: Reading, metrics: Metrics) -> Result<Self, Problems> {
        let mut problems = reading.problems;
        let assembly = match reading.settings {
            Some(settings) => Self::of(settings, metrics, &mut problems).await,
            None => None,
        };
        match assembly {
            Some(assembly) => problems.sorted().or(assembly),
            None => Err(problems.sorted()),
        }
    }

    /// All parts, those left out that cannot be built; `None` where too much is missing to go on.
    async fn of(settings: Settings, metrics: Metrics, problems: &mut Problems) -> Option<Self> {
        problems.extend(addresses(&settings));
        problems.extend(check::overlaps(&settings.sources));
        let known = rule_settings(&settings);
        let (section, pipeline) = (settings.section, settings.pipeline);
        let (state_kind, store_payload) =
            (settings.state.backend.clone(), settings.audit.store_payload);
        let context = StateContext {
            dead_letters: settings.dead_letters.bounds(),
        };
        let treatment = Treatment {
            breakers: settings.circuit_breaker,
            redelivery: settings.redelivery,
            redactor: redactor(&settings.audit),
            share: Share::of(&pipeline, settings.providers.len()),
        };
        let built = treatment.providers(settings.providers, &section, problems);
        let Built {
            providers,
            mut contacts,
        } = built.await?;
        let state = (settings.state, context);
        let mut backends = Backends::build(state, settings.audit, problems).await?;
        contacts.append(&mut backends.contacts);
        let ground = Ground::lay(&pipeline, treatment.redactor.clone(), backends);
        let rules = (&settings.rules, known);
        let rules = ground.rules(rules, &section, problems).await?;
        let mut options = pipeline_options(&pipeline, store_payload, &treatment.redelivery);
        options.sources = names(&settings.sources);
        let intake = ground.pipeline(options, &rules, &providers);
        let (server, stop) = (settings.server, CancellationToken::new());
        let http = ground.http(&server, &pipeline, (&intake, &rules), &stop);
        let configured = ground.sources(settings.sources, pipeline.max_batch, &intake, problems);
        let (mut sources, brokers) = configured.await;
        sources.insert(0, http.clone());
        contacts.extend(brokers);
        let ports = ground.ports((&rules, &providers, &intake), &sources, &metrics, &stop);
        let body_bytes_max = server.max_body_bytes;
        Some(Self {
            routers: rest::Routers::new(AdminApi::new(ports), &http, body_bytes_max),
            pipeline: intake,
            rules,
            sources,
            http,
            metrics,
            stop,
            follow: match settings.rules.watch {
                true => Follow::TogglesAndFiles,
                false => Follow::Toggles,
            },
            contacts,
            server,
            admin: settings.admin,
            section,
            state_kind,
            admission: ground.admission,
            trail: ground.trail,
            state: ground.state,
        })
    }

    /// How many rules are in force.
    pub(crate) fn rule_count(&self) -> usize {
        self.rules.generation().set.len()
    }

    /// Listens. Nothing is answered before the server runs.
    ///
    /// # Errors
    /// The addresses that cannot be had.
    pub async fn listen(self) -> Result<Server, Problems> {
        let (server, section) = (&self.server, &self.section);
        let listener = listen(section, "server", (&server.host, server.port)).await;
        let admin_listener = match self.admin.listener(server) {
            Some(address) => Some(listen(section, "admin", address).await),
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
    /// Puts the server together. It listens afterwards, but answers nothing before it runs.
    ///
    /// # Errors
    /// What no waiting can mend: a port that is taken, broken rules, options that cannot work.
    pub async fn build(settings: Settings, metrics: Metrics) -> Result<Self, Problems> {
        let assembly = Assembly::build(settings.into(), metrics).await?;
        assembly.listen().await
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where its admin API listens.
    pub fn admin_address(&self) -> std::io::Result<SocketAddr> {
        self.admin_listener
            .as_ref()
            .unwrap_or(&self.listener)
            .local_addr()
    }

    /// For whoever starts it by hand: where everything is.
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
        let assembly = &self.assembly;
        let capabilities = assembly.state.capabilities();
        events::started([address, admin_address], &assembly.state_kind, capabilities);
        let is_open = |address: &&SocketAddr| !address.ip().to_canonical().is_loopback();
        let open: BTreeSet<_> = listeners.iter().flatten().filter(is_open).collect();
        open.into_iter().for_each(events::open_to_others);
    }
}

/// What is hidden wherever payloads are shown.
pub(crate) fn redactor(audit: &AuditSettings) -> Redactor {
    match audit.redact.enabled {
        true => Redactor::new(audit.redact.fields.clone(), &audit.redact.placeholder),
        false => Redactor::default(),
    }
}

fn names(sources: &[SourceSettings]) -> Vec<CompactString> {
    let names = sources.iter().map(|source| source.keys.name.as_str());
    names.map(CompactString::from).collect()
}

async fn listen(
    section: &Section,
    listener: &str,
    (host, port): (&str, u16),
) -> Result<TcpListener, Problem> {
    let bound = TcpListener::bind((host, port)).await;
    bound.map_err(|error| problems::of_listener(section, listener, (host, port), &error))
}

/// The hosts that nobody can listen on.
fn addresses(settings: &Settings) -> Vec<Problem> {
    let server = ("server.host", Some(&settings.server.host));
    let hosts = [server, ("admin.host", settings.admin.host.as_ref())];
    let wrong = hosts.into_iter().filter_map(|(key, host)| {
        let host = host.filter(|host| !problems::may_be_host(host))?;
        let message = format!("`{host}` is neither an IP address nor the name of a host");
        Some(settings.section.problem(key, &message))
    });
    wrong.collect()
}

/// What rules may refer to under these settings.
pub(crate) fn rule_settings(settings: &Settings) -> acteon_rules::CompileSettings {
    // Another zone than one that there is was refused when it was read.
    let default_timezone = TimeZone::get(&settings.rules.default_timezone).unwrap_or(TimeZone::UTC);
    let allowed = settings.rules.environment.iter();
    let environment = allowed
        .filter_map(|name| Some((name.into(), std::env::var(name).ok()?.into())))
        .collect();
    let names = settings.providers_named.iter();
    let providers = if settings.providers_named.is_empty() {
        KnownProviders::Any
    } else {
        KnownProviders::Only(names.map(|name| name.as_str().into()).collect())
    };
    acteon_rules::CompileSettings {
        default_timezone,
        environment,
        providers,
    }
}

pub(crate) fn pipeline_options(
    settings: &PipelineSettings,
    store_payload: bool,
    redelivery: &RedeliverySettings,
) -> PipelineOptions {
    PipelineOptions {
        exclusive: settings.exclusive,
        lease: settings.lease,
        lease_wait: settings.lease_wait,
        on_state_error: match settings.on_state_error {
            acteon_config::OnStateError::Retry => OnStateError::Retry,
            acteon_config::OnStateError::Deliver => OnStateError::Deliver,
        },
        idempotency_ttl: settings.idempotency_ttl,
        store_payload,
        redelivery: redelivery_options(&redelivery.for_provider("")),
        sources: Vec::new(),
    }
}
