//! Clauses about events: the state of an event, and whether any event of a type, or with a value, is active.

use std::collections::BTreeMap;
use std::time::Duration;

use acteon_core::state::{
    ActiveEventQuestion, Answer, Carrying, EventPhase, EventValue, Question, StateKey,
};
use proptest::prelude::*;
use tokio::time::Instant;

use super::leases::in_parallel;
use super::subject::*;
use super::{Pace, StateHarness};
use crate::contract::for_all;
use crate::events::{Event, write_events};

/// In its own namespace and tenant.
pub async fn an_event_is_known_by_its_fingerprint_and_an_unknown_one_is_not<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let known = event("e", &[]);
    assert_eq!(subject.state_of(&known).await, None);
    subject.write(&[]).await;
    subject.write(std::slice::from_ref(&known)).await;
    assert_eq!(subject.state_of(&known).await.as_deref(), Some("open"));
    let elsewhere = |namespace: &str, tenant: &str, fingerprint: &str| Event {
        namespace: namespace.into(),
        tenant: tenant.into(),
        ..event(fingerprint, &[])
    };
    let unknown = [
        elsewhere("ns", "t1", "f"),
        elsewhere("ns", "t1", ""),
        elsewhere("ns", "t2", "e"),
        elsewhere("ns2", "t1", "e"),
        elsewhere("n", "st1", "e"),
        elsewhere("ns", "t1e", ""),
    ];
    for other in unknown {
        assert_eq!(subject.state_of(&other).await, None, "{other:?}");
    }
}

/// The backend checks no transitions: the caller has decided.
pub async fn writing_overwrites_whatever_an_event_was<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let opened = event("e", &["db"]);
    let acknowledged = Event {
        state: "acknowledged".into(),
        ..opened.clone()
    };
    let ended = ended(&opened, H::UNIT * TTL);
    let steps = [&opened, &acknowledged, &ended, &opened, &opened, &ended];
    for step in steps {
        subject.write(std::slice::from_ref(step)).await;
        let state = subject.state_of(&opened).await;
        assert_eq!(state.as_deref(), Some(step.state.as_str()));
        let is_active = step.phase == EventPhase::Active;
        assert_eq!(subject.is_active("outage", None).await, is_active);
        assert_eq!(subject.is_active("outage", Some("db")).await, is_active);
    }
}

/// If an event appears twice, the last entry wins.
pub async fn the_last_entry_for_an_event_in_one_slice_wins<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let first = event("e", &["db", "web"]);
    let second = event("f", &["mail"]);
    let changed = event("e", &["db", "disk"]);
    let second_ended = ended(&second, H::UNIT * TTL);
    let slice = [
        second_ended.clone(),
        first.clone(),
        second.clone(),
        ended(&first, H::UNIT * TTL),
        changed.clone(),
        second_ended,
    ];
    for _ in 0..2 {
        subject.write(&slice).await;
        for (value, is_active) in [
            ("db", true),
            ("disk", true),
            ("web", false),
            ("mail", false),
        ] {
            let found = subject.is_active("outage", Some(value)).await;
            assert_eq!(found, is_active, "{value}");
        }
        assert_eq!(subject.state_of(&first).await.as_deref(), Some("open"));
        assert_eq!(subject.state_of(&second).await.as_deref(), Some("closed"));
    }
    subject.write(&[ended(&changed, H::UNIT * TTL)]).await;
    assert!(!subject.is_active("outage", None).await);
}

/// Whatever the values look like.
pub async fn an_active_event_is_found_by_its_type_and_by_each_of_its_values<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let long = "x".repeat(500);
    let values = ["db", "", "a:b", "é 'x' %\"\\\n", "*", "null", &long];
    subject.write(&[event("e", &values)]).await;
    assert!(subject.is_active("outage", None).await);
    for value in values {
        assert!(subject.is_active("outage", Some(value)).await, "{value}");
    }
    subject.write(&[event("valueless", &[])]).await;
    subject
        .write(&[ended(&event("e", &values), H::UNIT * TTL)])
        .await;
    assert!(subject.is_active("outage", None).await);
    for value in values {
        assert!(!subject.is_active("outage", Some(value)).await, "{value}");
    }
}

