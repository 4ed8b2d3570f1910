//! Offers a dead letter's action to the pipeline once more, under its original id.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::decode::{self, Defaults};
use acteon_core::delivery::Position;
use acteon_core::reply::Replies;
use acteon_core::{
    Action, ActionOutcome, Caller, DeadLetter, Delivery, Disposition, Envelope, Feed, Memory,
    Policy, Receipt, Refusal, Scope, Settled, ThrottledPolicy, TimeLeft,
};
use bytes::Bytes;
use compact_str::CompactString;
use serde_json::json;

use super::changes::{Change, Changed};
use super::{Access, AdminApi, AdminError, change};
use crate::events;

/// How long a replay waits for room in the process.
const ADMISSION_PATIENCE: Duration = Duration::from_millis(100);
/// When to try again after it found none.
const OVERLOAD_WAIT: Duration = Duration::from_secs(1);

/// What became of a replayed dead letter.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// The letter.
    pub id: CompactString,
    /// What became of its action.
    pub outcome: ActionOutcome,
    /// False when the letter is still there: its action did not come to its end.
    pub deleted: bool,
}

impl AdminApi {
    /// Decides and delivers a dead letter's action again, under its original id, and deletes the letter when that was
    /// its end: all outcomes but those that a broker's action becomes a dead letter for, or is told to wait by.
    ///
    /// # Errors
    /// When there is no such letter inside the scope, it still cannot be decoded, or there is no room for it now.
    pub async fn replay(&self, access: &Access, id: &str) -> Result<Replayed, AdminError> {
        let letter = self.letter(&access.scope, id).await?;
        let change = Change::of_letter(change::REPLAY_LETTER, &letter);
        let (api, access) = (self.clone(), access.clone());
        let caller = access.caller.clone();
        let work = async move {
            let action = action_of(&letter)?;
            let action_id = action.id.clone();
            let outcome = api.deliver(&letter, action, access.caller).await?;
            let deleted = is_final(&outcome) && api.put_away(&access.scope, &letter.id).await;
            let details = json!({
                "dead_letter_id": letter.id,
                "action_id": action_id,
                "outcome": outcome.name(),
            });
            Ok(Changed {
                outcome: "replayed",
                details,
                answer: Replayed {
                    id: letter.id.clone(),
                    outcome,
                    deleted,
                },
            })
        };
        self.change(caller, change, work).await
    }

    async fn deliver(
        &self,
        letter: &DeadLetter,
        action: Action,
        caller: Caller,
    ) -> Result<ActionOutcome, AdminError> {
        let admission = &self.ports.admission;
        let room = admission.admit_within(1, letter.raw.len() as u64, ADMISSION_PATIENCE);
        let permit = room.await.ok_or(AdminError::Refused {
            refusal: Refusal::Overloaded,
            after: OVERLOAD_WAIT,
        })?;
        let (replies, answer) = Replies::expect(1);
        let envelope = self.envelope(letter, action, caller);
        let delivery = Delivery::new(envelope, Receipt::new(replies, 0), permit);
        let feed = Feed::default();
        self.ports.intake.submit(vec![delivery], &feed).await;
        let settled = answer.await.ok().and_then(|mut settled| settled.pop());
        outcome_of(settled)
    }

    fn envelope(&self, letter: &DeadLetter, action: Action, caller: Caller) -> Envelope {
        Envelope {
            action,
            // Leased, so that two who replay it at once deliver it once.
            id_given: true,
            position: Position {
                stream: Arc::from(format!("replay:{}", letter.source)),
                offset: None,
            },
            caller,
            received_at: self.ports.clock.now(),
            raw: Bytes::clone(&letter.raw),
            key: None,
            memory: Memory::Own,
            history: None,
            policy: Policy::Replay,
        }
    }

    /// Deletes a letter whose action has come to its end. One that stays is answered from memory when it is replayed
    /// soon, so a state that fails just now takes nothing from the answer.
    async fn put_away(&self, scope: &Scope, id: &str) -> bool {
        match self.ports.state.delete_dead_letter(scope, id).await {
            Ok(_) => true,
            Err(error) => {
                events::letter_stays(id, &error);
                false
            }
        }
    }
}

/// The action in a letter's bytes. What the source had put in stands in the letter.
fn action_of(letter: &DeadLetter) -> Result<Action, AdminError> {
    let action = letter.action.as_ref();
    let defaults = action.map_or_else(Defaults::default, |action| Defaults {
        namespace: Some(action.namespace.clone()),
        tenant: Some(action.tenant.clone()),
        provider: Some(action.provider.clone()),
        action_type: Some(action.action_type.clone()),
    });
    let id = || action.map_or_else(|| letter.id.clone(), |action| action.id.clone());
    decode::decode(&letter.raw)
        .and_then(|draft| draft.complete(&defaults, id, letter.created_at))
        .map_err(AdminError::NotReplayable)
}

fn is_final(outcome: &ActionOutcome) -> bool {
    let throttled = ThrottledPolicy::Retry;
    let broker = Policy::Broker { throttled };
    Disposition::of(outcome, broker, TimeLeft::Some) == Disposition::Ack
}

fn outcome_of(settled: Option<Settled>) -> Result<ActionOutcome, AdminError> {
    match settled {
        Some(Settled::Done(outcome) | Settled::Remembered(outcome)) => Ok(outcome),
        Some(Settled::Retry { after, refusal, .. }) => Err(AdminError::Refused { refusal, after }),
        // Nothing becomes a dead letter whose answer is waited for.
        Some(Settled::DeadLettered(_) | Settled::Later { .. }) | None => Err(AdminError::BrokenOff),
    }
}
