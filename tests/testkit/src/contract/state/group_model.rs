//! Groups against a naive model: random interleavings of members, flushes, lost holders, lost answers and time.
//!
//! Everything falls due halfway between two units, and time passes in whole units. A real backend, which takes a little
//! time for each call, therefore agrees with the model about what is due.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::State;
use acteon_core::state::{
    EARLY_SEALS_MAX, Grant, GroupAppend, GroupEnd, GroupFinish, GroupTiming, HeldGroup,
    Reservation, ReservationAnswer, StepAnswer, StoredGroup, Token,
};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::groups::{group, joining, member};
use super::{Pace, StateHarness};
use crate::contract::for_all;

/// In half units.
const WAIT: u32 = 5;
const INTERVAL: u32 = 15;
const LEASE: u32 = 7;
const RELEASE: u32 = 3;
const SIZE: usize = 3;

/// One step of an interleaving. Numbers that refer to the past count from the newest.
#[derive(Clone, Debug)]
enum Walking {
    /// Members join keys, perhaps with a call whose answer was lost and that is made again.
    Join(Vec<(u8, u8)>, Calls),
    /// Due groups are taken, perhaps by someone who then dies.
    Take(Calls, Holder),
    Finish(usize, Ending, Calls),
    Renew(usize),
    /// Whole units.
    Pass(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calls {
    Once,
    Twice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Lives,
    Dies,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Close,
    Release,
}

fn steps(pace: Pace) -> impl Strategy<Value = Vec<Walking>> {
    let calls = || prop_oneof![3 => Just(Calls::Once), 1 => Just(Calls::Twice)];
    let holder = prop_oneof![3 => Just(Holder::Lives), 1 => Just(Holder::Dies)];
    let ending = prop_oneof![Just(Ending::Close), Just(Ending::Release)];
    let members = proptest::collection::vec((0_u8..3, 0_u8..20), 1..6);
    let step = prop_oneof![
        5 => (members, calls()).prop_map(|(members, calls)| Walking::Join(members, calls)),
        3 => (calls(), holder).prop_map(|(calls, holder)| Walking::Take(calls, holder)),
        4 => (0_usize..4, ending, calls()).prop_map(|(which, end, calls)| Walking::Finish(which, end, calls)),
        1 => (0_usize..4).prop_map(Walking::Renew),
        3 => (1_u32..4).prop_map(Walking::Pass),
    ];
    let length = match pace {
        Pace::Virtual => 60,
        Pace::Real => 15,
    };
    proptest::collection::vec(step, 1..length)
}

/// In whatever order the steps happen, backend and model give the same answers, and in the end each member is in exactly
/// one group that was closed.
pub fn every_member_is_in_exactly_one_group_as_in_the_naive_model<H: StateHarness>(
    make: impl Fn() -> H,
) {
    for_all(H::PACE, &steps(H::PACE), |steps| {
        H::PACE.run(async {
            let harness = make();
            let state = harness.state().await;
            let mut walk = Walk::new(&harness, state);
            for step in &steps {
                walk.step(step).await?;
            }
            walk.drain().await
        })
    });
}

/// A group of the model.
#[derive(Clone, Debug)]
struct ModelGroup {
    id: String,
    members: Vec<String>,
    /// The half unit at which it is due.
    due: u32,
    holder: Option<Token>,
}

/// The groups of a key.
#[derive(Debug, Default)]
struct ModelKey {
    open: Option<ModelGroup>,
    sealed: Option<ModelGroup>,
    closed: Vec<ModelGroup>,
    quiet_until: u32,
    early: Vec<u32>,
}

impl ModelKey {
    fn all(&self) -> impl Iterator<Item = &ModelGroup> {
        self.open.iter().chain(&self.sealed).chain(&self.closed)
    }

    /// What a member joins: the id of its group and its size.
    fn join(&mut self, member: &str, new_id: String, now: u32) -> (String, usize) {
        let is_in = |group: &&ModelGroup| group.members.iter().any(|known| known == member);
        if let Some(group) = self.all().find(is_in) {
            return (group.id.clone(), group.members.len());
        }
        let due = (now + WAIT).max(self.quiet_until);
        let open = self.open.get_or_insert_with(|| ModelGroup {
            id: new_id,
            members: Vec::new(),
            due,
            holder: None,
        });
        open.members.push(member.to_owned());
        let joined = (open.id.clone(), open.members.len());
        self.seal_if_full(now);
        joined
    }

    fn close(&mut self, now: u32) {
        self.closed.extend(self.sealed.take());
        self.seal_if_full(now);
    }

    fn seal_if_full(&mut self, now: u32) {
        self.early.retain(|seal| seal + INTERVAL > now);
        let may_seal = self.sealed.is_none() && self.early.len() < EARLY_SEALS_MAX;
        let open = self.open.as_ref();
        if may_seal && open.is_some_and(|open| open.members.len() >= SIZE) {
            self.early.push(now);
            self.seal(now);
        }
    }

    fn seal(&mut self, now: u32) {
        self.sealed = self.open.take();
        self.quiet_until = now + INTERVAL;
        if let Some(sealed) = &mut self.sealed {
            sealed.due = now;
        }
    }

    /// Takes the group that is due, if there is one.
    fn take(&mut self, token: Token, now: u32) -> Option<&ModelGroup> {
        let is_open_due = self.open.as_ref().is_some_and(|open| open.due <= now);
        if self.sealed.is_none() && is_open_due {
            self.seal(now);
        }
        let sealed = self.sealed.as_mut().filter(|sealed| sealed.due <= now)?;
        sealed.holder = Some(token);
        sealed.due = now + LEASE;
        Some(sealed)
    }
}

struct Walk<'a, H> {
    harness: &'a H,
    state: Arc<dyn State>,
    /// In half units.
    now: u32,
    model: BTreeMap<u8, ModelKey>,
    held: Vec<(u8, HeldGroup)>,
    opened: u32,
}

impl<'a, H: StateHarness> Walk<'a, H> {
    fn new(harness: &'a H, state: Arc<dyn State>) -> Self {
        Self {
            harness,
            state,
            now: 0,
            model: BTreeMap::new(),
            held: Vec::new(),
            opened: 0,
        }
    }