/// Also where one name appended to another looks like a third.
pub async fn other_values_types_tenants_and_namespaces_are_not_active<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    subject.write(&[event("e", &["db", "1:x"])]).await;
    let others = [
        active("ns", "t1", "outage", Some("d")),
        active("ns", "t1", "outage", Some("DB")),
        active("ns", "t1", "outage", Some("e")),
        active("ns", "t1", "outage", Some("open")),
        active("ns", "t1", "outage", Some("outage")),
        active("ns", "t1", "outage", Some("")),
        active("ns", "t1", "outagedb", None),
        active("ns", "t1", "outagedb", Some("")),
        active("ns", "t1", "outaged", Some("b")),
        active("ns", "t1", "outage1:", Some("x")),
        active("ns", "t1", "db", None),
        active("ns", "t1", "e", None),
        active("ns", "t1", "", None),
        active("ns", "t1", "", Some("db")),
        active("ns", "t2", "outage", None),
        active("ns", "t2", "outage", Some("db")),
        active("ns2", "t1", "outage", None),
        active("ns2", "t1", "outage", Some("db")),
        active("n", "st1", "outage", None),
        active("ns", "t1outage", "", None),
    ];
    let answers = subject.gather(&others).await;
    for (question, answer) in others.iter().zip(answers) {
        assert_eq!(answer, Answer::ActiveEvent(false), "{question:?}");
    }
}

/// It is inactive from the moment it ends.
pub async fn an_event_that_ended_is_known_until_its_retention_has_passed<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let short = event("e", &["db"]);
    let long = event("f", &["db"]);
    let slice = [short.clone(), ended(&long, H::UNIT * 9)];
    subject.write(&slice).await;
    subject.write(&[ended(&short, H::UNIT * 4)]).await;
    assert!(!subject.is_active("outage", None).await);
    assert!(!subject.is_active("outage", Some("db")).await);
    subject.pass(3.5).await;
    assert_eq!(subject.state_of(&short).await.as_deref(), Some("closed"));
    subject.pass(1.0).await;
    assert_eq!(subject.state_of(&short).await, None);
    subject.pass(4.0).await;
    assert_eq!(subject.state_of(&long).await.as_deref(), Some("closed"));
    // Writing it again keeps it for the same time again.
    subject.write(&[ended(&long, H::UNIT * 3)]).await;
    subject.pass(2.5).await;
    assert_eq!(subject.state_of(&long).await.as_deref(), Some("closed"));
    subject.pass(1.0).await;
    assert_eq!(subject.state_of(&long).await, None);
}

/// An event about to be forgotten is in force again.
pub async fn an_event_that_begins_again_is_kept<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let outage = event("e", &["db"]);
    let forgotten = event("f", &["web"]);
    subject.write(&[ended(&outage, H::UNIT * 2)]).await;
    subject.write(&[ended(&forgotten, H::UNIT * 2)]).await;
    subject.write(std::slice::from_ref(&outage)).await;
    subject.pass(3.0).await;
    subject.write(std::slice::from_ref(&forgotten)).await;
    subject.pass(3.0).await;
    for (event, value) in [(&outage, "db"), (&forgotten, "web")] {
        assert_eq!(subject.state_of(event).await.as_deref(), Some("open"));
        assert!(subject.is_active("outage", Some(value)).await);
    }
}

/// It does not matter which of them ends, or how often this is reported.
pub async fn when_one_of_many_events_ends_the_others_still_answer<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    let events: Vec<_> = (0..8)
        .map(|n| {
            event(
                &format!("e{n}"),
                &["all", if n < 4 { "low" } else { "high" }],
            )
        })
        .collect();
    subject.write(&events).await;
    subject.write(&events).await;
    for (ends, over) in events.iter().enumerate() {
        assert!(subject.is_active("outage", None).await);
        assert!(subject.is_active("outage", Some("all")).await);
        assert_eq!(subject.is_active("outage", Some("low")).await, ends < 4);
        assert!(subject.is_active("outage", Some("high")).await);
        subject.write(&[ended(over, H::UNIT * TTL)]).await;
        subject.write(&[ended(over, H::UNIT * TTL)]).await;
    }
    for value in [None, Some("all"), Some("low"), Some("high")] {
        assert!(!subject.is_active("outage", value).await);
    }
}

/// New values and types do answer. Unchanged ones continue to.
pub async fn a_value_or_type_taken_away_answers_no_longer<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    subject.write(&[event("e", &["db", "web"])]).await;
    subject.write(&[event("e", &["web", "disk"])]).await;
    for (value, is_active) in [("db", false), ("web", true), ("disk", true)] {
        let found = subject.is_active("outage", Some(value)).await;
        assert_eq!(found, is_active, "{value}");
    }
    let renamed = Event {
        event_type: "incident".into(),
        ..event("e", &["disk"])
    };
    subject.write(&[renamed]).await;
    assert!(!subject.is_active("outage", None).await);
    assert!(!subject.is_active("outage", Some("disk")).await);
    assert!(subject.is_active("incident", None).await);
    assert!(subject.is_active("incident", Some("disk")).await);
    assert!(!subject.is_active("incident", Some("web")).await);
}

