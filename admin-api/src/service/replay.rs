//! Submits a dead letter's action to the pipeline again, under its original id.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::decode::{self, Defaults};
use acteon_core::delivery::Position;
use acteon_core::event_admin::is_notice_source;
use acteon_core::reply::Replies;
use acteon_core::state::{GROUP_NOTIFICATION, ReservationEnd, SUMMARY_STREAM};
use acteon_core::{
    Action, ActionOutcome, Caller, DeadLetter, Delivery, DeliveryProgress, Disposition, Envelope,
    Feed, History, Memory, Policy, Receipt, Refusal, Scope, Settled, ThrottledPolicy, TimeLeft,
};
use bytes::Bytes;
use compact_str::CompactString;
use serde_json::json;

use super::changes::{Change, CompletedChange, REPLAY_LETTER};
use super::letter_claim::LetterClaim;
use super::{ADMISSION_TIMEOUT, Access, AdminApi, AdminError};
use crate::events;

/// How long a client waits before it retries a replay that was not admitted.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The result of a replay.
#[derive(Clone, Debug)]
pub struct ReplayResult {
    /// The id of the letter.
    pub id: CompactString,
    /// The id of its action.
    pub action_id: CompactString,
    /// The outcome of its action.
    pub outcome: ActionOutcome,
    /// False if the letter remains, because the outcome is not final or the letter could not be deleted.
    pub deleted: bool,
}

impl AdminApi {
    /// Decides and delivers a dead letter's action again, under its original id. Deletes the letter if the outcome is
    /// final: not if it would make a broker's action wait or become a dead letter.
    ///
    /// # Errors
    /// There is no such letter inside the scope, another replay delivers it now, it still cannot be decoded, or the
    /// pipeline does not admit it now.
    pub async fn replay(&self, access: &Access, id: &str) -> Result<ReplayResult, AdminError> {
        let letter = self.letter(&access.scope, id).await?;
        let change = Change::of_letter(REPLAY_LETTER, &letter);
        let api = self.clone();
        let access = access.clone();
        let caller = access.caller.clone();
        let work = async move {
            let result = api.replay_once(&access, &letter).await?;
            let details = json!({
                "dead_letter_id": result.id,
                "action_id": result.action_id,
                "outcome": result.outcome.name(),
            });
            Ok(CompletedChange {
                outcome: "replayed",
                details,
                answer: result,
            })
        };
        self.change(caller, change, work).await
    }

    /// Replays a letter unless another request does.
    async fn replay_once(
        &self,
        access: &Access,
        letter: &DeadLetter,
    ) -> Result<ReplayResult, AdminError> {
        let claim = LetterClaim::take(&self.ports.state, &letter.id).await?;
        let Some(claim) = claim else {
            // The letter was delivered before, and only its deletion failed.
            return Ok(ReplayResult {
                id: letter.id.clone(),
                action_id: action_id(letter),
                outcome: ActionOutcome::Deduplicated(()),
                deleted: self.delete_replayed(&access.scope, &letter.id).await,
            });
        };
        let result = claim
            .hold_during(self.replay_claimed(access, &letter.id))
            .await;
        let end = match &result {
            Ok(result) if is_final(&result.outcome) && !result.deleted => ReservationEnd::Confirm,
            _ => ReservationEnd::Release,
        };
        claim.end(end).await;
        result
    }

    async fn replay_claimed(&self, access: &Access, id: &str) -> Result<ReplayResult, AdminError> {
        // A replay that ended before this claim may have deleted the letter.
        let letter = self.letter(&access.scope, id).await?;
        let replayed = ReplayedAction::of(&letter)?;
        let action_id = replayed.action.id.clone();
        let caller = access.caller.clone();
        let (outcome, progress) = self.deliver(&letter, replayed, caller).await?;
        let deleted = is_final(&outcome) && self.delete_replayed(&access.scope, id).await;
        if let Some(progress) = progress
            && !deleted
        {
            self.keep_progress(&access.scope, id, &progress).await;
        }
        Ok(ReplayResult {
            id: letter.id.clone(),
            action_id,
            outcome,
            deleted,
        })
    }

    async fn deliver(
        &self,
        letter: &DeadLetter,
        replayed: ReplayedAction,
        caller: Caller,
    ) -> Result<(ActionOutcome, Option<DeliveryProgress>), AdminError> {
        let admission = &self.ports.admission;
        let admitted = admission.admit_within(1, letter.raw.len() as u64, ADMISSION_TIMEOUT);
        let permit = admitted.await.ok_or(AdminError::Refused {
            refusal: Refusal::Overloaded,
            after: RETRY_AFTER,
        })?;
        let (replies, answer) = Replies::expect(1);
        let envelope = self.envelope(letter, replayed, caller);
        let delivery = Delivery::new(envelope, Receipt::new(replies, 0), permit);
        let feed = Feed::default();
        self.ports.intake.submit(vec![delivery], &feed).await;
        let settled = answer.await.ok().and_then(|mut settled| settled.pop());
        outcome_of(settled)
    }

