//! Builds the server from its settings: each part gets what it needs, and only that.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use acteon_admin_api::{AdminApi, Ports};
use acteon_config::{
    AuditDelivery, AuditSettings, PipelineSettings, RedeliverySettings, RulesSettings,
    ServerSettings, Settings, SourceSettings, StateSettings,
};
use acteon_core::rules::{RuleProblem, RulesError};
use acteon_core::source::SourceContext;
use acteon_core::state::StateContext;
use acteon_core::{Admission, Audit, BuildError, Clock, Counters, Redactor, Source, State, Trail};
use acteon_ingest_http::{HttpContext, HttpSource};
use acteon_pipeline::{
    AuditTrail, Follow, OnStateError, Parts, Pipeline, PipelineOptions, Providers, Rules,
    RulesOptions, TrailDelivery, TrailOptions,
};
use acteon_rules::KnownProviders;
use compact_str::CompactString;
use jiff::tz::TimeZone;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::listen::Limits;
use crate::metered::{MeteredAudit, MeteredState};
use crate::metrics::{Metrics, Published};
use crate::providers::{Share, Treatment, redelivery_options};
use crate::{check, events, readiness, rest};

/// A server that has been put together and runs nothing yet.
pub struct Server {
    pub(crate) listener: TcpListener,
    pub(crate) admin_listener: Option<TcpListener>,
    pub(crate) routers: rest::Routers,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) trail: Option<Arc<AuditTrail>>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) sources: Vec<Arc<dyn Source>>,
    /// One of the sources, which knows of callers that wait.
    pub(crate) http: Arc<HttpSource>,
    pub(crate) limits: Limits,
    pub(crate) admission: Arc<Admission>,
    pub(crate) metrics: Metrics,
    pub(crate) stop: CancellationToken,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) follow: Follow,
    pub(crate) state: Arc<dyn State>,
    state_kind: String,
}

