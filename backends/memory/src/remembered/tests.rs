use std::collections::BTreeMap;

use acteon_core::outcome::REMEMBERED_BODY_BYTES_MAX;
use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Many keys share a position in the table and must still be distinguished.
fn key(number: u64) -> HashedKey {
    HashedKey {
        high: number,
        low: number % 3,
    }
}

fn outcome(number: u64) -> ActionOutcome {
    let body = json!({ "n": number });
    ActionOutcome::Executed(ProviderResponse::success(&body).unwrap())
}

fn number_of(outcome: &ActionOutcome) -> u64 {
    let ActionOutcome::Executed(response) = outcome else {
        panic!("{outcome:?}");
    };
    let body: serde_json::Value = serde_json::from_str(response.body.get()).unwrap();
    body["n"].as_u64().unwrap()
}

fn remembering(outcomes: usize, bytes: usize) -> RememberedOutcomes {
    RememberedOutcomes::new(RememberedLimits { outcomes, bytes })
}

#[test]
fn the_oldest_goes_when_there_are_too_many() {
    let mut remembered = remembering(3, usize::MAX);
    (0..5).for_each(|n| remembered.put(key(n), outcome(n), 100, 0));
    let found: Vec<_> = (0..5)
        .map(|n| remembered.find(key(n), 0).map(number_of))
        .collect();
    assert_eq!(found, [None, None, Some(2), Some(3), Some(4)]);
}

#[test]
fn the_oldest_goes_when_there_are_too_many_bytes() {
    let one = bytes_of(&outcome(0));
    let mut remembered = remembering(100, 2 * one + one / 2);
    (0..4).for_each(|n| remembered.put(key(n), outcome(n), 100, 0));
    assert_eq!(remembered.size(), (2, 2 * one));
    assert!(remembered.find(key(1), 0).is_none());
    assert!(remembered.find(key(3), 0).is_some());
}

#[test]
fn an_outcome_larger_than_the_bound_is_not_remembered_and_evicts_nothing() {
    let mut remembered = remembering(100, 2 * bytes_of(&outcome(0)));
    remembered.put(key(0), outcome(0), 100, 0);
    let body = json!({"text": "x".repeat(REMEMBERED_BODY_BYTES_MAX)});
    let long = ActionOutcome::Executed(ProviderResponse::success(&body).unwrap());
    remembered.put(key(1), long, 100, 0);
    assert!(remembered.find(key(0), 0).is_some());
    assert!(remembered.find(key(1), 0).is_none());
}

#[test]
fn expired_outcomes_are_dropped_as_others_arrive() {
    let mut remembered = remembering(usize::MAX, usize::MAX);
    for now in 0..1000 {
        remembered.put(key(now), outcome(now), now + 10, now);
        let (entries, bytes) = remembered.size();
        assert!(entries <= 11, "{entries} entries");
        assert!(bytes <= 11 * bytes_of(&outcome(1000)));
    }
}

proptest! {
    /// Includes numbers that wrap around.
    #[test]
    fn it_answers_like_a_list(
        steps in proptest::collection::vec((0_u64..6, 1_u64..9), 1..200),
        outcomes in 1_usize..6,
    ) {
        let mut remembered = remembering(outcomes, usize::MAX);
        remembered.first = u32::MAX - 20;
        let mut list: Vec<(u64, u64, u64)> = Vec::new();
        for (now, (name, ttl)) in steps.into_iter().enumerate() {
            let now = now as u64;
            remembered.put(key(name), outcome(now), now + ttl, now);
            list.push((name, now, now + ttl));
            let newest: BTreeMap<_, _> = list.iter().map(|entry| (entry.0, *entry)).collect();
            let kept = &list[list.len().saturating_sub(outcomes)..];
            for name in 0..6 {
                let expected = newest.get(&name).filter(|entry| kept.contains(entry) && now < entry.2);
                let found = remembered.find(key(name), now).map(number_of);
                prop_assert_eq!(found, expected.map(|entry| entry.1), "{} at {}", name, now);
            }
        }
    }
}
