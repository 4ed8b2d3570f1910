//! Builds the providers: each sink, and the options under which the pipeline calls it.

use std::sync::Arc;

use acteon_config::{ProblemList, ProviderKeys, ProviderSettings, Section};
use acteon_core::sink::SinkContext;
use acteon_core::{BuildError, Clock, Redactor, Sink};
use acteon_pipeline::{
    AttemptLimits, CircuitBreakerOptions, Machines, PipelineOptions, PipelineSections,
    ProviderLimits, ProviderOptions, Providers, RedeliverySchedules, TemplatesInForce,
};

use crate::adapters::AdapterSet;
use crate::connect::RemotePart;
use crate::problems;

/// Delivers under every name if no provider is configured.
const DEFAULT_PROVIDER: &str = "log";
/// Posts to the `webhook_url` of a transition.
const WEBHOOK: &str = "webhook";

/// The providers, and the services they deliver to.
pub(crate) struct BuiltProviders {
    pub(crate) providers: Arc<Providers>,
    pub(crate) remote_parts: Vec<RemotePart>,
}

/// The same before others share them.
struct UnsharedProviders {
    providers: Providers,
    remote_parts: Vec<RemotePart>,
}

/// The options that apply to all providers.
pub(crate) struct ProviderPolicies {
    executor: AttemptLimits,
    circuit_breaker: CircuitBreakerOptions,
    redelivery: RedeliverySchedules,
    pub(crate) redactor: Redactor,
    /// Empty until the rules are loaded.
    pub(crate) templates: Arc<TemplatesInForce>,
    queue_share: QueueShare,
}

/// The part of the limit on work in flight that one provider may queue. Several providers that hang must leave room for
/// the others.
#[derive(Clone, Copy)]
struct QueueShare {
    actions: u32,
    bytes: u64,
}

impl QueueShare {
    fn of(options: &PipelineOptions, providers: usize) -> Self {
        let parts = u32::try_from(providers)
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        Self {
            actions: (options.max_in_flight / parts).max(1),
            bytes: (options.max_in_flight_bytes / u64::from(parts)).max(1),
        }
    }
}

impl ProviderPolicies {
    /// The policies for this number of providers.
    pub(crate) fn new(sections: &PipelineSections, providers: usize, redactor: Redactor) -> Self {
        Self {
            executor: sections.executor.clone(),
            circuit_breaker: sections.circuit_breaker.clone(),
            redelivery: sections.redelivery.clone(),
            redactor,
            templates: Arc::default(),
            queue_share: QueueShare::of(&sections.pipeline, providers),
        }
    }

    /// Builds the configured providers; without any, `log` under every name.
    pub(crate) async fn build(
        &self,
        configured: Vec<ProviderSettings<ProviderLimits>>,
        machines: &Machines,
        section: &Section,
        problems: &mut ProblemList,
    ) -> Option<BuiltProviders> {
        let webhooks = self.webhooks(machines, section, problems).await;
        let mut built = self.build_configured(configured, section, problems).await?;
        let added = built.providers.with(webhooks, Clock::system());
        let added = added.map_err(|error| section.problem("providers", &error.to_string()));
        built.providers = added.map_err(|problem| problems.extend([problem])).ok()?;
        Some(BuiltProviders {
            providers: Arc::new(built.providers),
            remote_parts: built.remote_parts,
        })
    }

    /// The providers that post to the webhooks of state machines.
    async fn webhooks(
        &self,
        machines: &Machines,
        section: &Section,
        problems: &mut ProblemList,
    ) -> Vec<ProviderOptions> {
        let mut options = Vec::new();
        for (name, url) in machines.webhooks() {
            let keys = self.unconfigured(&name, WEBHOOK);
            let built = self.sink(&keys, serde_json::json!({ "url": url.expose() }));
            let built = built
                .await
                .map_err(|error| BuildError::new(format!("a `webhook_url`: {}", error.message)));
            if let Some(sink) = problems::report(section, built, problems) {
                options.push(self.options(&keys, sink));
            }
        }
        options
    }

    /// The keys of a provider that is not configured by itself: `[executor]` and `[circuit_breaker]` apply to it, too.
    fn unconfigured(&self, name: &str, kind: &str) -> ProviderKeys<ProviderLimits> {
        ProviderKeys {
            name: name.to_owned(),
            kind: kind.to_owned(),
            limits: ProviderLimits {
                attempts: self.executor.clone(),
                ..ProviderLimits::default()
            },
        }
    }

    /// The sink of a provider that is not configured by itself.
    async fn sink(
        &self,
        keys: &ProviderKeys<ProviderLimits>,
        options: serde_json::Value,
    ) -> Result<Arc<dyn Sink>, BuildError> {
        let plan = AdapterSet::built_in().sinks.plan(&keys.kind, options);
        let plan = plan.map_err(|error| BuildError::new(error.to_string()))?;
        plan.build(self.context(keys)).await
    }

    async fn build_configured(
        &self,
        configured: Vec<ProviderSettings<ProviderLimits>>,
        section: &Section,
        problems: &mut ProblemList,
    ) -> Option<UnsharedProviders> {
        let clock = Clock::system();
        if configured.is_empty() {
            let keys = self.unconfigured(DEFAULT_PROVIDER, DEFAULT_PROVIDER);
            let sink = self.sink(&keys, serde_json::json!({})).await;
            let sink = problems::report(section, sink, problems)?;
            return Some(UnsharedProviders {
                providers: Providers::under_any_name(self.options(&keys, sink), clock),
                remote_parts: Vec::new(),
            });
        }
        let mut remote_parts = Vec::new();
        let mut options = Vec::with_capacity(configured.len());
        for settings in configured {
            let keys = settings.keys;
            let built = settings.plan.build(self.context(&keys)).await;
            if let Some(sink) = problems::report(&settings.section, built, problems) {
                remote_parts.push(RemotePart::sink(&keys.name, &sink, settings.section));
                options.push(self.options(&keys, sink));
            }
        }
        let named = Providers::named(options, clock);
        let named = named.map_err(|error| section.problem("providers", &error.to_string()));
        let providers = named.map_err(|problem| problems.extend([problem])).ok()?;
        Some(UnsharedProviders {
            providers,
            remote_parts,
        })
    }

    /// The options of a provider that delivers through `sink`.
    pub(crate) fn options(
        &self,
        keys: &ProviderKeys<ProviderLimits>,
        sink: Arc<dyn Sink>,
    ) -> ProviderOptions {
        let mut options = ProviderOptions::with_limits(&keys.name, sink, &keys.limits);
        options.breaker = self.circuit_breaker.for_provider(&keys.name);
        options.redelivery = self.redelivery.for_provider(&keys.name);
        options.redactor = self.redactor.clone();
        options.templates.in_force = self.templates.clone();
        self.limit_queue(&mut options);
        options
    }

    fn limit_queue(&self, options: &mut ProviderOptions) {
        options.queue = options.queue.min(self.queue_share.actions);
        options.queue_bytes = self.queue_share.bytes;
    }

    fn context(&self, keys: &ProviderKeys<ProviderLimits>) -> SinkContext {
        let attempts = &keys.limits.attempts;
        SinkContext {
            name: keys.name.as_str().into(),
            timeout: attempts.timeout,
            max_concurrent: attempts.max_concurrent as usize,
            redactor: self.redactor.clone(),
        }
    }
}
