//! The backend under test, with short names for the operations that clauses use.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::scope::Scope;
use acteon_core::state::{
    ActiveEventQuestion, Answer, Carrying, Claim, DeadLetterQuery, EventPhase, EventStateQuestion,
    Grant, LimitAnswer, Question, Quota, RateLimit, Recall, RememberedOutcome, Reservation,
    ReservationAnswer, ReservationEnd, Settlement, SettlementAnswer, StateKey, Tally, TallyCount,
    Token, WhenFull,
};
use acteon_core::{ActionOutcome, DeadLetter, LetterFilter, State};
use jiff::Timestamp;

use super::StateHarness;
use crate::events::{Event, write_events};

/// The length of a lease, in units.
pub(super) const LEASE: u32 = 4;
/// How long a delivery is remembered, in units.
pub(super) const TTL: u32 = 10;
/// The window of quotas and tallies, in units.
pub(super) const WINDOW: u32 = 10;

pub(super) struct Subject<'a, H> {
    harness: &'a H,
    pub(super) state: Arc<dyn State>,
}

impl<'a, H: StateHarness> Subject<'a, H> {
    pub(super) async fn of(harness: &'a H) -> Self {
        let state = harness.state().await;
        Self { harness, state }
    }

    /// The same clause with another handle.
    pub(super) fn through(&self, state: Arc<dyn State>) -> Self {
        let harness = self.harness;
        Self { harness, state }
    }

    /// Reserves each under a new token.
    pub(super) async fn reserve(&self, asked: &[Reservation]) -> Vec<ReservationAnswer> {
        let named: Vec<_> = asked.iter().map(named).collect();
        self.reserve_named(&named).await
    }

    /// Reserves under the tokens that the reservations have.
    pub(super) async fn reserve_named(&self, asked: &[Reservation]) -> Vec<ReservationAnswer> {
        let lease = H::UNIT * LEASE;
        let answers = self.state.reserve(asked, lease).await.expect("an answer");
        assert_eq!(answers.len(), asked.len(), "one answer for each question");
        answers
    }

    pub(super) async fn ask(&self, asked: &Reservation) -> ReservationAnswer {
        self.reserve(std::slice::from_ref(asked)).await.remove(0)
    }

    /// Asks once more under the same token.
    pub(super) async fn ask_again(&self, asked: &Reservation) -> ReservationAnswer {
        self.reserve_named(std::slice::from_ref(asked))
            .await
            .remove(0)
    }

    /// Reserves, and fails the clause if the reservation is refused.
    pub(super) async fn take(&self, asked: &Reservation) -> Arc<Reservation> {
        self.take_granted(asked).await.0
    }

    /// Reserves, and returns the grant too.
    pub(super) async fn take_granted(&self, asked: &Reservation) -> (Arc<Reservation>, Grant) {
        let asked = named(asked);
        match self.ask_again(&asked).await {
            ReservationAnswer::Granted(grant) => (Arc::new(asked), grant),
            refused => panic!("expected a grant, but got {refused:?}"),
        }
    }

    pub(super) async fn settle(&self, settlement: Settlement) {
        self.settle_all(&[settlement]).await;
    }

    /// Settles these, and fails the clause if a letter does not fit.
    pub(super) async fn settle_all(&self, settlements: &[Settlement]) {
        let refused = self.refused(settlements).await;
        assert!(refused.is_empty(), "no room for the letters of {refused:?}");
    }

    /// Settles these. Returns the positions of those for which there is no room.
    pub(super) async fn refused(&self, settlements: &[Settlement]) -> Vec<usize> {
        let answers = self.state.settle(settlements).await.expect("settled");
        assert_eq!(answers.len(), settlements.len(), "one answer for each");
        let refused = answers.iter().enumerate();
        let refused = refused.filter(|(_, answer)| **answer == SettlementAnswer::NoRoom);
        refused.map(|(position, _)| position).collect()
    }

    pub(super) async fn deliver(&self, held: &Arc<Reservation>) {
        self.settle(delivered(held)).await;
    }

    pub(super) async fn fail(&self, held: &Arc<Reservation>) {
        self.settle(failed(held)).await;
    }

    pub(super) async fn dead_letter(&self, letter: &Arc<DeadLetter>) {
        self.settle(stored_letter(letter)).await;
    }

