//! Timeouts, reminders and staleness.

use super::{ALERT, after, asks, at, machine};
use crate::{EventChange, TransitionCause};

const REMINDING: &str = r#"
name = "m"
initial_state = "firing"
states = ["firing", "resolved"]
transitions = [{ from = "firing", to = "resolved" }]
timeouts = [
    { state = "firing", after_seconds = 60, transition_to = "firing", max_repeats = 2 },
    { state = "firing", after_seconds = 300, transition_to = "resolved" },
]
stale_after_seconds = 1000
"#;

#[test]
fn a_timeout_makes_its_transition_when_it_is_due_and_not_before() {
    let machine = machine(ALERT);
    let event = after(&machine, &[asks("firing", 0), asks("acknowledged", 10)]).event;
    assert_eq!(machine.due(&event), Some(at(610)));
    assert_eq!(machine.time_out(event.clone(), at(609), None), None);
    let step = machine.time_out(event, at(700), None).unwrap();
    assert_eq!(step.event.state, "firing");
    assert_eq!(step.event.entered_at, at(700), "the next time begins now");
    assert_eq!(
        step.event.history.back().unwrap().by,
        TransitionCause::Timeout
    );
}

#[test]
fn leaving_the_state_disarms_its_timeout() {
    let machine = machine(ALERT);
    let reports = [
        asks("firing", 0),
        asks("acknowledged", 10),
        asks("resolved", 20),
    ];
    let event = after(&machine, &reports).event;
    assert_eq!(machine.due(&event), None);
}

#[test]
fn a_report_moves_only_the_timeouts_that_count_from_the_last_report() {
    let machine = machine(REMINDING);
    let mut event = after(&machine, &[asks("firing", 0), asks("firing", 50)]).event;
    assert_eq!(machine.due(&event), Some(at(60)), "the reminder");
    event = machine.time_out(event, at(60), None).unwrap().event;
    event = machine.time_out(event, at(120), None).unwrap().event;
    assert_eq!(
        machine.due(&event),
        Some(at(350)),
        "the end, after two reminders"
    );
}

#[test]
fn a_reminder_is_a_notice_without_a_transition() {
    let machine = machine(REMINDING);
    let event = after(&machine, &[asks("firing", 0)]).event;
    let step = machine.time_out(event, at(60), None).unwrap();
    let EventChange::Reminded(Some(notice)) = step.change else {
        panic!("{:?}", step.change);
    };
    assert!(notice.to.notify && !notice.is_unconditional);
    assert_eq!((step.event.reminders, step.event.history.len()), (1, 0));
    assert_eq!(machine.due(&step.event), Some(at(120)));
}

#[test]
fn an_event_without_reports_becomes_stale() {
    let machine = machine(ALERT);
    let event = after(&machine, &[asks("firing", 0), asks("firing", 5)]).event;
    assert_eq!(machine.due(&event), Some(at(86_405)));
    let step = machine.time_out(event, at(86_405), None).unwrap();
    assert_eq!(step.event.state, "stale");
    assert_eq!(
        step.event.history.back().unwrap().by,
        TransitionCause::Staleness
    );
    assert_eq!(machine.due(&step.event), None);
}

#[test]
fn changed_settings_hold_for_events_that_wait_already() {
    let event = after(
        &machine(ALERT),
        &[asks("firing", 0), asks("acknowledged", 10)],
    )
    .event;
    let longer = machine(&ALERT.replace("after_seconds = 600", "after_seconds = 900"));
    assert_eq!(longer.time_out(event.clone(), at(610), None), None);
    assert_eq!(longer.due(&event), Some(at(910)));
}

#[test]
fn a_reminder_tells_of_the_problem_so_its_end_is_told_too() {
    let quiet = ALERT.replace(
        r#"{ from = "open", to = "firing", on_transition = { notify = true } },"#,
        r#"{ from = "open", to = "firing" },"#,
    );
    let machine = machine(&quiet.replace(
        "timeouts = [",
        "timeouts = [{ state = \"firing\", after_seconds = 60, transition_to = \"firing\" }, ",
    ));
    let event = after(&machine, &[asks("firing", 0)]).event;
    let event = machine.time_out(event, at(60), None).unwrap().event;
    let end = crate::EventReport {
        id: "end",
        ..asks("resolved", 90)
    };
    let step = machine.report(Some(event), &end);
    let EventChange::Entered { notice, .. } = step.change else {
        panic!("{step:?}");
    };
    assert!(notice.is_some());
}