    fn envelope(&self, letter: &DeadLetter, replayed: ReplayedAction, caller: Caller) -> Envelope {
        Envelope {
            action: replayed.action,
            // An id of a producer is leased, so that no other request with this id is delivered meanwhile.
            id_given: replayed.id_given,
            position: Position {
                stream: Arc::from(format!("replay:{}", letter.source)),
                offset: None,
            },
            caller,
            received_at: self.ports.clock.now(),
            raw: Bytes::clone(&letter.raw),
            key: None,
            memory: Memory::Own,
            history: self.history(letter),
            policy: Policy::Replay,
        }
    }

    /// A history with the progress of a partly delivered action.
    fn history(&self, letter: &DeadLetter) -> Option<Box<History>> {
        let progress = letter.action.as_ref()?.progress.clone()?;
        let mut history = History::beginning(self.ports.clock.now());
        history.progress = Some(progress);
        Some(Box::new(history))
    }

    /// Keeps the progress for the next replay, which would otherwise deliver the accepted parts again.
    async fn keep_progress(&self, scope: &Scope, id: &str, progress: &DeliveryProgress) {
        if let Err(error) = self.ports.state.set_progress(scope, id, progress).await {
            events::progress_not_kept(id, &error);
        }
    }

    /// Deletes a letter whose outcome is final.
    async fn delete_replayed(&self, scope: &Scope, id: &str) -> bool {
        match self.ports.state.delete_dead_letter(scope, id).await {
            Ok(_) => true,
            Err(error) => {
                events::letter_not_deleted(id, &error);
                false
            }
        }
    }
}

/// The action of a letter.
struct ReplayedAction {
    action: Action,
    /// As in the first attempts, so that the replay has their idempotency key.
    id_given: bool,
}

impl ReplayedAction {
    /// Decodes a letter's bytes. The letter has the defaults that its source filled in.
    fn of(letter: &DeadLetter) -> Result<Self, AdminError> {
        let action = letter.action.as_ref();
        let defaults = action.map_or_else(Defaults::default, |action| Defaults {
            namespace: Some(action.namespace.clone()),
            tenant: Some(action.tenant.clone()),
            provider: Some(action.provider.clone()),
            action_type: Some(action.action_type.clone()),
        });
        let draft = decode::decode(&letter.raw).map_err(AdminError::NotReplayable)?;
        let id_given = draft.has_id() && !is_summary(letter);
        let completed = draft.complete(&defaults, || action_id(letter), letter.created_at);
        let mut replayed = completed.map_err(AdminError::NotReplayable)?;
        // No rule chooses the provider of such a notice, and only this one has not accepted it.
        if let Some(action) = action.filter(|_| is_notice_source(&letter.source)) {
            replayed.provider = action.provider.clone();
        }
        Ok(Self {
            action: replayed,
            id_given,
        })
    }
}

/// True for the summary of a group, whose id is generated.
fn is_summary(letter: &DeadLetter) -> bool {
    let action = letter.action.as_ref();
    action.is_some_and(|action| action.action_type == GROUP_NOTIFICATION)
        && letter.source.starts_with(SUMMARY_STREAM)
}

/// The id of a letter's action if the bytes have none.
fn action_id(letter: &DeadLetter) -> CompactString {
    let action = letter.action.as_ref();
    action.map_or_else(|| letter.id.clone(), |action| action.id.clone())
}

fn is_final(outcome: &ActionOutcome) -> bool {
    let throttled = ThrottledPolicy::Retry;
    let broker = Policy::Broker { throttled };
    Disposition::of(outcome, broker, TimeLeft::Some) == Disposition::Ack
}

/// The outcome, and the progress of an action that is not delivered as a whole.
fn outcome_of(
    settled: Option<Settled>,
) -> Result<(ActionOutcome, Option<DeliveryProgress>), AdminError> {
    match settled {
        Some(Settled::Done(outcome) | Settled::Remembered(outcome)) => Ok((outcome, None)),
        Some(Settled::Partly { outcome, progress }) => Ok((outcome, Some(progress))),
        Some(Settled::Retry { after, refusal, .. }) => Err(AdminError::Refused { refusal, after }),
        // An action whose caller waits is never redelivered and never becomes a dead letter.
        Some(Settled::DeadLettered(_) | Settled::Later { .. }) | None => Err(AdminError::Aborted),
    }
}
