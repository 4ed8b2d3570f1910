//! A pipeline for tests: rules from text, recording providers, a lender instead of a source.

use std::sync::Arc;
use std::time::Duration;

use acteon_backends_memory::{MemoryState, StateConfig};
use acteon_core::disposition::ThrottledPolicy;
use acteon_core::state::{DeadLetterQuery, DeadLetters, StateContext};
use acteon_core::{
    Admission, Clock, Counters, Delivery, Feed, Intake, LetterFilter, Policy, Redactor, Scope,
};
use acteon_machines::Machine;
use acteon_rules::{CompileSettings, KnownProviders};
use acteon_templates::TemplateSet;
use acteon_testkit::{
    ActionBuilder, Lender, RecordingSink, RecordingTrail, UnreachableState, action, epoch,
};
use compact_str::CompactString;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    BreakerOptions, OnTemplateError, Pipeline, PipelineOptions, PipelineParts, ProviderOptions,
    Providers, RedeliveryOptions, Rules, RulesOptions, TimeLimitedState,
};

pub(super) struct Bench {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) lender: Lender,
    pub(super) state: Arc<UnreachableState>,
    pub(super) trail: Arc<RecordingTrail>,
    pub(super) counters: Arc<Counters>,
    pub(super) closing: CancellationToken,
    feed: Feed,
    tasks: JoinSet<()>,
}

/// A provider of the bench.
pub(super) struct Provider {
    options: ProviderOptions,
}

impl Provider {
    /// A provider of this name, with the configured defaults but no breaker.
    pub(super) fn new(name: &str, sink: &Arc<RecordingSink>) -> Self {
        let mut options = ProviderOptions::new(name, sink.clone());
        options.breaker = None;
        Self { options }
    }

    pub(super) fn retries(mut self, max_retries: u32) -> Self {
        self.options.max_retries = max_retries;
        self
    }

    pub(super) fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        self
    }

    pub(super) fn bounds(mut self, max_concurrent: u32, queue: u32) -> Self {
        self.options.max_concurrent = max_concurrent;
        self.options.queue = queue;
        self
    }

    pub(super) fn queue_bytes(mut self, bytes: u64) -> Self {
        self.options.queue_bytes = bytes;
        self
    }

    pub(super) fn fallback(mut self, name: &str) -> Self {
        self.options.fallback = Some(name.into());
        self
    }

    pub(super) fn redelivery(mut self, redelivery: RedeliveryOptions) -> Self {
        self.options.redelivery = redelivery;
        self
    }

    pub(super) fn templates(mut self, set: TemplateSet, on_error: OnTemplateError) -> Self {
        self.options.templates.in_force.put(set);
        self.options.templates.on_error = on_error;
        self
    }

    pub(super) fn breaker(mut self, failure_threshold: u32) -> Self {
        self.options.breaker = Some(BreakerOptions {
            failure_threshold,
            ..BreakerOptions::default()
        });
        self
    }
}

impl Bench {
    /// A bench with these rules and one provider `log`.
    pub(super) async fn with_rules(rules: &str, sink: &Arc<RecordingSink>) -> Self {
        Self::new(
            rules,
            [Provider::new("log", sink)],
            PipelineOptions::default(),
        )
        .await
    }

    pub(super) async fn new(
        rules: &str,
        providers: impl IntoIterator<Item = Provider>,
        options: PipelineOptions,
    ) -> Self {
        Self::over(empty_state(), rules, providers, options).await
    }

    /// A bench over this state.
    pub(super) async fn over(
        state: Arc<MemoryState>,
        rules: &str,
        providers: impl IntoIterator<Item = Provider>,
        options: PipelineOptions,
    ) -> Self {
        let state = UnreachableState::before(state);
        Self::behind(state, rules, providers, options).await
    }

    /// A bench over the state behind this one, as far as it lets calls through.
    pub(super) async fn behind(
        state: Arc<UnreachableState>,
        rules: &str,
        providers: impl IntoIterator<Item = Provider>,
        options: PipelineOptions,
    ) -> Self {
        let clock = Clock::starting_at(epoch());
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("rules.yaml"), rules).unwrap();
        let rules = RulesOptions {
            directory: Some(folder.path().to_owned()),
            allow_empty: false,
            settings: CompileSettings {
                default_timezone: jiff::tz::TimeZone::UTC,
                environment: Vec::new(),
                providers: KnownProviders::Any,
                state_machines: ["alert".into()].into(),
            },
            templates: Arc::default(),
            redactor: Redactor::default(),
            clock,
        };
        let limited = TimeLimitedState::wrap(state.clone(), options.state_timeout);
        let rules = Rules::load(rules, limited.clone()).await.unwrap();
        let providers = providers.into_iter().map(|provider| provider.options);
        let (trail, counters) = (RecordingTrail::new(), Arc::new(Counters::default()));
        state.take_calls();
        let pipeline = Pipeline::new(PipelineParts {
            options,
            rules,
            providers: Arc::new(Providers::named(providers, clock).unwrap()),
            machines: [machine()].into_iter().collect(),
            state: limited,
            trail: Some(trail.clone()),
            counters: counters.clone(),
            redactor: Redactor::new(["secret".to_owned()], "[REDACTED]"),
            admission: Admission::new(1000, 1 << 30),
            clock,
        });
        let (closing, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(pipeline.clone().run(closing.clone()));
        Self {
            pipeline,
            lender: Lender::new(),
            state,
            trail,
            counters,
            closing,
            feed: Feed::default(),
            tasks,
        }
    }

