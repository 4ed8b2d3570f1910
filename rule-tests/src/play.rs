//! Plays one test, with its own pipeline, state and providers, in its own virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use acteon_backends_memory::{MemoryState, StateConfig};
use acteon_core::delivery::Position;
use acteon_core::ids::id_from;
use acteon_core::reply::Replies;
use acteon_core::rules::{EvaluateOptions, Evaluation, RuleResult, Rulebook};
use acteon_core::state::StateContext;
use acteon_core::{
    Action, ActionOutcome, Admission, Caller, Clock, Counters, Delivery, Envelope, Feed, Intake,
    Memory, Policy, Receipt, Redactor, Settled, State, StateError,
};
use acteon_pipeline::{
    DuplicateProvider, Pipeline, PipelineOptions, PipelineParts, ProviderOptions, Providers, Rules,
    RulesOptions, TemplatesInForce,
};
use acteon_rules::RuleSet;
use compact_str::CompactString;
use thiserror::Error;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::SuiteSettings;
use crate::case::{Dispatch, ExpectedCalls, Setup, Task, TestCase, TimelineStep};
use crate::compare::{self, ActualResult, Mismatch};
use crate::given_events;
use crate::given_silences;
use crate::recorder::{RecordedTrail, RecordingSink};
use crate::report::FailedStep;

/// How often all tasks are polled before a step counts as done. A delivery passes through fewer than ten tasks.
const TURNS: usize = 64;
/// How long to wait for outcomes after the last step.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(2 * 86_400);

/// Why a test could not be played.
#[derive(Debug, Error)]
pub enum PlayError {
    /// The system provides no timer or no memory.
    #[error("a test could not be run")]
    Runtime(#[from] std::io::Error),
    /// Two configured providers have the same name.
    #[error(transparent)]
    Providers(#[from] DuplicateProvider),
    /// The state rejected the events of a setup.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What all tests share.
pub(crate) struct PlayContext<'w> {
    pub(crate) set: &'w RuleSet,
    pub(crate) templates: &'w Arc<TemplatesInForce>,
    pub(crate) settings: &'w SuiteSettings,
    pub(crate) evaluation: EvaluationMode,
}

/// For which dispatches the rules are evaluated separately, to see which rules match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EvaluationMode {
    /// For dispatches that expect a rule.
    WhenExpected,
    /// For all dispatches.
    Always,
}

/// The result of a test.
#[derive(Debug, Default)]
pub(crate) struct PlayResult {
    pub(crate) failures: Vec<FailedStep>,
    /// How often each rule matched, in the dispatches that were evaluated.
    pub(crate) matched: BTreeMap<CompactString, u64>,
}

/// Plays a whole test.
pub(crate) fn play(case: &TestCase, context: &PlayContext<'_>) -> Result<PlayResult, PlayError> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(async {
        let mut player = Player::new(case, context)?;
        player.play().await?;
        Ok(player.finish().await)
    })
}

/// Plays the timeline of one test.
struct Player<'p> {
    case: &'p TestCase,
    evaluation: EvaluationMode,
    started: Instant,
    system: TestSystem,
    sent: Vec<SentAction<'p>>,
    result: PlayResult,
}

/// The pipeline of one test, with everything around it.
struct TestSystem {
    clock: Clock,
    state: Arc<dyn State>,
    rules: Arc<Rules>,
    pipeline: Arc<Pipeline>,
    providers: BTreeMap<CompactString, Arc<RecordingSink>>,
    trail: Arc<RecordedTrail>,
    counters: Arc<Counters>,
    admission: Arc<Admission>,
    closing: CancellationToken,
    tasks: JoinSet<()>,
}

/// A dispatched action.
struct SentAction<'p> {
    /// The index of its step in the timeline.
    step: usize,
    dispatch: &'p Dispatch,
    /// Which of the step's dispatches, from 1.
    turn: u32,
    reply: PendingReply,
    evaluation: Option<Evaluation>,
    rule_errors: u64,
}

enum PendingReply {
    Pending(oneshot::Receiver<Vec<Settled>>),
    Received(Vec<Settled>),
}

impl TestSystem {
    fn new(case: &TestCase, context: &PlayContext<'_>) -> Result<Self, PlayError> {
        let clock = Clock::starting_at(case.start);
        let of_state = StateContext {
            clock,
            ..StateContext::default()
        };
        let state = MemoryState::new(&StateConfig::default(), &of_state);
        let state: Arc<dyn State> = Arc::new(state);
        let options = RulesOptions {
            directory: None,
            allow_empty: true,
            settings: context.settings.rules.clone(),
            templates: Arc::default(),
            redactor: Redactor::default(),
            clock,
        };
        let rules = Rules::of(context.set, options, state.clone());
        let (sinks, providers): (BTreeMap<_, _>, Vec<_>) = providers(case, context).unzip();
        let trail = Arc::<RecordedTrail>::default();
        let counters = Arc::<Counters>::default();
        let admission = Admission::new(u32::MAX, u64::MAX);
        let pipeline = Pipeline::new(PipelineParts {
            options: PipelineOptions {
                store_payload: true,
                ..context.settings.pipeline.clone()
            },
            rules: rules.clone(),
            providers: Arc::new(Providers::named(providers, clock)?),
            machines: context.settings.machines.clone(),
            state: state.clone(),
            trail: Some(trail.clone()),
            counters: counters.clone(),
            redactor: Redactor::default(),
            admission: admission.clone(),
            clock,
        });
        let closing = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(pipeline.clone().run(closing.clone()));
        Ok(Self {
            clock,
            state,
            rules,
            pipeline,
            providers: sinks,
            trail,
            counters,
            admission,
            closing,
            tasks,
        })
    }

