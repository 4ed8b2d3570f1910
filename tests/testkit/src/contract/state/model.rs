//! Leases and claims against a naive model: random interleavings of reserve, settle, renew and time.
//!
//! Holds expire halfway between two units, and time passes in whole units. A real backend, which takes a little time
//! for each call, therefore agrees with the model about what has expired.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::ActionOutcome;
use acteon_core::state::{
    Claim, Recall, RememberedOutcome, Reservation, ReservationAnswer, ReservationEnd, Settlement,
    SettlementAnswer, StateKey, Token,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::{Pace, StateHarness};
use crate::contract::for_all;

/// In half units.
const LEASE: u32 = 5;
const TTL: u32 = 11;
const MEMORY: u32 = 7;

/// One step of an interleaving. Numbers that refer to the past count from the newest.
#[derive(Clone, Debug)]
enum Step {
    /// A slice.
    Reserve(Vec<Asked>),
    Settle {
        which: usize,
        delivered: bool,
        remember: bool,
    },
    Renew(usize),
    /// Whole units.
    Pass(u32),
}

/// An optional id, whether an outcome remembered under it is the answer, and some keys.
#[derive(Clone, Debug)]
struct Asked {
    id: Option<(u8, Recall)>,
    keys: Vec<u8>,
}

fn steps(pace: Pace) -> impl Strategy<Value = Vec<Step>> {
    let keys = proptest::collection::vec(0_u8..4, 0..3);
    let recall = prop_oneof![Just(Recall::Yes), Just(Recall::No)];
    let asked = (proptest::option::of((0_u8..4, recall)), keys);
    let asked = asked.prop_map(|(id, keys)| Asked { id, keys });
    let settle = (0_usize..6, any::<bool>(), any::<bool>());
    let step = prop_oneof![
        4 => proptest::collection::vec(asked, 1..5).prop_map(Step::Reserve),
        4 => settle.prop_map(|(which, delivered, remember)| Step::Settle {
            which,
            delivered,
            remember,
        }),
        1 => (0_usize..6).prop_map(Step::Renew),
        2 => (1_u32..4).prop_map(Step::Pass),
    ];
    let length = match pace {
        Pace::Virtual => 60,
        Pace::Real => 20,
    };
    proptest::collection::vec(step, 1..length)
}

/// In whatever order the steps happen, backend and model give the same answers.
pub fn random_interleavings_follow_the_naive_model<H: StateHarness>(make: impl Fn() -> H) {
    for_all(H::PACE, &steps(H::PACE), |steps| {
        H::PACE.run(async {
            let harness = make();
            let state = harness.state().await;
            let mut walk = Walk::new(&harness, state);
            for step in &steps {
                walk.step(step).await?;
            }
            Ok(())
        })
    });
}

/// The record under a key.
#[derive(Clone, Debug)]
enum Record {
    Pending(Token),
    Confirmed,
}

struct Walk<'a, H> {
    harness: &'a H,
    state: Arc<dyn acteon_core::State>,
    /// In half units.
    now: u32,
    /// With the half unit at which each expires.
    model: BTreeMap<StateKey, (Record, u32)>,
    /// Remembered outcomes, separate from the holds; with the half unit at which each expires.
    memory: BTreeMap<StateKey, (String, u32)>,
    /// With the half unit at which each expires unless renewed.
    held: Vec<(Arc<Reservation>, u32)>,
}

impl<'a, H: StateHarness> Walk<'a, H> {
    fn new(harness: &'a H, state: Arc<dyn acteon_core::State>) -> Self {
        Self {
            harness,
            state,
            now: 0,
            model: BTreeMap::new(),
            memory: BTreeMap::new(),
            held: Vec::new(),
        }
    }

