//! The parts that most others share, and the parts built from them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use acteon_admin_api::{AuditPorts, Ports, StatusPorts};
use acteon_config::{
    AuditSettings, ProblemList, RulesSettings, Section, ServerSettings, SourceSettings,
    StateSettings,
};
use acteon_core::audit::AuditContext;
use acteon_core::source::SourceContext;
use acteon_core::state::StateContext;
use acteon_core::{
    Admission, Audit, BuildError, Clock, Counters, DeadLetterBounds, Redactor, Source, State, Trail,
};
use acteon_ingest_http::{HttpContext, HttpSource};
use acteon_pipeline::{
    AuditTrail, Machines, Pipeline, PipelineOptions, PipelineParts, Providers, Rules, RulesOptions,
    TemplatesInForce, TimeLimitedState, TrailOptions,
};
use tokio_util::sync::CancellationToken;

use crate::adapters::Config;
use crate::connect::RemotePart;
use crate::files::{BackendFile, FileOf, Purpose};
use crate::metered::{MeteredAudit, MeteredState};
use crate::metrics::{MetricSources, Metrics};
use crate::{events, problems, readiness};

/// The parts that most others need.
pub(crate) struct SharedParts {
    clock: Clock,
    counters: Arc<Counters>,
    pub(crate) admission: Arc<Admission>,
    redactor: Redactor,
    pub(crate) state: Arc<dyn State>,
    audit: Option<Arc<dyn Audit>>,
    pub(crate) trail: Option<Arc<AuditTrail>>,
    pub(crate) files: Vec<BackendFile>,
}

/// The backends, and the options of the audit trail.
pub(crate) struct Backends {
    state: Arc<dyn State>,
    audit: Option<Arc<dyn Audit>>,
    trail: TrailOptions,
    pub(crate) remote_parts: Vec<RemotePart>,
    /// Of the state and of the audit trail, which may share one.
    pub(crate) files: Vec<BackendFile>,
}

/// What the backends need besides their own sections.
pub(crate) struct BackendContext {
    pub(crate) dead_letters: DeadLetterBounds,
    pub(crate) state_timeout: Duration,
    pub(crate) folder: PathBuf,
    pub(crate) purpose: Purpose,
}

/// The parts an action passes through.
pub(crate) struct ProcessingParts {
    pub(crate) rules: Arc<Rules>,
    pub(crate) pipeline: Arc<Pipeline>,
    providers: Arc<Providers>,
}

/// The configured sources, and the brokers they read from.
pub(crate) struct BuiltSources {
    pub(crate) sources: Vec<Arc<dyn Source>>,
    pub(crate) remote_parts: Vec<RemotePart>,
}

impl BackendContext {
    pub(crate) fn of(config: &Config, purpose: Purpose) -> Self {
        Self {
            dead_letters: config.dead_letters.bounds(),
            state_timeout: config.pipeline.pipeline.state_timeout,
            folder: config.section.folder().to_owned(),
            purpose,
        }
    }
}

impl Backends {
    pub(crate) async fn build(
        state: StateSettings,
        audit: AuditSettings<TrailOptions>,
        context: BackendContext,
        problems: &mut ProblemList,
    ) -> Option<Self> {
        let trail = audit.trail;
        let mut places = BackendPlaces::default();
        let folder = context.folder.clone();
        let built = state.plan.build(StateContext {
            dead_letters: context.dead_letters,
            clock: Clock::system(),
            folder,
            ..StateContext::default()
        });
        let built = match built.await {
            Ok(built) => {
                let file = BackendFile::of(FileOf::State, built.embedded(), context.purpose);
                file.await.map(|file| (built, file))
            }
            Err(error) => Err(error),
        };
        let state_backend =
            problems::report(&state.section, built, problems).map(|(built, file)| {
                let remote = RemotePart::state(&state.keys.backend, &built, state.section);
                places.add(file, remote);
                built
            });
        let audit_backend = match audit.enabled {
            true => {
                let folder = context.folder;
                let built = audit.plan.build(AuditContext { folder }).await;
                let built = problems::report(&audit.section, built, problems)?;
                let file = BackendFile::of(FileOf::Audit, built.embedded(), context.purpose);
                let file = problems::report(&audit.section, file.await, problems)?;
                let remote = RemotePart::audit(&audit.keys.backend, &built, audit.section);
                places.add(file, remote);
                Some(built)
            }
            false => None,
        };
        Some(Self {
            state: MeteredState::wrap(TimeLimitedState::wrap(
                state_backend?,
                context.state_timeout,
            )),
            audit: audit_backend.map(MeteredAudit::wrap),
            trail,
            remote_parts: places.remote,
            files: places.files,
        })
    }
}

/// Where the backends are: in files of this process, or at services to connect to.
#[derive(Default)]
struct BackendPlaces {
    files: Vec<BackendFile>,
    remote: Vec<RemotePart>,
}

impl BackendPlaces {
    fn add(&mut self, file: Option<BackendFile>, remote: RemotePart) {
        match file {
            Some(file) => self.files.push(file),
            None => self.remote.push(remote),
        }
    }
}

impl SharedParts {
    pub(crate) fn new(options: &PipelineOptions, redactor: Redactor, backends: Backends) -> Self {
        let clock = Clock::system();
        let trail = backends.audit.clone();
        Self {
            clock,
            counters: Arc::default(),
            admission: Admission::new(options.max_in_flight, options.max_in_flight_bytes),
            redactor,
            state: backends.state,
            trail: trail.map(|audit| AuditTrail::new(audit, backends.trail, clock)),
            audit: backends.audit,
            files: backends.files,
        }
    }

