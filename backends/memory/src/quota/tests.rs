use proptest::prelude::*;

use super::*;

const WINDOW: u64 = 60_000_000_000;

/// Time passes in milliseconds; a delivery is attempted, or an earlier one, counted from the last, fails.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Deliver,
    Fail(usize),
    Change(u32),
}

fn steps() -> impl Strategy<Value = (u32, Vec<Step>)> {
    let bounds = prop_oneof![1_u32..10, 10_u32..50, 50_u32..500];
    let step = prop_oneof![
        6 => prop_oneof![1_u64..2_000, 1_u64..70_000].prop_map(Step::Pass),
        40 => Just(Step::Deliver),
        3 => (0_usize..100).prop_map(Step::Fail),
        1 => bounds.clone().prop_map(Step::Change),
    ];
    (bounds, proptest::collection::vec(step, 1..600))
}

/// Every delivery that did not fail.
#[derive(Default)]
struct Naive(Vec<u64>);

impl Naive {
    fn inside(&self, now: u64) -> usize {
        self.0.iter().filter(|at| **at + WINDOW > now).count()
    }
}

fn key() -> HashedKey {
    HashedKey { high: 1, low: 2 }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_bound_is_never_passed_and_small_ones_are_exact((max, steps) in steps()) {
        let mut log = QuotaLog::new(key());
        let mut naive = Naive::default();
        let mut now = 0;
        let mut bound = QuotaBound::new(max, WINDOW);
        let mut is_exact = max <= GROUPS;
        for step in steps {
            match step {
                Step::Pass(millis) => now += millis * 1_000_000,
                Step::Deliver => {
                    let wait = log.wait(bound, now, 0);
                    let inside = naive.inside(now);
                    let has_room = inside < bound.max_count as usize;
                    prop_assert!(has_room || wait.is_some(), "{inside} of {bound:?}");
                    prop_assert!(!is_exact || has_room == wait.is_none(), "{wait:?} at {inside}");
                    if wait.is_none() {
                        log.charge(bound, now);
                        naive.0.push(now);
                    }
                }
                Step::Fail(which) => {
                    if let Some(at) = naive.0.len().checked_sub(which + 1) {
                        let charged = naive.0.remove(at);
                        log.refund(bound, now, charged);
                    }
                }
                Step::Change(max) => {
                    bound = QuotaBound::new(max, WINDOW);
                    is_exact = false;
                }
            }
            let sum: u32 = (0..log.ticks.len()).map(|group| log.count_of(group)).sum();
            prop_assert_eq!(sum, log.total);
            prop_assert!(log.ticks.len() <= GROUPS as usize + 2, "{} groups", log.ticks.len());
        }
    }
}

#[test]
fn the_wait_is_exact_to_the_last_tick() {
    let mut log = QuotaLog::new(key());
    let bound = QuotaBound::new(1, WINDOW);
    log.charge(bound, 5);
    let wait = log.wait(bound, 1_000, 0).unwrap();
    assert!(wait.abs_diff(WINDOW - 995) <= bound.tick, "{wait}");
    assert!(log.wait(bound, 1_000 + wait - 1, 0).is_some());
    assert!(log.wait(bound, 1_000 + wait, 0).is_none());
}

#[test]
fn a_key_that_rested_for_many_windows_has_forgotten_all() {
    let mut log = QuotaLog::new(key());
    let bound = QuotaBound::new(3, WINDOW);
    for windows in [0_u64, 3, 4, 5, 1 << 20] {
        let now = windows * WINDOW + 7;
        for _ in 0..3 {
            assert_eq!(log.wait(bound, now, 0), None);
            log.charge(bound, now);
        }
        assert!(log.wait(bound, now, 0).is_some());
    }
}