/// Two labels may have the same value.
pub async fn a_value_that_an_event_carries_twice_ends_with_it<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    subject.write(&[event("e", &["db", "web", "db"])]).await;
    assert!(subject.is_active("outage", Some("db")).await);
    subject.write(&[event("e", &["web", "web"])]).await;
    assert!(!subject.is_active("outage", Some("db")).await);
    let over = ended(&event("e", &["web", "web"]), H::UNIT * TTL);
    subject.write(&[over]).await;
    assert!(!subject.is_active("outage", Some("web")).await);
}

/// Names and values do not run into each other.
pub async fn a_named_value_is_found_under_its_name_only<H: StateHarness>(harness: &H) {
    let subject = Subject::of(harness).await;
    subject.write(&[event("e", &["db", "web"])]).await;
    let asked = [
        (named("label 0", "db", "outage"), true),
        (named("label 1", "web", "outage"), true),
        (named("label 1", "db", "outage"), false),
        (named("label 0", "web", "outage"), false),
        (named("label", " 0db", "outage"), false),
        (named("label 0d", "b", "outage"), false),
        (named("", "db", "outage"), false),
        (named("label 0", "", "outage"), false),
        (named("label 0", "db", "incident"), false),
    ];
    for (question, expected) in asked {
        let answer = subject.gather(std::slice::from_ref(&question)).await;
        assert_eq!(answer, [Answer::ActiveEvent(expected)], "{question:?}");
    }
    subject
        .write(&[ended(&event("e", &[]), H::UNIT * TTL)])
        .await;
    let answer = subject.gather(&[named("label 0", "db", "outage")]).await;
    assert_eq!(answer, [Answer::ActiveEvent(false)]);
}

/// Also if its retention is shorter, but not if it only lost the value.
pub async fn an_event_that_ended_counts_for_the_grace_of_the_question<H: StateHarness>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    subject
        .write(&[event("e", &["db"]), event("f", &["web"])])
        .await;
    subject.write(&[event("f", &["disk"])]).await;
    subject.write(&[ended(&event("e", &[]), H::UNIT * 2)]).await;
    let within = |units: u32, value: Option<&str>| {
        let Question::ActiveEvent(asked) = active("ns", "t1", "outage", value) else {
            unreachable!("it asks for an active event");
        };
        Question::ActiveEvent(ActiveEventQuestion {
            grace: H::UNIT * units,
            ..asked
        })
    };
    let questions = [
        within(0, Some("db")),
        within(4, Some("db")),
        within(8, Some("db")),
        within(8, Some("web")),
        within(0, Some("disk")),
        within(0, None),
    ];
    for (passed, expected) in [
        (0.5, [false, true, true, false, true, true]),
        (2.0, [false, true, true, false, true, true]),
        (2.0, [false, false, true, false, true, true]),
        (5.0, [false, false, false, false, true, true]),
    ] {
        subject.pass(passed).await;
        let answers = subject.gather(&questions).await;
        assert_eq!(answers, expected.map(Answer::ActiveEvent));
    }
    subject.write(&[event("e", &["db"])]).await;
    assert!(subject.is_active("outage", Some("db")).await);
}

/// No event is written halfway, and no index entry remains without an event.
pub async fn an_event_that_64_tasks_write_at_once_is_active_or_not_as_one_of_them_said<
    H: StateHarness,
>(
    harness: &H,
) {
    let subject = Subject::of(harness).await;
    let states = [subject.state.clone(), harness.peer().await];
    let values = ["0", "1", "2", "3"];
    let said = std::sync::atomic::AtomicUsize::new(0);
    in_parallel(&states, 64, |state| {
        let task = said.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move {
            let word = |name| event(name, &[values[task % 4]]);
            let slice = [word("shared"), word(&format!("own {task}"))];
            write_events(&*state, &slice).await.expect("written");
            let over = ended(&slice[1], H::UNIT * TTL);
            write_events(&*state, &[over]).await.expect("written");
        }
    })
    .await;
    let mut found = 0;
    for value in values {
        found += usize::from(subject.is_active("outage", Some(value)).await);
    }
    assert_eq!(found, 1, "only the shared event is active, with one value");
    let over = ended(&event("shared", &[]), H::UNIT * TTL);
    subject.write(&[over]).await;
    for value in values {
        assert!(!subject.is_active("outage", Some(value)).await, "{value}");
    }
    assert!(!subject.is_active("outage", None).await);
}

