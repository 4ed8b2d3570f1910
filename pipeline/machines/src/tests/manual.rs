//! Transitions that operators make.

use super::{ALERT, after, asks, at, machine};
use crate::{
    EventChange, Lifecycle, Machine, MachineStep, ManualError, ManualMove, TransitionCause,
};

fn moved(machine: &Machine, event: Lifecycle, to: &str) -> Result<MachineStep, ManualError> {
    let asked = ManualMove {
        to,
        from: None,
        by: "ops",
        note: Some("on it"),
        at: at(9),
        silence: None,
    };
    machine.move_manually(event, &asked)
}

#[test]
fn an_operator_makes_the_transitions_of_the_machine_and_is_named_in_the_history() {
    let machine = machine(ALERT);
    let event = after(&machine, &[asks("firing", 0)]).event;
    let step = moved(&machine, event, "acknowledged").unwrap();
    let last = step.event.history.back().unwrap();
    assert_eq!(
        (last.from.as_str(), last.to.as_str()),
        ("firing", "acknowledged")
    );
    assert_eq!(
        (&last.by, last.note.as_deref()),
        (&TransitionCause::Operator("ops".into()), Some("on it"))
    );
}

#[test]
fn a_transition_that_the_machine_does_not_have_is_refused() {
    let machine = machine(ALERT);
    let event = after(&machine, &[asks("firing", 0)]).event;
    let refused = moved(&machine, event, "open").unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the machine allows no transition from \"firing\" to \"open\""
    );
}

#[test]
fn a_transition_from_a_state_that_the_event_has_left_is_refused() {
    let machine = machine(ALERT);
    let event = after(&machine, &[asks("firing", 0), asks("resolved", 1)]).event;
    let asked = ManualMove {
        to: "acknowledged",
        from: Some("firing"),
        by: "ops",
        note: None,
        at: at(9),
        silence: None,
    };
    let refused = machine.move_manually(event, &asked).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the event is in state \"resolved\", not \"firing\""
    );
}

#[test]
fn an_event_in_a_state_that_no_longer_exists_can_be_moved_to_any_other() {
    let machine = machine(ALERT);
    let mut event = after(&machine, &[asks("firing", 0)]).event;
    event.state = "gone".into();
    let step = moved(&machine, event, "acknowledged").unwrap();
    assert!(matches!(step.change, EventChange::Entered { .. }));
}
