//! Turns the options of a machine into a machine, or says everything that is wrong with them.

use std::collections::BTreeSet;
use std::fmt;

use compact_str::{CompactString, format_compact};
use jiff::SignedDuration;

use crate::machine::{Machine, STALE, StateRow, TimeoutRow, TransitionRow};
use crate::options::{MachineOptions, Since, TimeoutOptions};

const REMINDER_SECONDS_MIN: u64 = 60;
const REMINDERS_MAX: u32 = 24;
const NAME_BYTES_MAX: usize = 256;
/// The most states, transitions or timeouts of a machine.
const LIST_MAX: usize = 200;
/// A hundred years: times beyond it cannot be computed with.
const SECONDS_MAX: u64 = 3_155_760_000;

/// Something wrong, with the option it is about, relative to the machine's section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineProblem {
    /// For example `transitions[2].to`.
    pub option: CompactString,
    /// One sentence.
    pub message: CompactString,
}

impl fmt::Display for MachineProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.option, self.message)
    }
}

/// A machine, with warnings about its options.
#[derive(Clone, Debug)]
pub struct CheckedMachine {
    /// The machine.
    pub machine: Machine,
    /// States that were added because only a transition or a timeout names them.
    pub warnings: Vec<MachineProblem>,
}

impl Machine {
    /// Checks the options of a machine.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn check(options: &MachineOptions) -> Result<CheckedMachine, Vec<MachineProblem>> {
        let mut check = Check::default();
        check.require_short_lists(options);
        if !check.problems.is_empty() {
            return Err(check.problems);
        }
        check.add_declared(options);
        check.add_transitions(options);
        check.add_timeouts(options);
        check.add_staleness(options);
        check.set_terminal(options);
        check.set_since();
        check.require_bounds(options);
        check.require_reachable(options);
        check.refuse_repeats(options);
        check.refuse_instant_cycles();
        if !check.problems.is_empty() {
            return Err(check.problems);
        }
        let seconds = |count: u64| SignedDuration::from_secs(count.min(SECONDS_MAX).cast_signed());
        let stale_after =
            (options.stale_after_seconds > 0).then(|| seconds(options.stale_after_seconds));
        let machine = Machine {
            name: options.name.as_str().into(),
            initial: options.initial_state.as_str().into(),
            states: check.states,
            retention: seconds(options.retention_seconds),
            stale_after,
        };
        Ok(CheckedMachine {
            machine,
            warnings: check.warnings,
        })
    }
}

#[derive(Default)]
struct Check {
    states: Vec<StateRow>,
    /// The timeouts without `since`: their state, and their place among its timeouts.
    since_left_out: Vec<(usize, usize)>,
    problems: Vec<MachineProblem>,
    warnings: Vec<MachineProblem>,
}

impl Check {
    fn problem(&mut self, option: impl Into<CompactString>, message: impl Into<CompactString>) {
        self.problems.push(MachineProblem {
            option: option.into(),
            message: message.into(),
        });
    }

    fn position(&self, state: &str) -> Option<usize> {
        self.states.iter().position(|row| row.name == state)
    }

    /// Checked first, because the other checks compare all states with each other.
    fn require_short_lists(&mut self, options: &MachineOptions) {
        let lists = [
            ("states", options.states.len()),
            ("transitions", options.transitions.len()),
            ("timeouts", options.timeouts.len()),
        ];
        for (option, length) in lists {
            if length > LIST_MAX {
                self.problem(
                    option,
                    format_compact!("must have at most {LIST_MAX} items"),
                );
            }
        }
    }

    fn add_declared(&mut self, options: &MachineOptions) {
        self.check_name(&options.name, "name");
        for (index, name) in options.states.iter().enumerate() {
            let option = format_compact!("states[{index}]");
            if self.position(name).is_some() {
                self.problem(option, format_compact!("\"{name}\" is listed twice"));
            } else {
                self.check_name(name, option);
                self.states.push(StateRow::named(name));
            }
        }
        if self.position(&options.initial_state).is_none() {
            let message = match options.states.is_empty() {
                true => format_compact!("\"{}\" is not one of `states`", options.initial_state),
                false => unknown(&options.initial_state, &options.states),
            };
            self.problem("initial_state", message);
        }
    }

