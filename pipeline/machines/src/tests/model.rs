//! Random machines and random steps, against a model that is obviously right.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::at;
use crate::{
    EventChange, EventReport, HISTORY_MAX, Lifecycle, Machine, MachineOptions, MachineStep,
    ManualMove, OnTransition, TimeoutOptions, TransitionCause, TransitionOptions, TransitionRecord,
};

const STATES: usize = 5;

#[derive(Clone, Debug)]
enum Op {
    Report {
        status: Option<usize>,
        start: Option<i64>,
    },
    Manual(usize),
    TimeOut,
    Tell,
}

/// A step, and whether a silence is in force.
#[derive(Clone, Debug)]
struct Moment {
    op: Op,
    is_silenced: bool,
}

impl Moment {
    fn silence(&self) -> Option<&'static str> {
        self.is_silenced.then_some("s")
    }
}

fn name(state: usize) -> String {
    format!("s{state}")
}

/// Transitions to even states are announced.
fn transition((from, to): (usize, usize)) -> TransitionOptions {
    let on_transition = OnTransition {
        notify: to.is_multiple_of(2),
        ..OnTransition::default()
    };
    TransitionOptions {
        from: name(from),
        to: name(to),
        on_transition,
    }
}

fn timeout((state, to, after): (usize, usize, u64)) -> TimeoutOptions {
    TimeoutOptions {
        state: Some(name(state)),
        in_state: None,
        after_seconds: after,
        transition_to: name(to),
        since: None,
        max_repeats: None,
    }
}

prop_compose! {
    fn machine_options()(
        edges in vec((0..STATES, 0..STATES), 0..10),
        timeouts in vec((0..STATES, 0..STATES, 1..200_u64), 0..4),
        stale_after_seconds in prop_oneof![Just(0), 50..500_u64],
    ) -> MachineOptions {
        let edges: BTreeSet<_> = edges.into_iter().collect();
        let timeouts: std::collections::BTreeMap<_, _> =
            timeouts.into_iter().map(|(state, to, after)| (state, (to, after + 60))).collect();
        MachineOptions {
            name: "m".into(),
            initial_state: name(0),
            states: vec![name(0)],
            transitions: edges.into_iter().map(transition).collect(),
            timeouts: timeouts.into_iter().map(|(state, (to, after))| timeout((state, to, after))).collect(),
            terminal_states: None,
            retention_seconds: 60,
            stale_after_seconds,
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (proptest::option::of(0..STATES), proptest::option::of(0..2000_i64))
            .prop_map(|(status, start)| Op::Report { status, start }),
        1 => (0..STATES).prop_map(Op::Manual),
        2 => Just(Op::TimeOut),
        1 => Just(Op::Tell),
    ]
}

fn moment() -> impl Strategy<Value = Moment> {
    (op(), any::<bool>()).prop_map(|(op, is_silenced)| Moment { op, is_silenced })
}

/// Reads the options again for each question.
struct Model<'a>(&'a MachineOptions);

