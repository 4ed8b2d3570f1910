//! A backend against the plain model: random interleavings of all that callers do with holds and limits, with answers
//! that are lost and calls that are done twice.
//!
//! Holds and windows end halfway between two units, and time passes in whole units. A real backend, which takes a
//! little time for each call, therefore agrees with the model about what has expired.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::state::{
    Claim, LimitAnswer, Quota, RateLimit, Recall, RememberedOutcome, Reservation,
    ReservationAnswer, ReservationEnd, Settlement, SettlementAnswer, StateKey, Token, WhenFull,
};
use acteon_core::{ActionOutcome, State};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::model::HoldsModel;
use super::{Pace, StateHarness};
use crate::contract::for_all;

/// In half units.
const LEASE: u32 = 5;
const TTL: u32 = 11;
const MEMORY: u32 = 7;
const WINDOW: u32 = 9;
const MAX_COUNT: u32 = 3;

/// One step of an interleaving. Numbers that refer to the past count from the newest.
#[derive(Clone, Debug)]
enum Step {
    /// A slice.
    Reserve(Vec<Asked>, Fate),
    /// The same again, under the same token.
    ReserveAgain(usize),
    Settle {
        which: usize,
        delivered: bool,
        remember: bool,
        fate: Fate,
    },
    Renew(usize, Fate),
    Limit(u8),
    /// Whole units.
    Pass(u32),
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    /// It is done, but its caller does not get the answer.
    AnswerLost,
    /// It is done twice, and its caller gets the second answer.
    DoneTwice,
}

/// What to reserve.
#[derive(Clone, Debug)]
struct Asked {
    /// Whether an outcome remembered under it is the answer.
    id: Option<(u8, Recall)>,
    keys: Vec<u8>,
    quotas: Vec<(u8, WhenFull)>,
}

/// A reservation that was made, granted or not.
#[derive(Clone)]
struct Made {
    reservation: Arc<Reservation>,
    /// In half units, when it expires unless renewed. `None` if it was not granted or has ended.
    until: Option<u32>,
}

fn steps(pace: Pace) -> impl Strategy<Value = Vec<Step>> {
    let fate = prop_oneof![
        6 => Just(Fate::Answered),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::DoneTwice),
    ];
    let settle = (0_usize..6, any::<bool>(), any::<bool>(), fate.clone());
    let settle = settle.prop_map(|(which, delivered, remember, fate)| Step::Settle {
        which,
        delivered,
        remember,
        fate,
    });
    let reserve = (proptest::collection::vec(asked(), 1..5), fate.clone());
    let step = prop_oneof![
        8 => reserve.prop_map(|(asked, fate)| Step::Reserve(asked, fate)),
        2 => (0_usize..6).prop_map(Step::ReserveAgain),
        8 => settle,
        2 => (0_usize..6, fate).prop_map(|(which, fate)| Step::Renew(which, fate)),
        1 => (0_u8..3).prop_map(Step::Limit),
        4 => (1_u32..4).prop_map(Step::Pass),
    ];
    let length = match pace {
        Pace::Virtual => 60,
        Pace::Real => 20,
    };
    proptest::collection::vec(step, 1..length)
}

fn asked() -> impl Strategy<Value = Asked> {
    let recall = prop_oneof![Just(Recall::Yes), Just(Recall::No)];
    let id = proptest::option::of((0_u8..4, recall));
    let keys = proptest::collection::btree_set(0_u8..4, 0..3);
    let when_full = prop_oneof![Just(WhenFull::Refuse), Just(WhenFull::Continue)];
    let quotas = proptest::collection::btree_map(0_u8..3, when_full, 0..3);
    (id, keys, quotas).prop_map(|(id, keys, quotas)| Asked {
        id,
        keys: keys.into_iter().collect(),
        quotas: quotas.into_iter().collect(),
    })
}

/// In whatever order the steps happen, backend and model give the same answers.
pub fn random_interleavings_follow_the_naive_model<H: StateHarness>(make: impl Fn() -> H) {
    for_all(H::PACE, &steps(H::PACE), |steps| {
        H::PACE.run(async {
            let harness = make();
            let state = harness.state().await;
            let mut walk = Walk {
                harness: &harness,
                state,
                model: HoldsModel::default(),
                now: 0,
                made: Vec::new(),
            };
            for step in &steps {
                walk.step(step).await?;
            }
            Ok(())
        })
    });
}

