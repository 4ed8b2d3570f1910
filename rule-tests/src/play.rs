//! Plays one test: its own pipeline, state and providers, in its own virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use acteon_backends_memory::MemoryState;
use acteon_core::delivery::Position;
use acteon_core::ids::id_from;
use acteon_core::reply::Replies;
use acteon_core::rules::{EvaluateOptions, Evaluation, RuleResult, Rulebook};
use acteon_core::{
    Action, ActionOutcome, Admission, Caller, Clock, Counters, Delivery, Envelope, Feed, Intake,
    Memory, Policy, Receipt, Redactor, Settled, State, StateError,
};
use acteon_pipeline::{
    DuplicateProvider, Pipeline, PipelineOptions, PipelineParts, ProviderOptions, Providers, Rules,
    RulesOptions,
};
use acteon_rules::RuleSet;
use compact_str::CompactString;
use thiserror::Error;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::Surroundings;
use crate::case::{Calls, Case, Dispatch, Given, Step, Task};
use crate::compare::{self, Found, Mismatch};
use crate::recorder::{RecordedTrail, Recorder};
use crate::report::Failure;

/// How often all tasks are given their turn before a step is taken to have had its effect. A delivery passes through
/// less than ten hands.
const TURNS: usize = 64;
/// How long, after the last step, an outcome is waited for.
const PATIENCE: Duration = Duration::from_secs(2 * 86_400);

/// Why a test could not be played at all.
#[derive(Debug, Error)]
pub enum PlayError {
    /// The system gives no timer or no room.
    #[error("a test could not be run")]
    Runtime(#[from] std::io::Error),
    /// Two configured providers have one name.
    #[error(transparent)]
    Providers(#[from] DuplicateProvider),
    /// The state would not hold what is given.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What all tests share.
pub(crate) struct World<'w> {
    pub(crate) set: &'w RuleSet,
    pub(crate) surroundings: &'w Surroundings,
    pub(crate) watching: Watching,
}

/// For which dispatches the rules are asked what matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watching {
    /// For those that expect a rule.
    Expected,
    All,
}

/// What came of a test.
#[derive(Debug, Default)]
pub(crate) struct Played {
    pub(crate) failures: Vec<Failure>,
    /// How often each rule matched, as far as it was watched.
    pub(crate) matched: BTreeMap<CompactString, u64>,
}

/// Plays a test to its end.
pub(crate) fn play(case: &Case, world: &World<'_>) -> Result<Played, PlayError> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    runtime.block_on(async {
        let mut stage = Stage::set(case, world)?;
        stage.play().await?;
        Ok(stage.end().await)
    })
}

struct Stage<'p> {
    case: &'p Case,
    watching: Watching,
    clock: Clock,
    started: Instant,
    state: Arc<dyn State>,
    rules: Arc<Rules>,
    pipeline: Arc<Pipeline>,
    recorders: BTreeMap<CompactString, Arc<Recorder>>,
    trail: Arc<RecordedTrail>,
    counters: Arc<Counters>,
    admission: Arc<Admission>,
    closing: CancellationToken,
    tasks: JoinSet<()>,
    sent: Vec<Sent<'p>>,
    played: Played,
}

/// A dispatched action.
struct Sent<'p> {
    /// The place of its step in the timeline.
    step: usize,
    dispatch: &'p Dispatch,
    /// Which of the step's dispatches, from 1.
    turn: u32,
    reply: Reply,
    evaluation: Option<Evaluation>,
    rule_errors: u64,
}

enum Reply {
    Awaited(oneshot::Receiver<Vec<Settled>>),
    Came(Vec<Settled>),
}