impl Model<'_> {
    fn has(&self, from: &str, to: &str) -> bool {
        self.0
            .transitions
            .iter()
            .any(|edge| edge.from == from && edge.to == to)
    }

    fn is_terminal(&self, state: &str) -> bool {
        let leaves = self
            .0
            .transitions
            .iter()
            .any(|edge| edge.from == state && edge.to != state);
        let times_out =
            |timeout: &TimeoutOptions| timeout.state() == state && timeout.transition_to != state;
        !leaves && !self.0.timeouts.iter().any(times_out)
    }

    /// The time at which the event's timeouts can first happen.
    fn due(&self, event: &Lifecycle) -> Option<i64> {
        let mut due = Vec::new();
        let seconds = |time: jiff::Timestamp| time.as_second() - at(0).as_second();
        for timeout in self
            .0
            .timeouts
            .iter()
            .filter(|timeout| timeout.state() == event.state)
        {
            let after = i64::try_from(timeout.after_seconds).unwrap();
            let is_reminder = timeout.transition_to == event.state;
            if is_reminder && event.reminders < 24 {
                let last = event.reminded_at.unwrap_or(event.entered_at);
                due.push(seconds(last) + after);
            }
            if !is_reminder {
                let start = match self.is_terminal(&timeout.transition_to) {
                    true => event.last_report_at.max(event.entered_at),
                    false => event.entered_at,
                };
                due.push(seconds(start) + after);
            }
        }
        if self.0.stale_after_seconds > 0 && !self.is_terminal(&event.state) {
            let after = i64::try_from(self.0.stale_after_seconds).unwrap();
            due.push(seconds(event.last_report_at) + after);
        }
        due.into_iter().min()
    }

    fn check_history(&self, event: &Lifecycle) {
        assert!(event.history.len() <= HISTORY_MAX);
        for pair in event.history.iter().zip(event.history.iter().skip(1)) {
            assert_eq!(pair.0.to, pair.1.from, "the history has no gaps");
            assert!(pair.0.at <= pair.1.at);
        }
        if let Some(last) = event.history.back() {
            assert_eq!((&last.to, last.at), (&event.state, event.entered_at));
        }
        for step in &event.history {
            let is_restart = self.is_terminal(&step.from) && step.to == self.0.initial_state;
            let is_allowed = match step.by {
                TransitionCause::Report(_) => self.has(&step.from, &step.to) || is_restart,
                TransitionCause::Operator(_) => self.has(&step.from, &step.to),
                TransitionCause::Timeout => self.0.timeouts.iter().any(|timeout| {
                    timeout.state() == step.from && timeout.transition_to == step.to
                }),
                TransitionCause::Staleness => {
                    step.to == crate::STALE && !self.is_terminal(&step.from)
                }
            };
            assert!(is_allowed, "{step:?}");
        }
    }

    /// The state in which a report leaves an event.
    fn reported(
        &self,
        before: Option<&Lifecycle>,
        status: Option<&str>,
        start: Option<i64>,
        now: i64,
    ) -> String {
        let initial = self.0.initial_state.as_str();
        let moved = |from: &str| {
            let to = status.filter(|to| self.has(from, to));
            to.unwrap_or(from).to_owned()
        };
        let Some(before) = before else {
            return moved(initial);
        };
        let start = start.map(|start| at(if start > now + 300 { now } else { start }));
        let is_older = |own| start.is_some_and(|start| start < own);
        let is_later =
            start.is_none_or(|start| start > before.starts_at.unwrap_or(before.entered_at));
        if before.starts_at.is_some_and(is_older) {
            return before.state.to_string();
        }
        if !self.is_terminal(&before.state) {
            return moved(&before.state);
        }
        let is_over = !is_later && before.state != crate::STALE;
        match status == Some(&before.state) || is_over {
            true => before.state.to_string(),
            false => moved(initial),
        }
    }
}

/// Makes one step and checks it against the model. `None`: nothing happened.
fn step(
    model: &Model<'_>,
    machine: &Machine,
    before: Option<&Lifecycle>,
    moment: Moment,
    now: i64,
) -> Option<MachineStep> {
    let silence = moment.silence();
    match (moment.op, before) {
        (Op::Report { status, start }, before) => {
            let status = status.map(name);
            let report = EventReport {
                id: &format!("at {now}"),
                status: status.as_deref(),
                starts_at: start.map(at),
                ends_at: None,
                at: at(now),
                silence,
            };
            let step = machine.report(before.cloned(), &report);
            let expected = model.reported(before, status.as_deref(), start, now);
            assert_eq!(step.event.state, expected);
            Some(step)
        }
        (Op::Manual(to), Some(before)) => {
            let to = name(to);
            let asked = ManualMove {
                to: &to,
                from: None,
                by: "ops",
                note: None,
                at: at(now),
                silence,
            };
            let is_allowed = model.has(&before.state, &to) || before.state == to;
            let result = machine.move_manually(before.clone(), &asked);
            assert_eq!(result.is_ok(), is_allowed);
            result.ok()
        }
        (Op::TimeOut, Some(before)) => {
            let due = model.due(before);
            assert_eq!(machine.due(before), due.map(at));
            let step = machine.time_out(before.clone(), at(now), silence);
            assert_eq!(step.is_some(), due.is_some_and(|due| due <= now));
            step
        }
        (Op::Tell, Some(before)) => {
            let mut event = before.clone();
            let told = machine.tell(&mut event)?;
            assert!(before.withheld_by.is_some() && event.was_notified);
            assert_eq!(
                (told.to, event.withheld_by.clone()),
                (before.state.clone(), None)
            );
            let change = EventChange::Refreshed;
            Some(MachineStep { event, change })
        }
        (Op::Manual(_) | Op::TimeOut | Op::Tell, None) => None,
    }
}