    async fn apply(&self, setup: &Setup) -> Result<(), PlayError> {
        if !setup.events.is_empty() {
            given_events::write(&*self.state, &setup.events, self.clock.now()).await?;
        }
        if !setup.silences.is_empty() {
            given_silences::write(&*self.state, &setup.silences, self.clock.now()).await?;
            self.pipeline.read_silences().await?;
        }
        for (name, answers) in &setup.providers {
            if let Some(sink) = self.providers.get(name) {
                sink.set_answers(answers);
            }
        }
        for (rule, enabled) in &setup.toggles {
            // The file was checked against the set, so the rule exists, and the memory backend does not fail.
            let _ = self.rules.set_enabled(rule, *enabled).await;
        }
        Ok(())
    }

    fn check(&self, expected: &ExpectedCalls) -> Vec<Mismatch> {
        let sink = self.providers.get(&expected.provider);
        let received = sink.map(|sink| sink.take_calls());
        compare::calls(expected, &received.unwrap_or_default())
    }

    /// Submits an action to the pipeline.
    async fn submit(&self, envelope: Envelope) -> Submitted {
        let (replies, outcome) = Replies::expect(1);
        let permit = self.admission.admit(1, 0).await;
        let delivery = Delivery::new(envelope, Receipt::new(replies, 0), permit);
        let rule_errors_before = self.counters.rule_errors.load(Relaxed);
        self.pipeline.submit(vec![delivery], &Feed::default()).await;
        Submitted {
            outcome,
            rule_errors_before,
        }
    }

    /// The action with an id and a time, which are the same in each run of the test.
    fn action(&self, dispatch: &Dispatch, number: u64) -> Action {
        let mut action = dispatch.action.clone();
        let now = self.clock.now();
        if !dispatch.provided.id {
            let mut chance = [0; 10];
            chance[2..].copy_from_slice(&number.to_be_bytes());
            action.id = id_from(now, chance);
        }
        if !dispatch.provided.created_at {
            action.created_at = now.into();
        }
        action
    }

    fn envelope(&self, action: Action, dispatch: &Dispatch, number: u64) -> Envelope {
        Envelope {
            raw: action.payload.as_bytes().clone(),
            action,
            id_given: dispatch.provided.id,
            position: Position {
                stream: "test".into(),
                offset: Some(number),
            },
            caller: Caller::anonymous(),
            received_at: self.clock.now(),
            key: None,
            memory: Memory::Own,
            history: None,
            policy: Policy::Answer,
        }
    }

