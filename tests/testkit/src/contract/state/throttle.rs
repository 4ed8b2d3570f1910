//! The bound of a throttle as properties: never exceeded by more than 5 %, almost fully used, and with an exact
//! `retry_after`.

use std::time::Duration;

use acteon_core::State;
use acteon_core::state::{
    Quota, Reservation, ReservationAnswer, ReservationEnd, Settlement, StateKey, Token, WhenFull,
};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::{Pace, StateHarness};
use crate::contract::for_all;

/// A throttle, and when actions arrive: the gaps between them, in thousandths of the window.
#[derive(Clone, Debug)]
struct Load {
    max_count: u32,
    gaps: Vec<u16>,
    /// One of this many deliveries fails.
    fails_every: Option<usize>,
}

fn loads(pace: Pace) -> impl Strategy<Value = Load> {
    let (counts, length) = match pace {
        Pace::Virtual => (
            prop_oneof![1_u32..8, 8_u32..120, 120_u32..400].boxed(),
            1000,
        ),
        Pace::Real => ((1_u32..8).boxed(), 40),
    };
    let gap = prop_oneof![
        10 => Just(0_u16),
        10 => 1_u16..20,
        2 => 20_u16..200,
        1 => 200_u16..1500,
    ];
    let gaps = proptest::collection::vec(gap, 1..length);
    let fails = proptest::option::weighted(0.3, 2_usize..10);
    (counts, gaps, fails).prop_map(|(max_count, gaps, fails_every)| Load {
        max_count,
        gaps,
        fails_every,
    })
}

fn window<H: StateHarness>() -> Duration {
    H::UNIT * 4
}

async fn ask<H: StateHarness>(
    state: &dyn State,
    max_count: u32,
) -> (Reservation, ReservationAnswer) {
    let asked = Reservation {
        token: Token::random(),
        quotas: vec![Quota {
            key: StateKey::new("ns", "t1", "throttle", "q"),
            max_count,
            window: window::<H>(),
            when_full: WhenFull::Refuse,
        }],
        ..Reservation::default()
    };
    let answers = state.reserve(std::slice::from_ref(&asked), H::UNIT).await;
    (asked, answers.expect("an answer").remove(0))
}

/// No window, wherever it begins, has more than 105 % of `max_count` deliveries, whatever arrives when and whatever
/// failed.
pub fn no_window_ever_holds_more_than_the_bound<H: StateHarness>(make: impl Fn() -> H) {
    for_all(H::PACE, &loads(H::PACE), |load| {
        let passed = H::PACE.run(deliveries(&make(), &load));
        let bound = load.max_count + load.max_count / 20;
        // A real backend reads its clock slightly before or after we do.
        let window = match H::PACE {
            Pace::Virtual => window::<H>(),
            Pace::Real => window::<H>() * 9 / 10,
        };
        for (at, end) in passed.iter().enumerate() {
            let inside = passed[..=at]
                .iter()
                .filter(|time| **time + window > *end)
                .count();
            prop_assert!(
                inside <= bound as usize,
                "{inside} in the window that ends at {end:?}"
            );
        }
        Ok(())
    });
}

/// When the successful deliveries passed.
async fn deliveries<H: StateHarness>(harness: &H, load: &Load) -> Vec<Duration> {
    let state = harness.state().await;
    let mut now = Duration::ZERO;
    let mut passed = Vec::new();
    let mut granted = 0;
    for gap in &load.gaps {
        let gap = window::<H>() * u32::from(*gap) / 1000;
        if !gap.is_zero() {
            harness.pass(gap).await;
            now += gap;
        }
        let (asked, ReservationAnswer::Granted(_)) = ask::<H>(&*state, load.max_count).await else {
            continue;
        };
        granted += 1;
        if load.fails_every.is_some_and(|every| granted % every == 0) {
            let settlement = Settlement::of(asked.into(), ReservationEnd::Release);
            state.settle(&[settlement]).await.expect("settled");
        } else {
            passed.push(now);
        }
    }
    passed
}

/// At twice the rate, for ten windows, at least 95 % of the permitted deliveries pass.
pub fn at_twice_the_rate_every_window_is_used<H: StateHarness>(make: impl Fn() -> H) {
    let counts = match H::PACE {
        Pace::Virtual => prop_oneof![6 => 1_u32..60, 1 => 60_u32..500].boxed(),
        Pace::Real => (1_u32..5).boxed(),
    };
    for_all(H::PACE, &counts, |max_count| {
        let harness = make();
        // Rounded up. If rounded down, one action would arrive just before its place is free, and the next half a gap
        // late.
        let nanos = window::<H>().as_nanos().div_ceil(u128::from(2 * max_count));
        let gap = Duration::from_nanos(u64::try_from(nanos).expect("a short window"));
        let granted = H::PACE.run(async {
            let state = harness.state().await;
            let mut granted = 0;
            for _ in 0..20 * max_count {
                let (_, answer) = ask::<H>(&*state, max_count).await;
                granted += u32::from(matches!(answer, ReservationAnswer::Granted(_)));
                harness.pass(gap).await;
            }
            granted
        });
        prop_assert!(
            f64::from(granted) >= 0.95 * f64::from(10 * max_count),
            "{granted} of {} passed",
            10 * max_count
        );
        Ok(())
    });
}

/// After any history, waiting for `retry_after` is enough, and less is not.
pub fn a_refused_one_passes_after_its_retry_after_and_not_before<H: StateHarness>(
    make: impl Fn() -> H,
) {
    for_all(H::PACE, &loads(H::PACE), |load| {
        let harness = make();
        H::PACE.run(async {
            let state = harness.state().await;
            let mut full = None;
            for gap in &load.gaps {
                harness.pass(window::<H>() * u32::from(*gap) / 1000).await;
                let (_, answer) = ask::<H>(&*state, load.max_count).await;
                if let ReservationAnswer::Throttled { retry_after, .. } = answer {
                    full = Some(retry_after);
                }
            }
            match full {
                Some(_) => waits::<H>(&harness, &*state, load.max_count).await,
                None => Ok(()),
            }
        })
    });
}

async fn waits<H: StateHarness>(
    harness: &H,
    state: &dyn State,
    max_count: u32,
) -> Result<(), TestCaseError> {
    let wait = loop {
        if let (_, ReservationAnswer::Throttled { retry_after, .. }) =
            ask::<H>(state, max_count).await
        {
            break retry_after;
        }
    };
    let early = wait * 9 / 10;
    harness.pass(early).await;
    let (_, answer) = ask::<H>(state, max_count).await;
    let is_refused = matches!(answer, ReservationAnswer::Throttled { .. });
    prop_assert!(
        is_refused || H::PACE == Pace::Real,
        "{answer:?} after {early:?} of {wait:?}"
    );
    harness.pass(wait - early).await;
    let (_, answer) = ask::<H>(state, max_count).await;
    prop_assert!(
        matches!(answer, ReservationAnswer::Granted(_)),
        "{answer:?} after {wait:?}"
    );
    Ok(())
}
