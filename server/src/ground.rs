//! What most parts of the server share, and the parts that are made of it.

use std::sync::Arc;

use acteon_admin_api::Ports;
use acteon_config::{
    AuditDelivery, AuditSettings, PipelineSettings, Problems, RulesSettings, Section,
    ServerSettings, SourceSettings, StateSettings,
};
use acteon_core::source::SourceContext;
use acteon_core::state::StateContext;
use acteon_core::{
    Admission, Audit, BuildError, Clock, Counters, Redactor, Source, State, Trail, WrittenRecords,
};
use acteon_ingest_http::{HttpContext, HttpSource};
use acteon_pipeline::{
    AuditTrail, Pipeline, PipelineOptions, PipelineParts, Providers, Rules, RulesOptions,
    TrailDelivery, TrailOptions,
};
use tokio_util::sync::CancellationToken;

use crate::connect::Contact;
use crate::metered::{MeteredAudit, MeteredState};
use crate::metrics::{Metrics, Published};
use crate::{events, problems, readiness};

/// What most parts need.
pub(crate) struct Ground {
    clock: Clock,
    counters: Arc<Counters>,
    pub(crate) admission: Arc<Admission>,
    redactor: Redactor,
    pub(crate) state: Arc<dyn State>,
    audit: Option<Arc<dyn Audit>>,
    pub(crate) trail: Option<Arc<AuditTrail>>,
}

/// The two backends, and how the trail uses its own.
pub(crate) struct Backends {
    state: Arc<dyn State>,
    audit: Option<Arc<dyn Audit>>,
    trail: TrailOptions,
    pub(crate) contacts: Vec<Contact>,
}

impl Backends {
    pub(crate) async fn build(
        (state, context): (StateSettings, StateContext),
        audit: AuditSettings,
        problems: &mut Problems,
    ) -> Option<Self> {
        let trail = trail_options(&audit);
        let built = state.plan.build(context).await;
        let built = problems::keep(&state.section, built, problems);
        let mut contacts = Vec::new();
        if let Some(backend) = &built {
            contacts.push(Contact::of_state(
                &state.keys.backend,
                backend,
                state.section,
            ));
        }
        let audit = match audit.enabled {
            true => {
                let built = audit.plan.build(()).await;
                let built = problems::keep(&audit.section, built, problems)?;
                let contact = Contact::of_audit(&audit.keys.backend, &built, audit.section);
                contacts.push(contact);
                Some(built)
            }
            false => None,
        };
        Some(Self {
            state: MeteredState::around(built?),
            audit: audit.map(MeteredAudit::around),
            trail,
            contacts,
        })
    }
}

impl Ground {
    pub(crate) fn lay(pipeline: &PipelineSettings, redactor: Redactor, backends: Backends) -> Self {
        let clock = Clock::system();
        let (audit, options) = (backends.audit, backends.trail);
        let trail = audit.clone();
        Self {
            clock,
            counters: Arc::default(),
            admission: Admission::new(pipeline.max_in_flight, pipeline.max_in_flight_bytes),
            redactor,
            state: backends.state,
            trail: trail.map(|audit| AuditTrail::new(audit, options, clock)),
            audit,
        }
    }

    /// The rules, or where they are wrong none, for what needs some.
    pub(crate) async fn rules(
        &self,
        (rules, settings): (&RulesSettings, acteon_rules::Settings),
        section: &Section,
        problems: &mut Problems,
    ) -> Option<Arc<Rules>> {
        let directory = rules.directory.clone();
        let missing = directory
            .as_deref()
            .and_then(|path| problems::no_directory(section, path));
        let options = |directory| RulesOptions {
            directory,
            allow_empty: rules.allow_empty,
            settings: settings.clone(),
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

    pub(crate) fn pipeline(
        &self,
        options: PipelineOptions,
        rules: &Arc<Rules>,
        providers: &Arc<Providers>,
    ) -> Arc<Pipeline> {
        Pipeline::new(PipelineParts {
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

    pub(crate) fn http(
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

    /// The configured sources, and the brokers they read from.
    pub(crate) async fn sources(
        &self,
        configured: Vec<SourceSettings>,
        max_batch: usize,
        intake: &Arc<Pipeline>,
        problems: &mut Problems,
    ) -> (Vec<Arc<dyn Source>>, Vec<Contact>) {
        let (mut sources, mut contacts) = (Vec::new(), Vec::new());
        // All sources share one reserve for what their clients fetch ahead.
        let share = self.admission.reserve_max() / configured.len().max(1) as u32;
        for source in configured {
            let (name, section) = (source.name.clone(), source.section.clone());
            let built = self.source(source, (max_batch, share), intake).await;
            if let Some(source) = problems::keep(&section, built, problems) {
                contacts.push(Contact::of_source(&name, &source, section));
                sources.push(source);
            }
        }
        (sources, contacts)
    }

    async fn source(
        &self,
        source: SourceSettings,
        (max_batch, prefetch_bytes): (usize, u32),
        intake: &Arc<Pipeline>,
    ) -> Result<Arc<dyn Source>, BuildError> {
        let SourceSettings { keys, plan, .. } = source;
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
        plan.build(context).await
    }

    pub(crate) fn ports(
        &self,
        (rules, providers, intake): (&Arc<Rules>, &Arc<Providers>, &Arc<Pipeline>),
        sources: &[Arc<dyn Source>],
        metrics: &Metrics,
        stop: &CancellationToken,
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
            written: self
                .trail
                .as_ref()
                .map_or_else(WrittenRecords::default, |trail| trail.written()),
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
            stop: stop.clone(),
        }
    }

    fn recorder(&self) -> Option<Arc<dyn Trail>> {
        self.trail.clone().map(|trail| trail as Arc<dyn Trail>)
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
