//! Builds the providers: each sink, and how it is treated by the pipeline.

use std::sync::Arc;
use std::time::Duration;

use acteon_config::{
    CircuitBreakerSettings, PipelineSettings, Problems, ProviderKeys, ProviderSettings, Redelivery,
    RedeliverySettings, Section,
};
use acteon_core::sink::SinkContext;
use acteon_core::{BuildError, Clock, Redactor, Sink};
use acteon_pipeline::{BreakerOptions, ProviderOptions, Providers, RedeliveryOptions};

use crate::adapters::AdapterSet;
use crate::connect::Contact;
use crate::problems;

/// What delivers when no provider is configured, under whatever name.
const DEFAULT_PROVIDER: &str = "log";

/// The providers, and whom they deliver to.
pub(crate) struct Built {
    pub(crate) providers: Arc<Providers>,
    pub(crate) contacts: Vec<Contact>,
}

/// What holds for all providers.
pub(crate) struct Treatment {
    pub(crate) breakers: CircuitBreakerSettings,
    pub(crate) redelivery: RedeliverySettings,
    pub(crate) redactor: Redactor,
    pub(crate) share: Share,
}

/// What one provider may keep waiting of all that is in flight: several that hang must leave room for the others.
#[derive(Clone, Copy)]
pub(crate) struct Share {
    actions: u32,
    bytes: u64,
}

impl Share {
    pub(crate) fn of(pipeline: &PipelineSettings, providers: usize) -> Self {
        let parts = u32::try_from(providers)
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        Self {
            actions: (pipeline.max_in_flight / parts).max(1),
            bytes: (pipeline.max_in_flight_bytes / u64::from(parts)).max(1),
        }
    }
}

impl Treatment {
    /// The configured providers; without any, `log` under every name.
    pub(crate) async fn providers(
        &self,
        configured: Vec<ProviderSettings>,
        section: &Section,
        problems: &mut Problems,
    ) -> Option<Built> {
        let (clock, mut contacts) = (Clock::system(), Vec::new());
        if configured.is_empty() {
            let sink = default_sink(self.redactor.clone()).await;
            let sink = problems::keep(section, sink, problems)?;
            let mut options = ProviderOptions::new(DEFAULT_PROVIDER, sink);
            options.queue = options.queue.min(self.share.actions);
            options.queue_bytes = self.share.bytes;
            let providers = Arc::new(Providers::under_any_name(options, clock));
            return Some(Built {
                providers,
                contacts,
            });
        }
        let mut options = Vec::with_capacity(configured.len());
        for ProviderSettings {
            keys,
            plan,
            section,
        } in configured
        {
            let built = plan.build(self.context(&keys)).await;
            if let Some(sink) = problems::keep(&section, built, problems) {
                contacts.push(Contact::of_sink(&keys.name, &sink, section));
                options.push(self.of(&keys, sink));
            }
        }
        let named = Providers::named(options, clock);
        let named = named.map_err(|error| section.problem("providers", &error.to_string()));
        let providers = named.map_err(|problem| problems.extend([problem])).ok()?;
        Some(Built {
            providers: Arc::new(providers),
            contacts,
        })
    }

    /// How a provider is treated that this sink delivers for.
    pub(crate) fn of(&self, keys: &ProviderKeys, sink: Arc<dyn Sink>) -> ProviderOptions {
        let breaker = self.breakers.for_provider(&keys.name);
        ProviderOptions {
            name: keys.name.as_str().into(),
            sink,
            timeout: keys.timeout,
            max_retries: keys.max_retries,
            max_concurrent: keys.max_concurrent,
            queue: keys.queue.min(self.share.actions),
            queue_bytes: self.share.bytes,
            fallback: keys.fallback_provider.as_deref().map(Into::into),
            breaker: breaker.map(|breaker| BreakerOptions {
                failure_threshold: breaker.failure_threshold,
                success_threshold: breaker.success_threshold,
                recovery_timeout: breaker.recovery_timeout,
                ..BreakerOptions::default()
            }),
            redelivery: redelivery_options(&self.redelivery.for_provider(&keys.name)),
            redactor: self.redactor.clone(),
        }
    }

    fn context(&self, keys: &ProviderKeys) -> SinkContext {
        SinkContext {
            name: keys.name.as_str().into(),
            timeout: keys.timeout,
            max_concurrent: keys.max_concurrent as usize,
            redactor: self.redactor.clone(),
        }
    }
}

pub(crate) fn redelivery_options(redelivery: &Redelivery) -> RedeliveryOptions {
    RedeliveryOptions {
        schedule: redelivery.schedule.as_slice().into(),
        give_up_after: redelivery.give_up_after,
    }
}

/// The sink of a server on which no provider is configured, with its own defaults.
async fn default_sink(redactor: Redactor) -> Result<Arc<dyn Sink>, BuildError> {
    let options = serde_json::Value::Object(serde_json::Map::new());
    let plan = AdapterSet::built_in().sinks.plan(DEFAULT_PROVIDER, options);
    let plan = plan.map_err(|error| BuildError::new(error.to_string()))?;
    let context = SinkContext {
        name: DEFAULT_PROVIDER.into(),
        timeout: Duration::from_secs(30),
        max_concurrent: 100,
        redactor,
    };
    plan.build(context).await
}
