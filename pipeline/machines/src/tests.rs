mod check;
mod manual;
mod model;
mod reports;
mod silences;
mod timeouts;

use jiff::{SignedDuration, Timestamp};

use crate::{EventReport, Lifecycle, Machine, MachineOptions, MachineStep};

fn options(toml: &str) -> MachineOptions {
    toml::from_str(toml).unwrap()
}

fn machine(toml: &str) -> Machine {
    Machine::check(&options(toml)).unwrap().machine
}

/// An alert: firing, acknowledged, resolved.
const ALERT: &str = r#"
name = "alert"
initial_state = "open"
states = ["open", "firing", "acknowledged", "resolved"]
transitions = [
    { from = "open", to = "firing", on_transition = { notify = true } },
    { from = "open", to = "resolved", on_transition = { notify = true } },
    { from = "firing", to = "acknowledged" },
    { from = "firing", to = "resolved", on_transition = { notify = true } },
    { from = "acknowledged", to = "resolved", on_transition = { notify = true } },
]
timeouts = [{ state = "acknowledged", after_seconds = 600, transition_to = "firing" }]
"#;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + seconds)
}

fn asks(status: &str, seconds: i64) -> EventReport<'_> {
    EventReport {
        id: "",
        status: Some(status),
        starts_at: None,
        ends_at: None,
        at: at(seconds),
        silence: None,
    }
}

/// Applies reports one after another and returns the last step. A report without an id gets one.
fn after(machine: &Machine, reports: &[EventReport<'_>]) -> MachineStep {
    let mut event: Option<Lifecycle> = None;
    let mut last = None;
    for (number, report) in reports.iter().enumerate() {
        let id = match report.id {
            "" => format!("report {number}"),
            id => id.to_owned(),
        };
        let report = EventReport { id: &id, ..*report };
        let step = machine.report(event.take(), &report);
        event = Some(step.event.clone());
        last = Some(step);
    }
    last.unwrap()
}