/// One event: its name, type and values, and for an ended one the half units it is kept.
type Told = (u8, u8, Vec<u8>, Option<u32>);

/// Slices of events, and the whole units that pass after each.
fn histories(pace: Pace) -> impl Strategy<Value = Vec<(Vec<Told>, u32)>> {
    let values = proptest::collection::vec(0_u8..4, 0..4);
    // Half units are odd, so that a real backend, which takes a little time for each call, agrees about what has
    // expired.
    let kept = proptest::option::weighted(0.4, (0_u32..4).prop_map(|units| 2 * units + 1));
    let entries = (0_u8..6, 0_u8..2, values, kept);
    let slice = proptest::collection::vec(entries, 0..5);
    let passes = prop_oneof![3 => Just(0_u32), 2 => 1_u32..4];
    let length = match pace {
        Pace::Virtual => 30,
        Pace::Real => 10,
    };
    proptest::collection::vec((slice, passes), 1..length)
}

/// In whatever order events are written, the index agrees with a scan of all events.
pub fn events_are_active_as_a_scan_of_all_would_find_them<H: StateHarness>(make: impl Fn() -> H) {
    for_all(H::PACE, &histories(H::PACE), |history| {
        H::PACE.run(async {
            let harness = make();
            let subject = Subject::of(&harness).await;
            let begin = Instant::now();
            let mut model = BTreeMap::new();
            for (slice, passes) in &history {
                let events: Vec<_> = slice.iter().map(event_of::<H>).collect();
                subject.write(&events).await;
                let now = begin.elapsed();
                model.extend(
                    events
                        .into_iter()
                        .map(|e| (e.fingerprint.clone(), (e, now))),
                );
                subject.pass(f64::from(*passes)).await;
                let now = begin.elapsed();
                model.retain(|_, (event, since)| is_kept(event, now - *since));
                let questions = everything();
                let answers = subject.gather(&questions).await;
                for (question, answer) in questions.into_iter().zip(answers) {
                    let events = model.values().map(|(event, _)| event);
                    let expected = scan(events, &question);
                    prop_assert_eq!(answer, expected, "{:?}", question);
                }
            }
            Ok(())
        })
    });
}

fn event_of<H: StateHarness>((name, event_type, values, kept): &Told) -> Event {
    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
    let values: Vec<_> = values.iter().map(String::as_str).collect();
    let going_on = Event {
        event_type: format!("type {event_type}").into(),
        state: format!("open {}", values.len()).into(),
        ..event(&name.to_string(), &values)
    };
    match kept {
        None => going_on,
        Some(half_units) => ended(&going_on, H::UNIT * *half_units / 2),
    }
}

fn is_kept(event: &Event, age: Duration) -> bool {
    match event.phase {
        EventPhase::Active => true,
        EventPhase::Ended(retention) => age < retention,
    }
}

/// Every question about the events of a history.
fn everything() -> Vec<Question> {
    let mut questions: Vec<_> = (0..6)
        .map(|name| state_of(&event(&name.to_string(), &[])))
        .collect();
    for event_type in ["type 0", "type 1"] {
        questions.push(active("ns", "t1", event_type, None));
        for value in ["0", "1", "2", "3"] {
            questions.push(active("ns", "t1", event_type, Some(value)));
            questions.push(named("label 1", value, event_type));
        }
    }
    questions
}

/// Whether an event of this type carries this value under this name.
fn named(name: &str, value: &str, event_type: &str) -> Question {
    Question::ActiveEvent(ActiveEventQuestion {
        event_type: StateKey::new("ns", "t1", "", event_type),
        carrying: Carrying::Named(EventValue {
            name: name.into(),
            value: value.into(),
        }),
        grace: Duration::ZERO,
    })
}

/// The answer from scanning all events.
fn scan<'a>(mut events: impl Iterator<Item = &'a Event>, question: &Question) -> Answer {
    match question {
        Question::EventState(_) => {
            let known = events.find(|event| state_of(event) == *question);
            Answer::EventState(known.map(|event| event.state.clone()))
        }
        Question::ActiveEvent(asked) => Answer::ActiveEvent(events.any(|event| {
            let is_type = StateKey::new("ns", "t1", "", &event.event_type) == asked.event_type;
            let carries = match &asked.carrying {
                Carrying::Anything => true,
                Carrying::Value(value) => event.values.contains(value),
                Carrying::Named(value) => {
                    let values = event.write(0).record.values;
                    values.contains(value)
                }
            };
            event.phase == EventPhase::Active && is_type && carries
        })),
        Question::Event(_) | Question::Tally(_) => unreachable!("they are not asked"),
    }
}
