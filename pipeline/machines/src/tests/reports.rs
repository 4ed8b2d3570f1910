//! What reports do to an event.

use super::{ALERT, after, asks, at, machine};
use crate::{EventChange, EventReport, IgnoreReason};

fn started(status: &str, seconds: i64, start: i64) -> EventReport<'_> {
    EventReport {
        starts_at: Some(at(start)),
        ..asks(status, seconds)
    }
}

fn entered(change: &EventChange) -> (&str, &str, bool) {
    match change {
        EventChange::Entered { from, to, notice } => (from, to, notice.is_some()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_first_report_enters_the_initial_state_and_then_the_reported_one() {
    let machine = machine(ALERT);
    let silent = EventReport {
        status: None,
        ..asks("", 0)
    };
    assert_eq!(
        entered(&after(&machine, &[silent]).change),
        ("open", "open", false)
    );
    let step = after(&machine, &[asks("firing", 0)]);
    assert_eq!(entered(&step.change), ("open", "firing", true));
    let step = after(&machine, &[asks("acknowledged", 0)]);
    assert_eq!(entered(&step.change), ("open", "open", false));
}

#[test]
fn a_report_of_the_present_state_refreshes_and_one_that_is_not_allowed_changes_nothing() {
    let machine = machine(ALERT);
    let step = after(&machine, &[asks("firing", 0), asks("firing", 9)]);
    assert_eq!(step.change, EventChange::Refreshed);
    assert_eq!(
        (step.event.entered_at, step.event.last_report_at),
        (at(0), at(9))
    );
    let first = after(&machine, &[asks("firing", 0)]).event;
    let step = machine.report(Some(first.clone()), &asks("open", 9));
    assert_eq!(step.change, EventChange::Ignored(IgnoreReason::NotAllowed));
    assert_eq!(step.event, first);
}

#[test]
fn the_end_is_announced_only_if_the_beginning_was() {
    let machine = machine(ALERT);
    let step = after(&machine, &[asks("resolved", 0)]);
    assert_eq!(entered(&step.change), ("open", "resolved", false));
    let step = after(&machine, &[asks("firing", 0), asks("resolved", 9)]);
    let EventChange::Entered {
        notice: Some(notice),
        ..
    } = step.change
    else {
        panic!("{:?}", step.change);
    };
    assert!(notice.is_unconditional, "silences do not withhold the end");
}

#[test]
fn a_report_that_arrives_again_reports_its_transition_again_and_makes_none() {
    let machine = machine(ALERT);
    let named = |id, status, seconds| EventReport {
        id,
        ..asks(status, seconds)
    };
    let reports = [
        named("a", "firing", 0),
        named("b", "acknowledged", 1),
        named("c", "resolved", 2),
    ];
    let before = after(&machine, &reports).event;
    for (again, expected) in [
        (named("a", "firing", 9), ("open", "firing", false)),
        (
            named("b", "acknowledged", 9),
            ("firing", "acknowledged", false),
        ),
        (
            named("c", "resolved", 9),
            ("acknowledged", "resolved", true),
        ),
    ] {
        let step = machine.report(Some(before.clone()), &again);
        assert_eq!(entered(&step.change), expected);
        assert_eq!(step.event, before);
    }
    let other = machine.report(Some(before), &named("d", "firing", 9));
    assert_eq!(entered(&other.change), ("resolved", "firing", true));
}

#[test]
fn a_report_of_an_earlier_start_does_not_overwrite_a_later_state() {
    let machine = machine(ALERT);
    let reports = [
        started("firing", 0, 0),
        started("resolved", 50, 40),
        started("firing", 60, 0),
    ];
    let step = after(&machine, &reports);
    assert_eq!(step.change, EventChange::Ignored(IgnoreReason::Older));
    assert_eq!(step.event.state, "resolved");
}

#[test]
fn only_a_later_start_leaves_a_terminal_state() {
    let machine = machine(ALERT);
    let ended = [started("firing", 0, 0), started("resolved", 50, 0)];
    let same = after(&machine, &[ended[0], ended[1], started("firing", 60, 0)]);
    assert_eq!(same.change, EventChange::Ignored(IgnoreReason::Older));
    let later = after(&machine, &[ended[0], ended[1], started("firing", 60, 55)]);
    assert_eq!(entered(&later.change), ("resolved", "firing", true));
    let path: Vec<_> = later
        .event
        .history
        .iter()
        .map(|step| step.to.as_str())
        .collect();
    assert_eq!(path, ["firing", "resolved", "open", "firing"]);
}

#[test]
fn an_end_that_is_still_ahead_is_not_an_end() {
    let machine = machine(ALERT);
    let ends = |seconds| EventReport {
        ends_at: Some(at(seconds)),
        ..asks("resolved", 10)
    };
    let step = after(&machine, &[asks("firing", 0), ends(11)]);
    assert_eq!(
        (step.change, step.event.state.as_str()),
        (EventChange::Refreshed, "firing")
    );
    let step = after(&machine, &[asks("firing", 0), ends(10)]);
    assert_eq!(step.event.state, "resolved");
}

#[test]
fn a_start_in_the_year_1_is_absent_and_one_far_ahead_is_now() {
    let machine = machine(ALERT);
    let start = |time| EventReport {
        starts_at: Some(time),
        ..asks("firing", 0)
    };
    let year_1 = "0001-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(after(&machine, &[start(year_1)]).event.starts_at, None);
    assert_eq!(
        after(&machine, &[start(at(300))]).event.starts_at,
        Some(at(300))
    );
    assert_eq!(
        after(&machine, &[start(at(301))]).event.starts_at,
        Some(at(0))
    );
}

#[test]
fn an_event_in_a_state_that_no_longer_exists_waits_for_an_operator() {
    let machine = machine(ALERT);
    let mut event = after(&machine, &[asks("firing", 0)]).event;
    event.state = "gone".into();
    let step = machine.report(Some(event.clone()), &asks("resolved", 9));
    assert_eq!(
        step.change,
        EventChange::Ignored(IgnoreReason::StateUnknown)
    );
    assert_eq!(step.event, event);
    assert_eq!(machine.due(&event), None);
}

#[test]
fn the_history_keeps_the_last_fifty_transitions() {
    let machine = machine(
        "name = 'm'\ninitial_state = 'a'\nstates = ['a', 'b']\n\
         transitions = [{ from = 'a', to = 'b' }, { from = 'b', to = 'a' }]",
    );
    let reports: Vec<_> = (0..80)
        .map(|number| asks(if number % 2 == 0 { "b" } else { "a" }, number))
        .collect();
    let history = after(&machine, &reports).event.history;
    assert_eq!(history.len(), crate::HISTORY_MAX);
    assert_eq!((history[0].at, history[49].at), (at(30), at(79)));
}

#[test]
fn a_report_shows_that_a_stale_event_goes_on() {
    let machine = machine(ALERT);
    let begun = EventReport {
        starts_at: Some(at(-60)),
        ..asks("firing", 0)
    };
    let event = after(&machine, &[begun]).event;
    let stale = machine.time_out(event, at(86_401), None).unwrap().event;
    assert_eq!(stale.state, "stale");
    let again = EventReport {
        id: "again",
        at: at(90_000),
        ..begun
    };
    let step = machine.report(Some(stale), &again);
    assert_eq!(entered(&step.change), ("stale", "firing", true));
}

#[test]
fn the_notice_of_a_state_that_was_left_is_not_given_again() {
    let machine = machine(ALERT);
    let named = |id, status, seconds| EventReport {
        id,
        ..asks(status, seconds)
    };
    let event = after(
        &machine,
        &[named("1", "firing", 0), named("2", "resolved", 5)],
    )
    .event;
    let step = machine.report(Some(event), &named("1", "firing", 9));
    assert!(!entered(&step.change).2);
}