struct Walk<'a, H> {
    harness: &'a H,
    state: Arc<dyn State>,
    model: HoldsModel,
    /// In half units.
    now: u32,
    made: Vec<Made>,
}

impl<H: StateHarness> Walk<'_, H> {
    async fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Reserve(asked, fate) => {
                let asked: Vec<_> = asked.iter().map(reservation::<H>).collect();
                self.reserve(&asked, *fate).await
            }
            Step::ReserveAgain(which) => self.reserve_again(*which).await,
            Step::Settle {
                which,
                delivered,
                remember,
                fate,
            } => {
                let end = match delivered {
                    true => ReservationEnd::Confirm,
                    false => ReservationEnd::Release,
                };
                self.settle(*which, end, *remember, *fate).await
            }
            Step::Renew(which, fate) => self.renew(*which, *fate).await,
            Step::Limit(name) => self.limit(*name).await,
            Step::Pass(units) => {
                self.harness.pass(half_units::<H>(2 * units)).await;
                self.model.pass(half_units::<H>(2 * units));
                self.now += 2 * units;
                Ok(())
            }
        }
    }

    async fn reserve(&mut self, asked: &[Reservation], fate: Fate) -> Result<(), TestCaseError> {
        let lease = half_units::<H>(LEASE);
        let mut answers = answered(self.state.reserve(asked, lease).await)?;
        let mut expected = self.model_reserve(asked);
        if fate == Fate::DoneTwice {
            answers = answered(self.state.reserve(asked, lease).await)?;
            expected = self.model_reserve(asked);
        }
        if fate != Fate::AnswerLost {
            let answers: Vec<_> = answers.iter().map(describe).collect();
            prop_assert_eq!(&answers, &expected, "for {:?}", asked);
        }
        for (asked, answer) in asked.iter().zip(&expected) {
            let until = answer.starts_with("granted").then_some(self.now + LEASE);
            let reservation = Arc::new(asked.clone());
            self.made.retain(|one| one.reservation.token != asked.token);
            self.made.push(Made { reservation, until });
        }
        Ok(())
    }

    fn model_reserve(&mut self, asked: &[Reservation]) -> Vec<String> {
        let lease = half_units::<H>(LEASE);
        let answers = asked.iter().map(|one| self.model.reserve(one, lease));
        answers.map(|answer| describe(&answer)).collect()
    }

    /// Asks again under the same token, unless its lease has run out: then a backend need not know it any more.
    async fn reserve_again(&mut self, which: usize) -> Result<(), TestCaseError> {
        match self.nth_newest(which) {
            Some(made) if made.until.is_none_or(|until| self.now < until) => {
                let again = [Reservation::clone(&made.reservation)];
                self.reserve(&again, Fate::Answered).await
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Settles an earlier reservation, possibly for the second time, possibly too late, and possibly one that was never
    /// granted.
    async fn settle(
        &mut self,
        which: usize,
        end: ReservationEnd,
        remember: bool,
        fate: Fate,
    ) -> Result<(), TestCaseError> {
        let Some(made) = self.nth_newest(which) else {
            return Ok(());
        };
        // Up to this time a late settlement must still confirm. How much longer it may is up to the backend.
        if made.until.is_some_and(|until| self.now >= until + LEASE) {
            return Ok(());
        }
        let held = made.reservation;
        let token = held.token;
        let lease = held.lease.clone().filter(|_| remember);
        let settlement = Settlement {
            remember: lease.map(|under| RememberedOutcome {
                under,
                outcome: ActionOutcome::Suppressed {
                    rule: format!("{token:?}").into(),
                },
                ttl: half_units::<H>(MEMORY),
            }),
            ..Settlement::of(held, end)
        };
        let calls = if fate == Fate::DoneTwice { 2 } else { 1 };
        for _ in 0..calls {
            let answers = self.state.settle(std::slice::from_ref(&settlement)).await;
            prop_assert_eq!(answered(answers)?, [SettlementAnswer::Applied]);
            self.model.settle(&settlement);
        }
        let made = self.made.iter_mut();
        made.filter(|one| one.reservation.token == token)
            .for_each(|one| one.until = None);
        Ok(())
    }

    async fn renew(&mut self, which: usize, fate: Fate) -> Result<(), TestCaseError> {
        let Some(made) = self.nth_newest(which) else {
            return Ok(());
        };
        let lease = half_units::<H>(LEASE);
        let held = [made.reservation];
        let mut answers = answered(self.state.renew(&held, lease).await)?;
        let mut kept = self.model.renew(&held[0], lease);
        if fate == Fate::DoneTwice {
            answers = answered(self.state.renew(&held, lease).await)?;
            kept = self.model.renew(&held[0], lease);
        }
        if fate != Fate::AnswerLost {
            prop_assert_eq!(answers, [kept], "renewal of {:?}", held);
        }
        let until = self.now + LEASE;
        let made = self.made.iter_mut();
        let renewed = made.filter(|one| one.reservation.token == held[0].token);
        let renewed = renewed.filter(|one| kept && one.until.is_some_and(|end| self.now < end));
        renewed.for_each(|one| one.until = Some(until));
        Ok(())
    }

    async fn limit(&mut self, name: u8) -> Result<(), TestCaseError> {
        let limit = RateLimit {
            key: key("limit", name),
            max_count: MAX_COUNT,
            window: half_units::<H>(WINDOW),
        };
        let answers = answered(self.state.limit(std::slice::from_ref(&limit)).await)?;
        let expected = self.model.limit(&limit);
        let passed = |answer: &LimitAnswer| (answer.remaining, answer.retry_after.is_none());
        let answers: Vec<_> = answers.iter().map(passed).collect();
        prop_assert_eq!(answers, [passed(&expected)]);
        Ok(())
    }

    fn nth_newest(&self, which: usize) -> Option<Made> {
        self.made.iter().rev().nth(which).cloned()
    }
}

fn answered<T>(answer: Result<T, acteon_core::StateError>) -> Result<T, TestCaseError> {
    answer.map_err(|error| TestCaseError::fail(error.to_string()))
}

fn half_units<H: StateHarness>(count: u32) -> Duration {
    H::UNIT * count / 2
}

fn key(owner: &str, number: u8) -> StateKey {
    StateKey::new("ns", "t1", owner, &number.to_string())
}

fn reservation<H: StateHarness>(asked: &Asked) -> Reservation {
    let claim = |number: &u8| Claim {
        key: key("dedup", *number),
        ttl: half_units::<H>(TTL),
    };
    let quota = |(number, when_full): &(u8, WhenFull)| Quota {
        key: key("throttle", *number),
        max_count: MAX_COUNT,
        window: half_units::<H>(WINDOW),
        when_full: *when_full,
    };
    Reservation {
        token: Token::random(),
        lease: asked.id.as_ref().map(|(number, _)| key("", *number)),
        recall: asked
            .id
            .as_ref()
            .map(|(_, recall)| recall.clone())
            .unwrap_or_default(),
        claims: asked.keys.iter().map(claim).collect(),
        quotas: asked.quotas.iter().map(quota).collect(),
        step: None,
    }
}

fn describe(answer: &ReservationAnswer) -> String {
    match answer {
        ReservationAnswer::Granted(grant) => format!("granted, full {:b}", grant.full_quotas),
        ReservationAnswer::Busy(busy) => format!("busy {}", busy.key.as_str()),
        ReservationAnswer::Duplicate { claim } => format!("duplicate {claim}"),
        ReservationAnswer::Throttled { quota, .. } => format!("throttled {quota}"),
        ReservationAnswer::Remembered(outcome) => match &**outcome {
            ActionOutcome::Suppressed { rule } => format!("remembered {rule}"),
            other => format!("remembered {other:?}"),
        },
        ReservationAnswer::Full => "full".to_owned(),
        ReservationAnswer::Conflict(_) => unreachable!("nothing is written"),
    }
}