fn check_change(model: &Model<'_>, before: Option<&Lifecycle>, step: &MachineStep) {
    let present = &step.event;
    match (&step.change, before) {
        (EventChange::Ignored(_), Some(before)) => assert_eq!(present, before),
        (EventChange::Refreshed | EventChange::Reminded(_), Some(before)) => {
            assert_eq!(present.state, before.state);
        }
        (EventChange::Entered { from, to, .. }, before) => {
            let initial = model.0.initial_state.as_str();
            let left = before.map_or(initial, |before| &before.state);
            assert_eq!((from.as_str(), to), (left, &present.state));
        }
        (change, None) => panic!("a first report is {change:?}"),
    }
    if let Some(before) = before {
        assert!(present.last_report_at >= before.last_report_at);
        assert!(present.starts_at >= before.starts_at);
    }
}

/// The notices that a silence withholds, and those of ends. `announced`: the event had a notice since it began.
fn check_notice(
    model: &Model<'_>,
    before: Option<&Lifecycle>,
    step: &MachineStep,
    silence: Option<&str>,
    announced: bool,
) -> bool {
    let begins = before.is_none_or(|before| model.is_terminal(&before.state));
    let announced = announced && !begins;
    let EventChange::Entered { to, notice, .. } = &step.change else {
        return step.event.was_notified;
    };
    let is_declared = |record: &TransitionRecord| {
        let number = record.to.trim_start_matches('s').parse();
        let is_even = number.is_ok_and(|number: usize| number.is_multiple_of(2));
        is_even && model.has(&record.from, &record.to)
    };
    let declared = step.event.history.back().is_some_and(is_declared);
    let expected = match model.is_terminal(to) {
        true => declared && announced,
        false => declared && silence.is_none(),
    };
    assert_eq!(notice.is_some(), expected, "{step:?}");
    let is_withheld = declared && silence.is_some() && !model.is_terminal(to);
    assert_eq!(
        step.event.withheld_by.as_deref(),
        silence.filter(|_| is_withheld)
    );
    announced || notice.is_some()
}

fn run(machine: &Machine, options: &MachineOptions, steps: Vec<(i64, Moment)>) {
    let model = Model(options);
    let mut now = 0;
    let mut event: Option<Lifecycle> = None;
    let mut announced = false;
    for (wait, moment) in steps {
        now += wait;
        let silence = moment.silence();
        if let Some(step) = step(&model, machine, event.as_ref(), moment, now) {
            model.check_history(&step.event);
            check_change(&model, event.as_ref(), &step);
            announced = check_notice(&model, event.as_ref(), &step, silence, announced);
            event = Some(step.event);
        }
    }
}

proptest! {
    #[test]
    fn a_machine_does_what_its_options_say_and_nothing_else(
        options in machine_options(),
        steps in vec((1..150_i64, moment()), 1..40),
    ) {
        if let Ok(checked) = Machine::check(&options) {
            run(&checked.machine, &options, steps);
        }
    }
}