    pub(super) async fn renew(&self, held: &Arc<Reservation>) -> bool {
        let held = std::slice::from_ref(held);
        let kept = self
            .state
            .renew(held, H::UNIT * LEASE)
            .await
            .expect("an answer");
        assert_eq!(kept.len(), 1, "one answer for each question");
        kept[0]
    }

    /// Asks for one place under each of these limits.
    pub(super) async fn limit(&self, limits: &[RateLimit]) -> Vec<LimitAnswer> {
        let answers = self.state.limit(limits).await.expect("answers");
        assert_eq!(answers.len(), limits.len(), "one answer for each");
        answers
    }

    /// The total of a page, where the backend has totals.
    pub(super) fn total(&self, count: u64) -> Option<u64> {
        self.state.capabilities().totals.then_some(count)
    }

    pub(super) async fn gather(&self, questions: &[Question]) -> Vec<Answer> {
        let gathered = self.state.gather(questions).await.expect("answers");
        let answers = gathered.answers;
        assert_eq!(answers.len(), questions.len(), "one for each question");
        answers
    }

    /// The time by the backend's clock.
    pub(super) async fn now(&self) -> Timestamp {
        self.state.gather(&[]).await.expect("the time").now
    }

    pub(super) async fn count(&self, tally: &Tally) {
        self.settle(counting(std::slice::from_ref(tally))).await;
    }

    pub(super) async fn tallied(&self, tally: &Tally) -> TallyCount {
        let question = Question::Tally(tally.clone());
        match self.gather(&[question]).await.remove(0) {
            Answer::Tally(tallied) => tallied,
            other => panic!("expected a tally, but got {other:?}"),
        }
    }

    /// Writes these, whatever they were before.
    pub(super) async fn write(&self, events: &[Event]) {
        write_events(&*self.state, events).await.expect("written");
    }

    pub(super) async fn state_of(&self, event: &Event) -> Option<String> {
        match self.gather(&[state_of(event)]).await.remove(0) {
            Answer::EventState(state) => state.map(Into::into),
            other => panic!("expected a state, but got {other:?}"),
        }
    }

    /// Whether an event of this type, and with this value, is active in `ns`/`t1`.
    pub(super) async fn is_active(&self, event_type: &str, value: Option<&str>) -> bool {
        let question = active("ns", "t1", event_type, value);
        self.gather(&[question]).await[0] == Answer::ActiveEvent(true)
    }

    /// Lets this many units pass.
    pub(super) async fn pass(&self, units: f64) {
        self.harness.pass(H::UNIT.mul_f64(units)).await;
    }
}

pub(super) fn delivered(held: &Arc<Reservation>) -> Settlement {
    Settlement::of(held.clone(), ReservationEnd::Confirm)
}

pub(super) fn failed(held: &Arc<Reservation>) -> Settlement {
    Settlement::of(held.clone(), ReservationEnd::Release)
}

pub(super) fn remembered(
    held: &Arc<Reservation>,
    outcome: &ActionOutcome,
    time: Duration,
) -> Settlement {
    Settlement {
        remember: held.lease.clone().map(|under| RememberedOutcome {
            under,
            outcome: outcome.clone(),
            ttl: time,
        }),
        ..delivered(held)
    }
}

pub(super) fn stored_letter(letter: &Arc<DeadLetter>) -> Settlement {
    Settlement::storing(letter.clone())
}

/// A settlement that only counts.
pub(super) fn counting(tallies: &[Tally]) -> Settlement {
    Settlement::counting(tallies.to_vec())
}

/// A tally of `ns`/`t1` over [`WINDOW`].
pub(super) fn tally<H: StateHarness>(name: &str) -> Tally {
    Tally {
        key: StateKey::new("ns", "t1", "", name),
        within: H::UNIT * WINDOW,
    }
}

/// An active event of `ns`/`t1` in the state `open`, of the type `outage`, with these values.
pub(super) fn event(fingerprint: &str, values: &[&str]) -> Event {
    Event {
        namespace: "ns".into(),
        tenant: "t1".into(),
        fingerprint: fingerprint.into(),
        event_type: "outage".into(),
        state: "open".into(),
        phase: EventPhase::Active,
        values: values.iter().copied().map(Into::into).collect(),
    }
}

/// The same event after its end: in the state `closed`, and kept for `retention`.
pub(super) fn ended(event: &Event, retention: Duration) -> Event {
    Event {
        state: "closed".into(),
        phase: EventPhase::Ended(retention),
        ..event.clone()
    }
}