impl<'p> Stage<'p> {
    fn set(case: &'p Case, world: &World<'p>) -> Result<Self, PlayError> {
        let clock = Clock::starting_at(case.start);
        let state: Arc<dyn State> = Arc::new(MemoryState::default());
        let options = RulesOptions {
            directory: None,
            allow_empty: true,
            settings: world.surroundings.rules.clone(),
            redactor: Redactor::default(),
            clock,
        };
        let rules = Rules::of(world.set, options, state.clone());
        let (recorders, providers): (BTreeMap<_, _>, Vec<_>) = providers(case, world).unzip();
        let trail = Arc::<RecordedTrail>::default();
        let counters = Arc::<Counters>::default();
        let pipeline = Pipeline::new(PipelineParts {
            options: PipelineOptions {
                store_payload: true,
                ..world.surroundings.pipeline.clone()
            },
            rules: rules.clone(),
            providers: Arc::new(Providers::named(providers, clock)?),
            state: state.clone(),
            trail: Some(trail.clone()),
            counters: counters.clone(),
            redactor: Redactor::default(),
            clock,
        });
        let (closing, mut tasks) = (CancellationToken::new(), JoinSet::new());
        tasks.spawn(pipeline.clone().run(closing.clone()));
        Ok(Self {
            watching: world.watching,
            started: Instant::now(),
            admission: Admission::new(u32::MAX, u64::MAX),
            sent: Vec::new(),
            played: Played::default(),
            case,
            clock,
            state,
            rules,
            pipeline,
            recorders,
            trail,
            counters,
            closing,
            tasks,
        })
    }

    async fn play(&mut self) -> Result<(), PlayError> {
        let case = self.case;
        self.give(&case.given).await?;
        for (number, step) in case.timeline.iter().enumerate() {
            sleep_until(self.started + step.at).await;
            self.give(&step.given).await?;
            match &step.task {
                Task::Nothing => {}
                Task::Dispatch(dispatch) => self.dispatch(number, dispatch).await,
                Task::Check(checks) => {
                    self.let_things_happen().await;
                    let wrong = checks.iter().flat_map(|check| self.check(check));
                    self.judge(number, None, wrong.collect());
                }
            }
        }
        Ok(())
    }

    fn check(&self, check: &Calls) -> Vec<Mismatch> {
        let recorder = self.recorders.get(&check.provider);
        let received = recorder.map(|recorder| recorder.take_calls());
        compare::calls(check, &received.unwrap_or_default())
    }

    async fn give(&self, given: &Given) -> Result<(), PlayError> {
        if !given.events.is_empty() {
            self.state.track(&given.events).await?;
        }
        for (name, answers) in &given.providers {
            if let Some(recorder) = self.recorders.get(name) {
                recorder.answer(answers);
            }
        }
        for (rule, enabled) in &given.toggles {
            // The file was checked against the set: the rule is there, and the memory backend does not fail.
            let _ = self.rules.set_enabled(rule, *enabled).await;
        }
        Ok(())
    }

    async fn dispatch(&mut self, step: usize, dispatch: &'p Dispatch) {
        for turn in 1..=dispatch.times {
            let number = self.sent.len() as u64;
            let action = self.action(dispatch, number);
            let evaluation = self.evaluate(dispatch, &action).await;
            let (replies, reply) = Replies::expect(1);
            let permit = self.admission.admit(1, 0).await;
            let envelope = self.envelope(action, dispatch, number);
            let delivery = Delivery::new(envelope, Receipt::new(replies, 0), permit);
            let errors_before = self.counters.rule_errors.load(Relaxed);
            self.pipeline.submit(vec![delivery], &Feed::default()).await;
            let reply = self.first_reply(reply).await;
            self.sent.push(Sent {
                step,
                dispatch,
                turn,
                reply,
                evaluation,
                rule_errors: self.counters.rule_errors.load(Relaxed) - errors_before,
            });
        }
    }

    /// The action with an id and a time, which are the same each time the test is run.
    fn action(&self, dispatch: &Dispatch, number: u64) -> Action {
        let (mut action, now) = (dispatch.action.clone(), self.clock.now());
        if !dispatch.gives.id {
            let mut chance = [0; 10];
            chance[2..].copy_from_slice(&number.to_be_bytes());
            action.id = id_from(now, chance);
        }
        if !dispatch.gives.created_at {
            action.created_at = now.into();
        }
        action
    }