/// Why the server cannot start. What is not there yet but may come is no reason.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum StartError {
    #[error("cannot listen on {address}")]
    Listen {
        address: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the {part} cannot be built")]
    Build {
        part: String,
        #[source]
        source: BuildError,
    },
    #[error("the sources `{}` and `{}` both use {what}, and one of them writes to it", sources[0], sources[1])]
    Overlap { sources: [String; 2], what: String },
    /// All that is wrong with the rule files, by their paths.
    #[error("{}", lines(.0))]
    Rules(Vec<RuleProblem>),
    #[error("`rules.directory`: {0}")]
    RulesDirectory(String),
    #[error("`rules.default_timezone`: there is no time zone `{0}`")]
    UnknownTimeZone(String),
    #[error(transparent)]
    Providers(#[from] acteon_pipeline::DuplicateProvider),
}

fn lines(problems: &[RuleProblem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl From<RulesError> for StartError {
    fn from(error: RulesError) -> Self {
        match error {
            RulesError::Invalid(problems) => Self::Rules(problems),
            other => Self::RulesDirectory(other.to_string()),
        }
    }
}

impl StartError {
    pub(crate) fn build(part: impl Into<String>) -> impl FnOnce(BuildError) -> Self {
        let part = part.into();
        |source| Self::Build { part, source }
    }
}

/// What most parts need.
struct Ground {
    clock: Clock,
    counters: Arc<Counters>,
    admission: Arc<Admission>,
    redactor: Redactor,
    state: Arc<dyn State>,
    audit: Option<Arc<dyn Audit>>,
    trail: Option<Arc<AuditTrail>>,
}

impl Server {
    /// Puts the server together. It listens afterwards, but answers nothing before it runs.
    ///
    /// # Errors
    /// What no waiting can mend: a port that is taken, broken rules, options that cannot work.
    pub async fn build(settings: Settings, metrics: Metrics) -> Result<Self, StartError> {
        let listener = listen(&settings.server.host, settings.server.port).await?;
        let admin_listener = match settings.admin.listener(&settings.server) {
            Some((host, port)) => Some(listen(host, port).await?),
            None => None,
        };
        let rule_settings = rule_settings(&settings)?;
        if let Some(overlap) = check::overlaps(&settings.sources).pop() {
            return Err(overlap);
        }
        let (server, pipeline) = (settings.server, settings.pipeline);
        let (state_kind, store_payload) =
            (settings.state.backend.clone(), settings.audit.store_payload);
        let context = StateContext {
            dead_letters: settings.dead_letters.bounds(),
        };
        let ground = Ground::lay(&pipeline, (settings.state, context), settings.audit).await?;
        let rules = ground.rules(&settings.rules, rule_settings).await?;
        let treatment = Treatment {
            breakers: settings.circuit_breaker,
            redelivery: settings.redelivery,
            redactor: ground.redactor.clone(),
            share: Share::of(&pipeline, settings.providers.len()),
        };
        let providers = treatment
            .providers(settings.providers, ground.clock)
            .await?;
        let mut options = pipeline_options(&pipeline, store_payload, &treatment.redelivery);
        options.sources = names(&settings.sources);
        let intake = ground.pipeline(options, &rules, &providers);
        let stop = CancellationToken::new();
        let http = ground.http(&server, &pipeline, (&intake, &rules), &stop);
        let mut sources: Vec<Arc<dyn Source>> = vec![http.clone()];
        // All sources share one reserve for what their clients fetch ahead.
        let share = ground.admission.reserve_max() / settings.sources.len().max(1) as u32;
        for source in settings.sources {
            let bounds = (pipeline.max_batch, share);
            sources.push(ground.source(source, bounds, &intake).await?);
        }
        let ports = ground.ports((&rules, &providers, &intake), &sources, &metrics);
        let body_bytes_max = server.max_body_bytes;
        Ok(Self {
            routers: rest::Routers::new(AdminApi::new(ports), &http, body_bytes_max),
            listener,
            admin_listener,
            limits: Limits {
                connections: server.max_connections,
                idle: server.idle_timeout,
                head: server.head_timeout,
            },
            pipeline: intake,
            rules,
            sources,
            http,
            metrics,
            stop,
            shutdown_timeout: server.shutdown_timeout,
            follow: if settings.rules.watch {
                Follow::TogglesAndFiles
            } else {
                Follow::Toggles
            },
            state_kind,
            admission: ground.admission,
            trail: ground.trail,
            state: ground.state,
        })
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
        let capabilities = self.state.capabilities();
        events::started([address, admin_address], &self.state_kind, capabilities);
        let is_open = |address: &&SocketAddr| !address.ip().to_canonical().is_loopback();
        let open: BTreeSet<_> = listeners.iter().flatten().filter(is_open).collect();
        open.into_iter().for_each(events::open_to_others);
    }
}

impl Ground {
    async fn lay(
        pipeline: &PipelineSettings,
        (state, context): (StateSettings, StateContext),
        audit: AuditSettings,
    ) -> Result<Self, StartError> {
        let clock = Clock::system();
        let state = state
            .plan
            .build(context)
            .await
            .map_err(StartError::build("state backend"))?;
        let state = MeteredState::around(state);
        let redactor = redactor(&audit);
        let options = trail_options(&audit);
        let audit = if audit.enabled {
            Some(MeteredAudit::around(
                audit
                    .plan
                    .build(())
                    .await
                    .map_err(StartError::build("audit backend"))?,
            ))
        } else {
            None
        };
        Ok(Self {
            clock,
            counters: Arc::default(),
            admission: Admission::new(pipeline.max_in_flight, pipeline.max_in_flight_bytes),
            redactor,
            state,
            trail: audit
                .clone()
                .map(|audit| AuditTrail::new(audit, options, clock)),
            audit,
        })
    }

    async fn rules(
        &self,
        rules: &RulesSettings,
        settings: acteon_rules::Settings,
    ) -> Result<Arc<Rules>, StartError> {
        let options = RulesOptions {
            directory: rules.directory.clone(),
            allow_empty: rules.allow_empty,
            settings,
            redactor: self.redactor.clone(),
            clock: self.clock,
        };
        let loaded = Rules::load(options, self.state.clone()).await;
        loaded.map_err(|error| match (error, &rules.directory) {
            (RulesError::Invalid(problems), Some(directory)) => {
                let problems = problems.into_iter();
                StartError::Rules(problems.map(|found| found.below(directory)).collect())
            }
            (other, _) => other.into(),
        })
    }

    fn pipeline(
        &self,
        options: PipelineOptions,
        rules: &Arc<Rules>,
        providers: &Arc<Providers>,
    ) -> Arc<Pipeline> {
        Pipeline::new(Parts {
            options,
            rules: rules.clone(),
            providers: providers.clone(),
            state: self.state.clone(),
            trail: self.recorder(),
            counters: self.counters.clone(),
            redactor: self.redactor.clone(),
            clock: self.clock,
        })
    }

    fn http(
        &self,
        server: &ServerSettings,
        pipeline: &PipelineSettings,
        (intake, rules): (&Arc<Pipeline>, &Arc<Rules>),
        stop: &CancellationToken,
    ) -> Arc<HttpSource> {
        HttpSource::new(HttpContext {
            intake: intake.clone(),
            admission: self.admission.clone(),
            rulebook: rules.clone(),
            counters: self.counters.clone(),
            clock: self.clock,
            body_bytes_max: server.max_body_bytes,
            batch_actions_max: server.max_batch_actions,
            max_batch: pipeline.max_batch,
            admission_timeout: pipeline.admission_timeout,
            stop: stop.clone(),
        })
    }

    async fn source(
        &self,
        source: SourceSettings,
        (max_batch, prefetch_bytes): (usize, u32),
        intake: &Arc<Pipeline>,
    ) -> Result<Arc<dyn Source>, StartError> {
        let SourceSettings { keys, plan } = source;
        let failed = StartError::build(format!("source `{}`", keys.name));
        let context = SourceContext {
            name: keys.name.into(),
            defaults: keys.defaults,
            throttled: keys.throttled,
            max_in_flight: keys.max_in_flight,
            prefetch_bytes,
            max_batch,
            intake: intake.clone(),
            admission: self.admission.clone(),
            clock: self.clock,
        };
        plan.build(context).await.map_err(failed)
    }

    fn ports(
        &self,
        (rules, providers, intake): (&Arc<Rules>, &Arc<Providers>, &Arc<Pipeline>),
        sources: &[Arc<dyn Source>],
        metrics: &Metrics,
    ) -> Ports {
        events::describe();
        let pipeline = intake.clone();
        let published = Published {
            metrics: metrics.clone(),
            counters: self.counters.clone(),
            admission: self.admission.clone(),
            providers: providers.clone(),
        };
        Ports {
            rulebook: rules.clone(),
            audit: self.audit.clone(),
            trail: self.recorder(),
            state: self.state.clone(),
            intake: intake.clone(),
            admission: self.admission.clone(),
            readiness: Arc::new(readiness::Parts {
                state: self.state.clone(),
                audit: self.audit.clone(),
                pipeline: Box::new(move || pipeline.readiness()),
                sources: sources.to_vec(),
            }),
            providers: providers.clone(),
            redeliveries: intake.redeliveries(),
            counters: self.counters.clone(),
            redactor: self.redactor.clone(),
            clock: self.clock,
            prometheus: Arc::new(move || published.render()),
        }
    }

    fn recorder(&self) -> Option<Arc<dyn Trail>> {
        self.trail.clone().map(|trail| trail as Arc<dyn Trail>)
    }
}

fn names(sources: &[SourceSettings]) -> Vec<CompactString> {
    let names = sources.iter().map(|source| source.keys.name.as_str());
    names.map(CompactString::from).collect()
}

async fn listen(host: &str, port: u16) -> Result<TcpListener, StartError> {
    TcpListener::bind((host, port))
        .await
        .map_err(|source| StartError::Listen {
            address: format!("{host}:{port}"),
            source,
        })
}

/// What rules may refer to under these settings.
pub(crate) fn rule_settings(settings: &Settings) -> Result<acteon_rules::Settings, StartError> {
    let zone = &settings.rules.default_timezone;
    let default_timezone =
        TimeZone::get(zone).map_err(|_| StartError::UnknownTimeZone(zone.clone()))?;
    let allowed = settings.rules.environment.iter();
    let environment = allowed
        .filter_map(|name| Some((name.into(), std::env::var(name).ok()?.into())))
        .collect();
    let names = settings
        .providers
        .iter()
        .map(|provider| provider.name.as_str().into());
    let providers = if settings.providers.is_empty() {
        KnownProviders::Any
    } else {
        KnownProviders::Only(names.collect())
    };
    Ok(acteon_rules::Settings {
        default_timezone,
        environment,
        providers,
    })
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

/// What is hidden wherever payloads are shown.
pub(crate) fn redactor(audit: &AuditSettings) -> Redactor {
    let redact = &audit.redact;
    match redact.enabled {
        true => Redactor::new(redact.fields.clone(), &redact.placeholder),
        false => Redactor::default(),
    }
}

fn trail_options(audit: &AuditSettings) -> TrailOptions {
    TrailOptions {
        delivery: match audit.delivery {
            AuditDelivery::Buffered => TrailDelivery::Buffered,
            AuditDelivery::Confirmed => TrailDelivery::Confirmed,
        },
        buffer_records: u32::try_from(audit.buffer_records).unwrap_or(u32::MAX),
        ttl: audit.ttl,
        cleanup_interval: audit.cleanup_interval,
    }
}