    async fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Reserve(asked) => self.reserve(asked).await,
            Step::Settle {
                which,
                delivered,
                remember,
            } => {
                self.settle(*which, *delivered, *remember).await;
                Ok(())
            }
            Step::Renew(which) => self.renew(*which).await,
            Step::Pass(units) => {
                self.harness.pass(half_units::<H>(2 * units)).await;
                self.now += 2 * units;
                Ok(())
            }
        }
    }

    async fn reserve(&mut self, asked: &[Asked]) -> Result<(), TestCaseError> {
        let asked: Vec<_> = asked.iter().map(reservation::<H>).collect();
        let answers = self.state.reserve(&asked, half_units::<H>(LEASE)).await;
        let answers = answers.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(answers.len(), asked.len());
        for (asked, answer) in asked.into_iter().zip(answers) {
            let expected = self.expected(&asked);
            prop_assert_eq!(describe(&answer), expected, "for {:?}", asked);
            if let ReservationAnswer::Granted(_) = answer {
                let until = self.now + LEASE;
                for key in names(&asked) {
                    self.model
                        .insert(key.clone(), (Record::Pending(asked.token), until));
                }
                self.held.push((Arc::new(asked), until));
            }
        }
        Ok(())
    }

    /// The answer of the model.
    fn expected(&self, asked: &Reservation) -> String {
        let recalled = match &asked.recall {
            Recall::No => None,
            Recall::Yes => asked.lease.as_ref(),
            Recall::Under(key) => Some(key),
        };
        let remembered = recalled.and_then(|key| self.memory.get(key));
        if let Some((outcome, _)) = remembered.filter(|(_, until)| self.now < *until) {
            return format!("remembered {outcome}");
        }
        let in_force = |key| self.model.get(key).filter(|(_, until)| self.now < *until);
        for (at, key) in names(asked).enumerate() {
            match in_force(key) {
                None => {}
                Some((Record::Pending(_), _)) => return format!("busy {}", key.as_str()),
                Some((Record::Confirmed, _)) => {
                    return format!("duplicate {}", at - usize::from(asked.lease.is_some()));
                }
            }
        }
        "granted".to_owned()
    }

    /// Settles an earlier hold, possibly for the second time, possibly too late.
    async fn settle(&mut self, which: usize, delivered: bool, remember: bool) {
        let Some((held, until)) = self.nth_newest(which) else {
            return;
        };
        // Up to this time a late settlement must still confirm. How much longer it may is up to the backend.
        if self.now >= until + LEASE {
            return;
        }
        let rule = format!("{:?}", held.token);
        let outcome = ActionOutcome::Suppressed {
            rule: rule.as_str().into(),
        };
        let end = match delivered {
            true => ReservationEnd::Confirm,
            false => ReservationEnd::Release,
        };
        let settlement = Settlement {
            remember: held
                .lease
                .clone()
                .filter(|_| remember)
                .map(|under| RememberedOutcome {
                    under,
                    outcome,
                    ttl: half_units::<H>(MEMORY),
                }),
            ..Settlement::of(held.clone(), end)
        };
        let answers = self.state.settle(&[settlement]).await.expect("settled");
        assert_eq!(answers, [SettlementAnswer::Applied]);
        for key in names(&held) {
            if !self.is_pending(key, held.token) {
                continue;
            }
            let is_lease = held.lease.as_ref() == Some(key);
            if is_lease && remember {
                let entry = (rule.clone(), self.now + MEMORY);
                self.memory.insert(key.clone(), entry);
            }
            if delivered && !is_lease {
                let entry = (Record::Confirmed, self.now + TTL);
                self.model.insert(key.clone(), entry);
            } else {
                self.model.remove(key);
            }
        }
    }

    fn is_pending(&self, key: &StateKey, token: Token) -> bool {
        matches!(self.model.get(key), Some((Record::Pending(holder), _)) if *holder == token)
    }

    async fn renew(&mut self, which: usize) -> Result<(), TestCaseError> {
        let Some((held, _)) = self.nth_newest(which) else {
            return Ok(());
        };
        let answer = self
            .state
            .renew(std::slice::from_ref(&held), half_units::<H>(LEASE))
            .await;
        let answer = answer.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let now = self.now;
        let until = now + LEASE;
        let mut all = true;
        for key in names(&held) {
            match self.model.get_mut(key) {
                Some((Record::Pending(holder), end)) if *holder == held.token && now < *end => {
                    *end = until;
                }
                _ => all = false,
            }
        }
        prop_assert_eq!(answer, [all], "renewal of {:?}", held);
        if let Some(entry) = self
            .held
            .iter_mut()
            .find(|(one, _)| one.token == held.token)
        {
            entry.1 = if all { until } else { entry.1 };
        }
        Ok(())
    }

    fn nth_newest(&self, which: usize) -> Option<(Arc<Reservation>, u32)> {
        self.held.iter().rev().nth(which).cloned()
    }
}

fn half_units<H: StateHarness>(count: u32) -> Duration {
    H::UNIT * count / 2
}

/// The lease and the claims, each once.
fn names(asked: &Reservation) -> impl Iterator<Item = &StateKey> {
    asked
        .lease
        .iter()
        .chain(asked.claims.iter().map(|claim| &claim.key))
}

fn reservation<H: StateHarness>(asked: &Asked) -> Reservation {
    let key = |owner, n: u8| StateKey::new("ns", "t1", owner, &n.to_string());
    let Asked { id, mut keys } = asked.clone();
    keys.sort_unstable();
    keys.dedup();
    Reservation {
        token: Token::random(),
        lease: id.as_ref().map(|(n, _)| key("", *n)),
        claims: keys
            .iter()
            .map(|n| Claim {
                key: key("dedup", *n),
                ttl: half_units::<H>(TTL),
            })
            .collect(),
        quotas: Vec::new(),
        recall: id.map(|(_, recall)| recall).unwrap_or_default(),
    }
}

fn describe(answer: &ReservationAnswer) -> String {
    match answer {
        ReservationAnswer::Granted(_) => "granted".to_owned(),
        ReservationAnswer::Busy(busy) => format!("busy {}", busy.key.as_str()),
        ReservationAnswer::Duplicate { claim } => format!("duplicate {claim}"),
        ReservationAnswer::Remembered(outcome) => match &**outcome {
            ActionOutcome::Suppressed { rule } => format!("remembered {rule}"),
            other => format!("remembered {other:?}"),
        },
        other => format!("{other:?}"),
    }
}