    async fn step(&mut self, step: &Walking) -> Result<(), TestCaseError> {
        match step {
            Walking::Join(members, calls) => self.join(members, *calls).await,
            Walking::Take(calls, holder) => self.take(*calls, *holder).await,
            Walking::Finish(which, end, calls) => self.finish(*which, *end, *calls).await,
            Walking::Renew(which) => self.renew(*which).await,
            Walking::Pass(units) => {
                self.harness.pass(half_units::<H>(2 * units)).await;
                self.now += 2 * units;
                Ok(())
            }
        }
    }

    async fn join(&mut self, members: &[(u8, u8)], calls: Calls) -> Result<(), TestCaseError> {
        let mut asked = Vec::new();
        let mut expected = Vec::new();
        for (key, id) in members {
            self.opened += 1;
            let append = append::<H>(*key, *id, self.opened);
            let new_id = append.new_id.to_string();
            let of_key = self.model.entry(*key).or_default();
            expected.push(of_key.join(&append.member.id, new_id, self.now));
            asked.push(Reservation {
                token: Token::random(),
                ..joining(append)
            });
        }
        let answers = self.reserve(&asked).await?;
        prop_assert_eq!(&answers, &expected);
        if calls == Calls::Twice {
            let again = self.reserve(&asked).await?;
            let ids = |answers: &[(String, usize)]| -> Vec<_> {
                answers.iter().map(|(id, _)| id.clone()).collect()
            };
            prop_assert_eq!(ids(&again), ids(&expected));
        }
        Ok(())
    }

    async fn reserve(&self, asked: &[Reservation]) -> Result<Vec<(String, usize)>, TestCaseError> {
        let answers = self.state.reserve(asked, half_units::<H>(LEASE)).await;
        let joined =
            answers
                .map_err(|error| failed(&error))?
                .into_iter()
                .map(|answer| match answer {
                    ReservationAnswer::Granted(Grant {
                        step: Some(StepAnswer::Appended(joined)),
                        ..
                    }) => Ok((joined.group_id.to_string(), joined.size as usize)),
                    other => Err(TestCaseError::fail(format!("{other:?}"))),
                });
        joined.collect()
    }

    async fn take(&mut self, calls: Calls, holder: Holder) -> Result<(), TestCaseError> {
        let token = Token::random();
        let mut expected = BTreeMap::new();
        for (key, of_key) in &mut self.model {
            if let Some(group) = of_key.take(token, self.now) {
                expected.insert(group.id.clone(), (*key, group.members.clone()));
            }
        }
        let taken = self.take_due(token).await?;
        if calls == Calls::Twice {
            let again = self.take_due(token).await?;
            prop_assert_eq!(names(&again), names(&taken));
        }
        let ids: Vec<_> = expected.keys().cloned().collect();
        prop_assert_eq!(names(&taken), ids);
        for group in taken {
            let id = group.name.id.to_string();
            let (key, members) = &expected[&id];
            prop_assert_eq!(group.size as usize, members.len());
            let page = self
                .state
                .members(&group.name, 0, 1000)
                .await
                .map_err(|error| failed(&error))?;
            let listed: Vec<_> = page.members.iter().map(|one| one.id.to_string()).collect();
            prop_assert_eq!(&listed[..], &members[..members.len().min(SIZE)]);
            if holder == Holder::Lives {
                let name = group.name;
                self.held.push((*key, HeldGroup { name, token }));
            }
        }
        Ok(())
    }