    async fn stop(mut self) {
        self.closing.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// An action that the pipeline has taken.
struct Submitted {
    outcome: oneshot::Receiver<Vec<Settled>>,
    rule_errors_before: u64,
}

impl<'p> Player<'p> {
    fn new(case: &'p TestCase, context: &PlayContext<'_>) -> Result<Self, PlayError> {
        Ok(Self {
            case,
            evaluation: context.evaluation,
            started: Instant::now(),
            system: TestSystem::new(case, context)?,
            sent: Vec::new(),
            result: PlayResult::default(),
        })
    }

    async fn play(&mut self) -> Result<(), PlayError> {
        let case = self.case;
        self.system.apply(&case.setup).await?;
        for (number, step) in case.timeline.iter().enumerate() {
            sleep_until(self.started + step.at).await;
            self.system.apply(&step.setup).await?;
            match &step.task {
                Task::Nothing => {}
                Task::Dispatch(dispatch) => self.dispatch(number, dispatch).await,
                Task::Check(checks) => {
                    run_ready_tasks().await;
                    let wrong = checks.iter().flat_map(|check| self.system.check(check));
                    self.judge(number, None, wrong.collect());
                }
            }
        }
        Ok(())
    }

    async fn dispatch(&mut self, step: usize, dispatch: &'p Dispatch) {
        for turn in 1..=dispatch.times {
            let number = self.sent.len() as u64;
            let action = self.system.action(dispatch, number);
            let evaluation = self.evaluate(dispatch, &action).await;
            let envelope = self.system.envelope(action, dispatch, number);
            let submitted = self.system.submit(envelope).await;
            let reply = first_reply(submitted.outcome).await;
            let rule_errors = self.system.counters.rule_errors.load(Relaxed);
            self.sent.push(SentAction {
                step,
                dispatch,
                turn,
                reply,
                evaluation,
                rule_errors: rule_errors - submitted.rule_errors_before,
            });
        }
    }

    /// Evaluates the rules for the action just before it is dispatched, if the evaluation is needed.
    async fn evaluate(&mut self, dispatch: &Dispatch, action: &Action) -> Option<Evaluation> {
        if self.evaluation == EvaluationMode::WhenExpected && dispatch.expected.rule.is_none() {
            return None;
        }
        let options = EvaluateOptions::default();
        let evaluation = self.system.rules.evaluate(action, &options).await.ok()?;
        let matched = evaluation
            .trace
            .iter()
            .filter(|trace| trace.result == RuleResult::Matched);
        for trace in matched {
            *self
                .result
                .matched
                .entry(trace.rule_name.clone())
                .or_default() += 1;
        }
        Some(evaluation)
    }

    /// Waits for the remaining outcomes, and compares all of them with the expectations.
    async fn finish(mut self) -> PlayResult {
        let until = Instant::now() + OUTCOME_TIMEOUT;
        for (number, sent) in (0..).zip(std::mem::take(&mut self.sent)) {
            self.judge_sent(number, sent, until).await;
        }
        self.system.stop().await;
        self.result.failures.sort_by_key(|failure| failure.step);
        self.result
    }

    async fn judge_sent(&mut self, number: u64, sent: SentAction<'p>, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        let settled = match sent.reply {
            PendingReply::Received(settled) => settled,
            PendingReply::Pending(reply) => match timeout(left, reply).await {
                Ok(Ok(settled)) => settled,
                _ => Vec::new(),
            },
        };
        let record = self.system.trail.of(number);
        let returned = settled.first().map_or_else(never_settled, why_returned);
        let found = ActualResult {
            outcome: settled.first().and_then(outcome).ok_or(returned.as_str()),
            record: record.as_deref(),
            evaluation: sent.evaluation.as_ref(),
            rule_errors: sent.rule_errors,
        };
        let wrong = compare::action(&sent.dispatch.expected, &found);
        let turn = (sent.dispatch.times > 1).then_some((sent.turn, sent.dispatch.times));
        self.judge(sent.step, turn, wrong);
    }

    /// Records the mismatches of a step. Of several failed dispatches the first is recorded, the others are counted.
    fn judge(&mut self, step: usize, turn: Option<(u32, u32)>, wrong: Vec<Mismatch>) {
        if wrong.is_empty() {
            return;
        }
        let failures = &mut self.result.failures;
        if let Some(first) = failures.iter_mut().find(|failed| failed.step == step + 1) {
            first.more += 1;
            return;
        }
        let TimelineStep { at, place, .. } = &self.case.timeline[step];
        failures.push(FailedStep {
            step: step + 1,
            line: place.line,
            at: *at,
            turn,
            more: 0,
            mismatches: wrong,
        });
    }
}

/// The outcome, if it comes without time passing.
async fn first_reply(mut reply: oneshot::Receiver<Vec<Settled>>) -> PendingReply {
    for _ in 0..TURNS {
        if let Ok(settled) = reply.try_recv() {
            return PendingReply::Received(settled);
        }
        yield_now().await;
    }
    PendingReply::Pending(reply)
}

/// Lets everything happen that is due now.
async fn run_ready_tasks() {
    for _ in 0..TURNS {
        yield_now().await;
    }
}

/// The recording providers of a test: the configured ones, else every provider that the test or a rule names.
fn providers<'w>(
    case: &'w TestCase,
    context: &'w PlayContext<'_>,
) -> impl Iterator<Item = ((CompactString, Arc<RecordingSink>), ProviderOptions)> {
    let configured = &context.settings.providers;
    let names = if configured.is_empty() {
        let mut names = case.providers();
        names.extend(context.set.providers());
        names
    } else {
        Default::default()
    };
    // Each test has its own sinks, so that those of webhooks are made here, too.
    let webhooks = context.settings.machines.webhooks().into_keys();
    let unconfigured = names
        .into_iter()
        .cloned()
        .chain(webhooks)
        .map(|name| ProviderOptions::new(&name, crate::stand_in()));
    let options = configured.iter().cloned().chain(unconfigured);
    options.map(|mut options| {
        let sink = Arc::<RecordingSink>::default();
        options.sink = sink.clone();
        options.templates.in_force = context.templates.clone();
        ((options.name.clone(), sink), options)
    })
}

fn outcome(settled: &Settled) -> Option<&ActionOutcome> {
    match settled {
        Settled::Done(outcome) | Settled::Remembered(outcome) | Settled::Partly { outcome, .. } => {
            Some(outcome)
        }
        Settled::DeadLettered(_) | Settled::Retry { .. } | Settled::Later { .. } => None,
    }
}

fn why_returned(settled: &Settled) -> String {
    match settled {
        Settled::Retry { refusal, .. } => format!("it went back to its source, {refusal:?}"),
        Settled::Later { delay, .. } => format!("it was put on the delayed path, {delay:?}"),
        Settled::Done(_)
        | Settled::Remembered(_)
        | Settled::Partly { .. }
        | Settled::DeadLettered(_) => String::new(),
    }
}

fn never_settled() -> String {
    "it was still in flight two days after the last step".to_owned()
}