    fn envelope(&self, action: Action, dispatch: &Dispatch, number: u64) -> Envelope {
        Envelope {
            raw: action.payload.as_bytes().clone(),
            action,
            id_given: dispatch.gives.id,
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

    /// What the rules say of the action just before it is dispatched, where somebody wants to know.
    async fn evaluate(&mut self, dispatch: &Dispatch, action: &Action) -> Option<Evaluation> {
        if self.watching == Watching::Expected && dispatch.expected.rule.is_none() {
            return None;
        }
        let options = EvaluateOptions::default();
        let evaluation = self.rules.evaluate(action, &options).await.ok()?;
        let matched = evaluation
            .trace
            .iter()
            .filter(|trace| trace.result == RuleResult::Matched);
        for trace in matched {
            *self
                .played
                .matched
                .entry(trace.rule_name.clone())
                .or_default() += 1;
        }
        Some(evaluation)
    }

    /// The reply, if it comes without time passing.
    async fn first_reply(&self, mut reply: oneshot::Receiver<Vec<Settled>>) -> Reply {
        for _ in 0..TURNS {
            if let Ok(ended) = reply.try_recv() {
                return Reply::Came(ended);
            }
            yield_now().await;
        }
        Reply::Awaited(reply)
    }

    /// Lets everything happen that is due now.
    async fn let_things_happen(&self) {
        for _ in 0..TURNS {
            yield_now().await;
        }
    }

    /// Waits for what is under way, and holds all outcomes against what was expected.
    async fn end(mut self) -> Played {
        let until = Instant::now() + PATIENCE;
        for sent in std::mem::take(&mut self.sent).into_iter().zip(0..) {
            self.judge_sent(sent, until).await;
        }
        self.closing.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.played.failures.sort_by_key(|failure| failure.step);
        self.played
    }

    async fn judge_sent(&mut self, (sent, number): (Sent<'p>, u64), until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        let ended = match sent.reply {
            Reply::Came(ended) => ended,
            Reply::Awaited(reply) => match timeout(left, reply).await {
                Ok(Ok(ended)) => ended,
                _ => Vec::new(),
            },
        };
        let record = self.trail.of(number);
        let returned = ended.first().map_or_else(never_ended, why_returned);
        let found = Found {
            outcome: ended.first().and_then(outcome).ok_or(returned.as_str()),
            record: record.as_deref(),
            evaluation: sent.evaluation.as_ref(),
            rule_errors: sent.rule_errors,
        };
        let wrong = compare::action(&sent.dispatch.expected, &found);
        let turn = (sent.dispatch.times > 1).then_some((sent.turn, sent.dispatch.times));
        self.judge(sent.step, turn, wrong);
    }

    /// Notes what is wrong with a step; of its dispatches the first that is wrong is told, the others are counted.
    fn judge(&mut self, step: usize, turn: Option<(u32, u32)>, wrong: Vec<Mismatch>) {
        if wrong.is_empty() {
            return;
        }
        let failures = &mut self.played.failures;
        if let Some(told) = failures.iter_mut().find(|told| told.step == step + 1) {
            told.more += 1;
            return;
        }
        let Step { at, place, .. } = &self.case.timeline[step];
        failures.push(Failure {
            step: step + 1,
            line: place.line,
            at: *at,
            turn,
            more: 0,
            mismatches: wrong,
        });
    }
}

/// The recording providers of a test: those configured, else every one that the test or a rule names.
fn providers<'w>(
    case: &'w Case,
    world: &'w World<'_>,
) -> impl Iterator<Item = ((CompactString, Arc<Recorder>), ProviderOptions)> {
    let configured = &world.surroundings.providers;
    let names = if configured.is_empty() {
        let mut names = case.providers();
        names.extend(world.set.providers());
        names
    } else {
        Default::default()
    };
    let unconfigured = names
        .into_iter()
        .map(|name| ProviderOptions::new(name, crate::stand_in()));
    let options = configured.iter().cloned().chain(unconfigured);
    options.map(|mut options| {
        let recorder = Arc::<Recorder>::default();
        options.sink = recorder.clone();
        ((options.name.clone(), recorder), options)
    })
}

fn outcome(settled: &Settled) -> Option<&ActionOutcome> {
    match settled {
        Settled::Done(outcome) | Settled::Remembered(outcome) => Some(outcome),
        Settled::DeadLettered(_) | Settled::Retry { .. } | Settled::Later { .. } => None,
    }
}

fn why_returned(settled: &Settled) -> String {
    match settled {
        Settled::Retry { refusal, .. } => format!("it went back to its source, {refusal:?}"),
        Settled::Later { delay, .. } => format!("it goes by the delayed path, {delay:?}"),
        Settled::Done(_) | Settled::Remembered(_) | Settled::DeadLettered(_) => String::new(),
    }
}

fn never_ended() -> String {
    "it was still under way two days after the last step".to_owned()
}