pub(super) fn state_of(event: &Event) -> Question {
    Question::EventState(EventStateQuestion {
        event: event.id().key(),
        grace: Duration::ZERO,
    })
}

pub(super) fn active(
    namespace: &str,
    tenant: &str,
    event_type: &str,
    value: Option<&str>,
) -> Question {
    Question::ActiveEvent(ActiveEventQuestion {
        event_type: StateKey::new(namespace, tenant, "", event_type),
        carrying: value.map_or(Carrying::Anything, |value| Carrying::Value(value.into())),
        grace: Duration::ZERO,
    })
}

pub(super) fn all_letters(scope: Scope) -> DeadLetterQuery {
    DeadLetterQuery {
        scope,
        filter: LetterFilter::default(),
        after: None,
        limit: 1000,
    }
}

/// A lease on this id, as for a broker's action: a remembered outcome is not the answer.
pub(super) fn id(name: &str) -> Reservation {
    Reservation {
        lease: Some(StateKey::new("ns", "t1", "", name)),
        ..Reservation::default()
    }
}

/// A lease on this id, or the outcome remembered under it.
pub(super) fn recalling(name: &str) -> Reservation {
    Reservation {
        recall: Recall::Yes,
        ..id(name)
    }
}

/// A claim on this dedup key, remembered for [`TTL`].
pub(super) fn key<H: StateHarness>(name: &str) -> Reservation {
    Reservation {
        claims: [Claim {
            key: StateKey::new("ns", "t1", "dedup", name),
            ttl: H::UNIT * TTL,
        }]
        .into(),
        ..Reservation::default()
    }
}

/// A place in this quota, of `max_count` per [`WINDOW`].
pub(super) fn place<H: StateHarness>(name: &str, max_count: u32) -> Reservation {
    Reservation {
        quotas: vec![Quota {
            key: StateKey::new("ns", "t1", "throttle", name),
            max_count,
            window: H::UNIT * WINDOW,
            when_full: WhenFull::Refuse,
        }],
        ..Reservation::default()
    }
}

/// The same, but the reservation continues if the quota is full.
pub(super) fn continuing<H: StateHarness>(name: &str, max_count: u32) -> Reservation {
    let mut reservation = place::<H>(name, max_count);
    reservation.quotas[0].when_full = WhenFull::Continue;
    reservation
}

/// The same under a new token.
pub(super) fn named(asked: &Reservation) -> Reservation {
    Reservation {
        token: Token::random(),
        ..asked.clone()
    }
}

/// One reservation with everything that these need.
pub(super) fn all(parts: &[Reservation]) -> Reservation {
    let mut whole = Reservation::default();
    for part in parts {
        whole.lease = whole.lease.or_else(|| part.lease.clone());
        whole.claims.extend(part.claims.iter().cloned());
        whole.quotas.extend(part.quotas.iter().cloned());
    }
    whole
}

#[track_caller]
pub(super) fn assert_granted(answer: &ReservationAnswer) {
    assert!(
        matches!(answer, ReservationAnswer::Granted(_)),
        "expected a grant, but got {answer:?}"
    );
}

#[track_caller]
pub(super) fn assert_remembered(answer: &ReservationAnswer) {
    assert!(
        matches!(answer, ReservationAnswer::Remembered(_)),
        "expected the outcome again, but got {answer:?}"
    );
}

#[track_caller]
pub(super) fn assert_busy(answer: &ReservationAnswer, key: &StateKey) {
    let is_busy = matches!(answer, ReservationAnswer::Busy(busy) if busy.key == *key);
    assert!(is_busy, "expected {key:?} to be busy, but got {answer:?}");
}

#[track_caller]
pub(super) fn assert_duplicate(answer: &ReservationAnswer, which: usize) {
    let is_duplicate = matches!(answer, ReservationAnswer::Duplicate { claim } if *claim == which);
    assert!(
        is_duplicate,
        "expected claim {which} to be a duplicate, but got {answer:?}"
    );
}

#[track_caller]
pub(super) fn assert_throttled(answer: &ReservationAnswer, which: usize) -> Duration {
    match answer {
        ReservationAnswer::Throttled { quota, retry_after } if *quota == which => *retry_after,
        _ => panic!("expected quota {which} to be full, but got {answer:?}"),
    }
}