    /// The rules. If they are broken, that is reported, and an empty set lets the other parts be built.
    pub(crate) async fn rules(
        &self,
        rules: &RulesSettings,
        known: acteon_rules::CompileSettings,
        templates: &Arc<TemplatesInForce>,
        section: &Section,
        problems: &mut ProblemList,
    ) -> Option<Arc<Rules>> {
        let directory = rules.directory.clone();
        let missing = directory
            .as_deref()
            .and_then(|path| problems::no_directory(section, path));
        let options = |directory| RulesOptions {
            directory,
            allow_empty: rules.allow_empty,
            templates: templates.clone(),
            settings: known.clone(),
            redactor: self.redactor.clone(),
            clock: self.clock,
        };
        let loaded = match missing {
            Some(problem) => Err(vec![problem]),
            None => {
                let loaded = Rules::load(options(directory.clone()), self.state.clone()).await;
                loaded.map_err(|error| problems::of_rules(section, directory.as_deref(), error))
            }
        };
        match loaded {
            Ok(rules) => Some(rules),
            Err(wrong) => {
                problems.extend(wrong);
                Rules::load(options(None), self.state.clone()).await.ok()
            }
        }
    }

    pub(crate) fn action_path(
        &self,
        options: PipelineOptions,
        rules: Arc<Rules>,
        providers: Arc<Providers>,
        machines: Machines,
    ) -> ProcessingParts {
        let pipeline = Pipeline::new(PipelineParts {
            options,
            rules: rules.clone(),
            providers: providers.clone(),
            machines,
            state: self.state.clone(),
            trail: self.recorder(),
            counters: self.counters.clone(),
            redactor: self.redactor.clone(),
            admission: self.admission.clone(),
            clock: self.clock,
        });
        ProcessingParts {
            rules,
            pipeline,
            providers,
        }
    }

    pub(crate) fn http(
        &self,
        server: &ServerSettings,
        options: &PipelineOptions,
        path: &ProcessingParts,
        stop: &CancellationToken,
    ) -> Arc<HttpSource> {
        HttpSource::new(HttpContext {
            intake: path.pipeline.clone(),
            admission: self.admission.clone(),
            rulebook: path.rules.clone(),
            counters: self.counters.clone(),
            clock: self.clock,
            body_bytes_max: server.max_body_bytes,
            batch_actions_max: server.max_batch_actions,
            max_batch: options.max_batch,
            admission_timeout: options.admission_timeout,
            stop: stop.clone(),
        })
    }

    /// Builds the configured sources.
    pub(crate) async fn sources(
        &self,
        configured: Vec<SourceSettings>,
        options: &PipelineOptions,
        pipeline: &Arc<Pipeline>,
        problems: &mut ProblemList,
    ) -> BuiltSources {
        let mut built = BuiltSources {
            sources: Vec::new(),
            remote_parts: Vec::new(),
        };
        // All sources share one reserve for what their clients prefetch.
        let prefetch_bytes = self.admission.reserve_max() / configured.len().max(1) as u32;
        for settings in configured {
            let name = settings.name.clone();
            let section = settings.section.clone();
            let source = self.source(settings, options.max_batch, prefetch_bytes, pipeline);
            if let Some(source) = problems::report(&section, source.await, problems) {
                let remote = RemotePart::source(&name, &source, section);
                built.remote_parts.push(remote);
                built.sources.push(source);
            }
        }
        built
    }

    async fn source(
        &self,
        settings: SourceSettings,
        max_batch: usize,
        prefetch_bytes: u32,
        pipeline: &Arc<Pipeline>,
    ) -> Result<Arc<dyn Source>, BuildError> {
        let SourceSettings { keys, plan, .. } = settings;
        let context = SourceContext {
            name: keys.name.into(),
            defaults: keys.defaults,
            throttled: keys.throttled,
            max_in_flight: keys.max_in_flight,
            prefetch_bytes,
            max_batch,
            intake: pipeline.clone(),
            admission: self.admission.clone(),
            clock: self.clock,
        };
        plan.build(context).await
    }

    /// The ports of the admin API.
    pub(crate) fn ports(
        &self,
        path: &ProcessingParts,
        sources: &[Arc<dyn Source>],
        metrics: &Metrics,
        stop: &CancellationToken,
    ) -> Ports {
        events::describe();
        let pipeline = path.pipeline.clone();
        let metric_sources = MetricSources {
            metrics: metrics.clone(),
            counters: self.counters.clone(),
            admission: self.admission.clone(),
            providers: path.providers.clone(),
        };
        Ports {
            rulebook: path.rules.clone(),
            audit: self.audit_ports(),
            state: self.state.clone(),
            groups: path.pipeline.clone(),
            events: path.pipeline.event_admin(),
            silences: path.pipeline.silence_admin(),
            intake: path.pipeline.clone(),
            admission: self.admission.clone(),
            status: StatusPorts {
                readiness: Arc::new(readiness::ReadinessParts {
                    state: self.state.clone(),
                    audit: self.audit.clone(),
                    pipeline: Box::new(move || pipeline.readiness()),
                    sources: sources.to_vec(),
                }),
                providers: path.providers.clone(),
                redeliveries: path.pipeline.redeliveries(),
                counters: self.counters.clone(),
                prometheus: Arc::new(move || metric_sources.render()),
            },
            redactor: self.redactor.clone(),
            clock: self.clock,
            stop: stop.clone(),
        }
    }

    fn audit_ports(&self) -> Option<AuditPorts> {
        let trail = self.trail.clone()?;
        Some(AuditPorts {
            backend: self.audit.clone()?,
            written: trail.written(),
            trail,
        })
    }

    fn recorder(&self) -> Option<Arc<dyn Trail>> {
        self.trail.clone().map(|trail| trail as Arc<dyn Trail>)
    }
}
