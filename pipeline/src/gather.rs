//! Makes one call to the state for everything that the rules read about a batch. Makes none if no rule reads the state.

use acteon_core::state::Tally;
use acteon_core::{Action, Delivery, State, StateError};
use acteon_rules::{RuleSet, StateAnswers, StateRead};
use hashbrown::HashMap;
use jiff::Timestamp;

use crate::events;
use crate::job::{EndedJob, Job};
use crate::options::OnStateError;
use crate::process::Pipeline;
use crate::rulebook::Generation;
use crate::yielding::TimeSlice;

/// The deliveries of a batch that continue, each with the answers of the state. `gathered` is empty if nothing was
/// asked.
pub(crate) struct Batch {
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) gathered: Vec<StateAnswers>,
    /// The time of the answers, by the state's clock.
    pub(crate) now: Timestamp,
}

/// The answers of the state about a batch, one per action or none, and the time by its clock.
pub(crate) struct BatchAnswers {
    pub(crate) answers: Vec<StateAnswers>,
    pub(crate) now: Timestamp,
}

/// Asks the state the questions of the rules about these actions. Returns one entry per action, or nothing if there are
/// no questions.
pub(crate) async fn gather<'a>(
    set: &RuleSet,
    actions: impl Iterator<Item = &'a Action> + Send,
    now: Timestamp,
    state: &dyn State,
) -> Result<BatchAnswers, StateError> {
    let nothing = BatchAnswers {
        answers: Vec::new(),
        now,
    };
    if !set.asks() {
        return Ok(nothing);
    }
    let mut reads = Vec::new();
    let mut slice = TimeSlice::begin();
    for action in actions {
        reads.push(set.ask(action, now));
        slice.yield_when_over().await;
    }
    let each = reads.iter().flatten();
    let questions: Vec<_> = each.map(|read| read.question.clone()).collect();
    if questions.is_empty() {
        return Ok(nothing);
    }
    let gathered = state.gather(&questions).await?;
    let mut answers = gathered.answers.into_iter();
    let take = |reads: Vec<StateRead>| {
        let count = reads.len();
        StateAnswers::new(reads, answers.by_ref().take(count))
    };
    Ok(BatchAnswers {
        answers: reads.into_iter().map(take).collect(),
        now: gathered.now,
    })
}

impl Pipeline {
    /// Asks the state what the rules of this generation read about these deliveries. If there is no answer, they return
    /// to their source or continue without it, as configured.
    pub(crate) async fn gather(
        &self,
        deliveries: Vec<Delivery>,
        generation: &Generation,
        now: Timestamp,
        ended: &mut Vec<EndedJob>,
    ) -> Batch {
        let actions = deliveries.iter().map(|delivery| &delivery.action);
        match gather(&generation.set, actions, now, &*self.parts.state).await {
            Ok(gathered) => Batch {
                deliveries,
                gathered: gathered.answers,
                now: gathered.now,
            },
            Err(error) => {
                let asks =
                    |delivery: &Delivery| !generation.set.ask(&delivery.action, now).is_empty();
                events::not_gathered(&error, deliveries.iter().filter(|one| asks(one)).count());
                let going_on = self.without_answers(deliveries, generation, asks, ended);
                Batch {
                    deliveries: going_on,
                    gathered: Vec::new(),
                    now,
                }
            }
        }
    }

    fn without_answers(
        &self,
        deliveries: Vec<Delivery>,
        generation: &Generation,
        asks: impl Fn(&Delivery) -> bool,
        ended: &mut Vec<EndedJob>,
    ) -> Vec<Delivery> {
        match self.parts.options.on_state_error {
            OnStateError::Deliver => deliveries,
            OnStateError::Retry => {
                let (asking, going_on) = deliveries.into_iter().partition::<Vec<_>, _>(asks);
                let jobs = asking
                    .into_iter()
                    .map(|delivery| Job::new(delivery, generation.stamp));
                ended.extend(jobs.map(|job| self.state_unavailable(job)));
                going_on
            }
        }
    }
}

/// The tallies of the batch's earlier actions. Later actions of the batch must see them, although the state does
/// not have them yet.
#[derive(Default)]
pub(crate) struct BatchCounts(HashMap<Tally, u64>);

impl BatchCounts {
    /// Adds the counts from earlier in the batch to the answers of the state.
    pub(crate) fn add_to(&self, gathered: &mut StateAnswers) {
        if !self.0.is_empty() {
            gathered.add(|tally| self.0.get(tally).copied().unwrap_or_default());
        }
    }

    pub(crate) fn count(&mut self, tallies: &[Tally]) {
        for tally in tallies {
            *self.0.entry_ref(tally).or_default() += 1;
        }
    }
}
