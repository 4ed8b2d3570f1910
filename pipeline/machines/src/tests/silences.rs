//! Notices that a silence withholds.

use super::{ALERT, after, asks, at, machine};
use crate::{EventChange, EventReport, MachineStep};

fn silenced(status: &str, seconds: i64) -> EventReport<'_> {
    EventReport {
        silence: Some("s1"),
        ..asks(status, seconds)
    }
}

fn has_notice(step: &MachineStep) -> bool {
    matches!(
        &step.change,
        EventChange::Entered {
            notice: Some(_),
            ..
        }
    )
}

#[test]
fn a_silence_withholds_the_notice_and_not_the_transition() {
    let machine = machine(ALERT);
    let step = after(&machine, &[silenced("firing", 0)]);
    assert!(!has_notice(&step));
    let event = step.event;
    assert_eq!(
        (event.state.as_str(), event.was_notified),
        ("firing", false)
    );
    assert_eq!(event.withheld_by.as_deref(), Some("s1"));
    let last = event.history.back().unwrap();
    assert_eq!(
        (last.notified, last.silenced_by.as_deref()),
        (false, Some("s1"))
    );
}

#[test]
fn the_end_is_announced_in_spite_of_a_silence_if_the_beginning_was() {
    let machine = machine(ALERT);
    let step = after(&machine, &[asks("firing", 0), silenced("resolved", 9)]);
    assert!(has_notice(&step));
    assert_eq!(step.event.withheld_by, None);
}

#[test]
fn the_end_of_what_nobody_heard_of_is_not_announced_with_or_without_a_silence() {
    let machine = machine(ALERT);
    for end in [silenced("resolved", 9), asks("resolved", 9)] {
        let step = after(&machine, &[silenced("firing", 0), end]);
        assert!(!has_notice(&step));
        assert_eq!(step.event.withheld_by, None);
    }
}

#[test]
fn a_withheld_state_is_told_once_and_its_end_is_announced_from_then_on() {
    let machine = machine(ALERT);
    let mut event = after(&machine, &[silenced("firing", 0)]).event;
    let told = machine.tell(&mut event).unwrap();
    assert_eq!((told.from.as_str(), told.to.as_str()), ("open", "firing"));
    assert!(told.notice.to.notify);
    assert_eq!(machine.tell(&mut event), None);
    let end = machine.report(
        Some(event),
        &EventReport {
            id: "end",
            ..asks("resolved", 9)
        },
    );
    assert!(has_notice(&end));
}

#[test]
fn a_state_that_was_left_is_not_told() {
    let machine = machine(ALERT);
    let mut event = after(&machine, &[silenced("firing", 0), asks("acknowledged", 5)]).event;
    assert_eq!(machine.tell(&mut event), None);
}

#[test]
fn a_report_that_arrives_again_after_its_state_was_told_has_no_notice() {
    let machine = machine(ALERT);
    let named = EventReport {
        id: "1",
        ..silenced("firing", 0)
    };
    let mut event = after(&machine, &[named]).event;
    machine.tell(&mut event).unwrap();
    let again = machine.report(
        Some(event),
        &EventReport {
            silence: None,
            ..named
        },
    );
    assert!(!has_notice(&again));
}

#[test]
fn reminders_are_withheld_and_counted() {
    let reminding = ALERT.replace(
        "timeouts = [",
        "timeouts = [{ state = \"firing\", after_seconds = 60, transition_to = \"firing\" }, ",
    );
    let machine = machine(&reminding);
    let event = after(&machine, &[asks("firing", 0)]).event;
    let step = machine.time_out(event, at(60), Some("s1")).unwrap();
    assert_eq!(step.change, EventChange::Reminded(None));
    assert_eq!((step.event.reminders, step.event.withheld_by), (1, None));
}