    /// Submits one batch. Returns when the pipeline accepts more.
    pub(super) async fn submit(&self, actions: impl IntoIterator<Item = ActionBuilder>) {
        let batch: Vec<Delivery> = actions
            .into_iter()
            .map(|action| action.lent_by(&self.lender))
            .collect();
        self.pipeline.submit(batch, &self.feed).await;
    }

    /// Submits one batch from another reader.
    pub(super) async fn other_submit(&self, actions: impl IntoIterator<Item = ActionBuilder>) {
        let lent = actions
            .into_iter()
            .map(|action| action.lent_by(&self.lender));
        self.pipeline.submit(lent.collect(), &Feed::default()).await;
    }

    /// Submits one batch, waits until every loan so far has ended, and returns how this batch ended.
    pub(super) async fn finish(
        &self,
        actions: impl IntoIterator<Item = ActionBuilder>,
    ) -> Vec<String> {
        let before = self.lender.ended_count();
        let actions: Vec<_> = actions.into_iter().collect();
        let count = actions.len();
        self.submit(actions).await;
        self.lender.wait_for_ended(before + count).await;
        self.lender.ends().split_off(before)
    }

    /// The ids of the dead letters.
    pub(super) async fn letters(&self) -> Vec<CompactString> {
        let query = DeadLetterQuery {
            scope: Scope::everything(),
            filter: LetterFilter::default(),
            after: None,
            limit: 100,
        };
        let page = self.state.dead_letters(&query).await.unwrap();
        page.letters
            .iter()
            .map(|letter| letter.id.clone())
            .collect()
    }

    pub(super) async fn delete_letter(&self, id: &str) {
        let scope = Scope::everything();
        self.state.delete_dead_letter(&scope, id).await.unwrap();
    }

    /// Stops the pipeline and waits for its tasks.
    pub(super) async fn close(mut self) -> Lender {
        self.closing.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.lender
    }
}

/// Empty state whose clock starts when those of the tests do.
pub(super) fn empty_state() -> Arc<MemoryState> {
    let context = StateContext {
        clock: Clock::starting_at(epoch()),
        ..StateContext::default()
    };
    Arc::new(MemoryState::new(&StateConfig::default(), &context))
}

/// The state machine `alert`.
fn machine() -> Machine {
    let options = serde_json::json!({
        "name": "alert",
        "initial_state": "open",
        "states": ["open", "firing", "acknowledged", "resolved"],
        "transitions": [
            { "from": "open", "to": "firing", "on_transition": { "notify": true, "metadata": { "urgency": "high" } } },
            { "from": "firing", "to": "acknowledged" },
            { "from": "firing", "to": "resolved", "on_transition": { "notify": true } },
            { "from": "acknowledged", "to": "firing", "on_transition": { "notify": true, "webhook_url": HOOK } },
            { "from": "acknowledged", "to": "resolved", "on_transition": { "notify": true } },
        ],
        "timeouts": [
            { "state": "acknowledged", "after_seconds": 600, "transition_to": "firing" },
            { "state": "firing", "after_seconds": 3600, "transition_to": "firing", "max_repeats": 2 },
        ],
    });
    let options = serde_json::from_value(options).unwrap();
    Machine::check(&options).unwrap().machine
}

/// The webhook of a transition, to which the provider [`hook`] posts.
const HOOK: &str = "https://hooks.example.com/alert";

/// The name of the provider that posts to the webhook.
pub(super) fn hook() -> CompactString {
    crate::machines::webhook_provider(&acteon_core::Secret::new(HOOK))
}

/// An action as a broker would submit it: a generated id, and failures become dead letters.
pub(super) fn record(id: &str) -> ActionBuilder {
    let offset = id.bytes().fold(0, |sum, byte| sum * 31 + u64::from(byte));
    action(id)
        .id_made()
        .position("kafka:orders/0", offset)
        .policy(broker(ThrottledPolicy::Retry))
}

/// The ids in an order independent of when each ended.
pub(super) fn sorted(mut ends: Vec<String>) -> Vec<String> {
    ends.sort();
    ends
}

/// A name per number, for batches.
pub(super) fn name(number: usize) -> CompactString {
    compact_str::format_compact!("a{number}")
}

/// The policy of a broker's source.
pub(super) fn broker(throttled: ThrottledPolicy) -> Policy {
    Policy::Broker { throttled }
}