    async fn take_due(&self, token: Token) -> Result<Vec<StoredGroup>, TestCaseError> {
        let due = self
            .state
            .take_due(100, half_units::<H>(LEASE), token)
            .await;
        Ok(due.map_err(|error| failed(&error))?.groups)
    }

    async fn finish(
        &mut self,
        which: usize,
        ending: Ending,
        calls: Calls,
    ) -> Result<(), TestCaseError> {
        let Some((key, held)) = self.nth_newest(which) else {
            return Ok(());
        };
        let expected = self.is_held(key, &held);
        let finish = GroupFinish {
            held: held.clone(),
            end: match ending {
                Ending::Close => GroupEnd::Notified,
                Ending::Release => GroupEnd::Release {
                    after: half_units::<H>(RELEASE),
                    note: Bytes::new(),
                },
            },
        };
        let finish = std::slice::from_ref(&finish);
        let answer = self
            .state
            .finish_groups(finish)
            .await
            .map_err(|error| failed(&error))?;
        prop_assert_eq!(answer, [expected], "finish of {:?}", held);
        if calls == Calls::Twice {
            self.state
                .finish_groups(finish)
                .await
                .map_err(|error| failed(&error))?;
        }
        self.held.retain(|(_, other)| *other != held);
        let now = self.now;
        let of_key = self.model.entry(key).or_default();
        if expected {
            match ending {
                Ending::Close => of_key.close(now),
                Ending::Release => {
                    if let Some(sealed) = &mut of_key.sealed {
                        sealed.due = now + RELEASE;
                        sealed.holder = None;
                    }
                }
            }
        }
        Ok(())
    }

    async fn renew(&mut self, which: usize) -> Result<(), TestCaseError> {
        let Some((key, held)) = self.nth_newest(which) else {
            return Ok(());
        };
        let expected = self.is_held(key, &held);
        let renewed = std::slice::from_ref(&held);
        let answer = self
            .state
            .renew_groups(renewed, half_units::<H>(LEASE))
            .await;
        prop_assert_eq!(
            answer.map_err(|error| failed(&error))?,
            [expected],
            "renewal of {:?}",
            held
        );
        let now = self.now;
        if let Some(sealed) = self
            .model
            .entry(key)
            .or_default()
            .sealed
            .as_mut()
            .filter(|_| expected)
        {
            sealed.due = now + LEASE;
        }
        Ok(())
    }

    /// Flushes everything, and counts the members.
    async fn drain(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..3 {
            self.step(&Walking::Pass(INTERVAL / 2 + 1)).await?;
            self.take(Calls::Once, Holder::Lives).await?;
            while !self.held.is_empty() {
                self.finish(0, Ending::Close, Calls::Once).await?;
            }
        }
        prop_assert_eq!(
            self.state
                .next_due()
                .await
                .map_err(|error| failed(&error))?,
            None
        );
        for of_key in self.model.values() {
            prop_assert!(of_key.open.is_none() && of_key.sealed.is_none());
            let members = of_key.closed.iter().flat_map(|group| &group.members);
            let mut members: Vec<_> = members.collect();
            let count = members.len();
            members.sort();
            members.dedup();
            prop_assert_eq!(members.len(), count, "a member is in two groups");
        }
        Ok(())
    }

    fn is_held(&self, key: u8, held: &HeldGroup) -> bool {
        let sealed = self
            .model
            .get(&key)
            .and_then(|of_key| of_key.sealed.as_ref());
        sealed.is_some_and(|group| group.id == held.name.id && group.holder == Some(held.token))
    }

    fn nth_newest(&self, which: usize) -> Option<(u8, HeldGroup)> {
        self.held.iter().rev().nth(which).cloned()
    }
}

fn append<H: StateHarness>(key: u8, id: u8, number: u32) -> GroupAppend {
    let mut append = member::<H>(&group(&format!("k{key}")), &format!("m{id:02}"));
    append.new_id = format!("g{number:04}").into();
    append.terms.timing = GroupTiming::Waits {
        wait: half_units::<H>(WAIT),
        interval: half_units::<H>(INTERVAL),
    };
    append
}

fn half_units<H: StateHarness>(count: u32) -> Duration {
    H::UNIT * count / 2
}

fn names(groups: &[StoredGroup]) -> Vec<String> {
    let mut names: Vec<_> = groups
        .iter()
        .map(|group| group.name.id.to_string())
        .collect();
    names.sort();
    names
}

fn failed(error: &acteon_core::StateError) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}