    fn check_name(&mut self, name: &str, option: impl Into<CompactString>) {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            self.problem(
                option,
                format_compact!("must have 1 to {NAME_BYTES_MAX} bytes"),
            );
        }
    }

    /// Adds a state that is named elsewhere, with a warning if it is new.
    fn add_named(&mut self, name: &str, option: CompactString) -> usize {
        if let Some(at) = self.position(name) {
            return at;
        }
        self.check_name(name, option.clone());
        if name != STALE {
            let message =
                format_compact!("\"{name}\" is not one of `states`, and is added to them");
            self.warnings.push(MachineProblem { option, message });
        }
        self.states.push(StateRow::named(name));
        self.states.len() - 1
    }

    fn add_transitions(&mut self, options: &MachineOptions) {
        for (index, transition) in options.transitions.iter().enumerate() {
            let option = |field| format_compact!("transitions[{index}].{field}");
            let from = self.add_named(&transition.from, option("from"));
            self.add_named(&transition.to, option("to"));
            if self.states[from].transition(&transition.to).is_some() {
                let message = format_compact!(
                    "the transition from \"{}\" to \"{}\" is listed twice",
                    transition.from,
                    transition.to
                );
                self.problem(option("to"), message);
                continue;
            }
            self.states[from].transitions.push(TransitionRow {
                to: transition.to.as_str().into(),
                on_transition: transition.on_transition.clone(),
            });
        }
    }

    fn add_timeouts(&mut self, options: &MachineOptions) {
        for (index, timeout) in options.timeouts.iter().enumerate() {
            let option = |field| format_compact!("timeouts[{index}].{field}");
            if let (Some(_), Some(_)) = (&timeout.state, &timeout.in_state) {
                self.problem(
                    option("in_state"),
                    "means the same as `state`; give one of them",
                );
            }
            let state = self.add_named(timeout.state(), option("state"));
            self.add_named(&timeout.transition_to, option("transition_to"));
            self.check_reminder(timeout, &option);
            if timeout.since.is_none() {
                let row = self.states[state].timeouts.len();
                self.since_left_out.push((state, row));
            }
            let after = timeout.after_seconds.min(SECONDS_MAX).cast_signed();
            self.states[state].timeouts.push(TimeoutRow {
                to: timeout.transition_to.as_str().into(),
                after: SignedDuration::from_secs(after),
                since: timeout.since.unwrap_or(Since::Entered),
                max_repeats: timeout.max_repeats.unwrap_or(REMINDERS_MAX),
            });
        }
    }

    fn check_reminder(
        &mut self,
        timeout: &TimeoutOptions,
        option: &impl Fn(&'static str) -> CompactString,
    ) {
        let is_reminder = timeout.state() == timeout.transition_to;
        if is_reminder && timeout.after_seconds < REMINDER_SECONDS_MIN {
            let message = format_compact!(
                "must be at least {REMINDER_SECONDS_MIN} for a timeout to its own state, which is a reminder"
            );
            self.problem(option("after_seconds"), message);
        }
        match timeout.max_repeats {
            Some(_) if !is_reminder => self.problem(
                option("max_repeats"),
                "is only for a timeout to its own state, which is a reminder",
            ),
            Some(count) if !(1..=REMINDERS_MAX).contains(&count) => {
                let message = format_compact!("must be from 1 to {REMINDERS_MAX}");
                self.problem(option("max_repeats"), message);
            }
            Some(_) | None => {}
        }
    }

    fn add_staleness(&mut self, options: &MachineOptions) {
        if options.stale_after_seconds > 0 && self.position(STALE).is_none() {
            self.states.push(StateRow::named(STALE));
        }
    }

    fn set_terminal(&mut self, options: &MachineOptions) {
        let Some(names) = &options.terminal_states else {
            for row in &mut self.states {
                row.is_terminal = !row.can_be_left();
            }
            return self.require_terminal_stale(options);
        };
        for (index, name) in names.iter().enumerate() {
            match self.position(name) {
                Some(at) => self.states[at].is_terminal = true,
                None => {
                    let known: Vec<_> =
                        self.states.iter().map(|row| row.name.to_string()).collect();
                    let option = format_compact!("terminal_states[{index}]");
                    self.problem(option, unknown(name, &known));
                }
            }
        }
        if options.stale_after_seconds > 0
            && !options.states.iter().any(|name| name == STALE)
            && let Some(at) = self.position(STALE)
        {
            self.states[at].is_terminal = true;
        }
        self.require_terminal_stale(options);
    }

    fn require_terminal_stale(&mut self, options: &MachineOptions) {
        let stale = self.position(STALE).map(|at| &self.states[at]);
        if options.stale_after_seconds > 0 && stale.is_some_and(|row| !row.is_terminal) {
            self.problem(
                "stale_after_seconds",
                "must be 0 because the state \"stale\" is not terminal",
            );
        }
    }

    /// A timeout that ends an event counts from the last report unless it says otherwise.
    fn set_since(&mut self) {
        for (state, row) in std::mem::take(&mut self.since_left_out) {
            let to = self.states[state].timeouts[row].to.clone();
            let ends = self
                .position(&to)
                .is_some_and(|to| self.states[to].is_terminal);
            if ends && to != self.states[state].name {
                self.states[state].timeouts[row].since = Since::LastReport;
            }
        }
    }

    fn require_bounds(&mut self, options: &MachineOptions) {
        let bounded = [
            ("retention_seconds", options.retention_seconds),
            ("stale_after_seconds", options.stale_after_seconds),
        ];
        for (option, seconds) in bounded {
            if seconds > SECONDS_MAX {
                self.problem(option, format_compact!("must be at most {SECONDS_MAX}"));
            }
        }
        for (index, timeout) in options.timeouts.iter().enumerate() {
            if timeout.after_seconds > SECONDS_MAX {
                let option = format_compact!("timeouts[{index}].after_seconds");
                self.problem(option, format_compact!("must be at most {SECONDS_MAX}"));
            }
        }
    }

    fn require_reachable(&mut self, options: &MachineOptions) {
        let Some(initial) = self.position(&options.initial_state) else {
            return;
        };
        let mut reached = BTreeSet::from([initial]);
        let mut todo = vec![initial];
        while let Some(at) = todo.pop() {
            let next: Vec<_> = self.states[at]
                .targets()
                .filter_map(|to| self.position(to))
                .collect();
            todo.extend(next.into_iter().filter(|to| reached.insert(*to)));
        }
        for (index, name) in options.states.iter().enumerate() {
            let at = self.position(name);
            if name != STALE && at.is_some_and(|at| !reached.contains(&at)) {
                let message = format_compact!(
                    "\"{name}\" cannot be reached from the initial state \"{}\"",
                    options.initial_state
                );
                self.problem(format_compact!("states[{index}]"), message);
            }
        }
    }

    /// Two timeouts of one state and one start: only the shorter could ever happen.
    fn refuse_repeats(&mut self, options: &MachineOptions) {
        let mut seen = BTreeSet::new();
        for (index, timeout) in options.timeouts.iter().enumerate() {
            let Some(state) = self.position(timeout.state()) else {
                continue;
            };
            let rows = &self.states[state].timeouts;
            let nth = options.timeouts[..index]
                .iter()
                .filter(|other| other.state() == timeout.state());
            let since = rows[nth.count()].since;
            if !seen.insert((state, since == Since::Entered)) {
                let since = match since {
                    Since::Entered => "entered",
                    Since::LastReport => "last_report",
                };
                let message = format_compact!(
                    "\"{}\" has another timeout since \"{since}\"",
                    timeout.state()
                );
                self.problem(format_compact!("timeouts[{index}].state"), message);
            }
        }
    }

    fn refuse_instant_cycles(&mut self) {
        let starts: Vec<_> = self.states.iter().map(|row| row.name.clone()).collect();
        for start in starts {
            let mut path = vec![start.clone()];
            while let Some(next) = path.last().and_then(|state| self.instant_target(state)) {
                if next == start {
                    // Reported once, at the first of its states by name.
                    if path.iter().all(|state| *state >= start) {
                        path.push(next);
                        let message = format_compact!(
                            "these follow each other in no time: {}",
                            path.join(" -> ")
                        );
                        self.problem("timeouts", message);
                    }
                    break;
                }
                if path.contains(&next) {
                    break;
                }
                path.push(next);
            }
        }
    }

    /// The state that a timeout of zero leads to.
    fn instant_target(&self, state: &str) -> Option<CompactString> {
        let row = &self.states[self.position(state)?];
        let instant = row
            .timeouts
            .iter()
            .find(|timeout| timeout.after.is_zero())?;
        Some(instant.to.clone())
    }
}

impl StateRow {
    fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            is_terminal: false,
            transitions: Vec::new(),
            timeouts: Vec::new(),
        }
    }

    fn targets(&self) -> impl Iterator<Item = &CompactString> {
        let by_transition = self.transitions.iter().map(|row| &row.to);
        by_transition.chain(self.timeouts.iter().map(|row| &row.to))
    }

    fn can_be_left(&self) -> bool {
        self.targets().any(|to| *to != self.name)
    }
}

fn unknown(name: &str, known: &[String]) -> CompactString {
    let distance = |other: &&String| strsim::damerau_levenshtein(name, other);
    let nearest = known
        .iter()
        .min_by_key(distance)
        .filter(|other| distance(other) <= 2);
    let hint = nearest.map(|other| format_compact!("; did you mean \"{other}\"?"));
    format_compact!(
        "\"{name}\" is not one of `states`{}",
        hint.unwrap_or_default()
    )
}
