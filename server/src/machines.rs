//! Checks the configured state machines, and locates their mistakes and warnings in the configuration.

use acteon_config::{Problem, ProblemList};
use acteon_machines::{Machine, MachineProblem};
use acteon_pipeline::Machines;

use crate::adapters::Config;

/// The machines. Everything that is wrong with the others is added to `problems`.
pub(crate) fn build(config: &Config, problems: &mut ProblemList) -> Machines {
    let wrong = located(config, |checked| checked.err().unwrap_or_default());
    problems.extend(wrong);
    machines(config)
}

/// The machines that are valid.
pub(crate) fn machines(config: &Config) -> Machines {
    let readable = config.pipeline.state_machines.iter().flatten();
    let checked = readable.filter_map(|options| Machine::check(options).ok());
    checked.map(|checked| checked.machine).collect()
}

/// What is valid but probably not intended: states that are not declared.
pub(crate) fn warnings(config: &Config) -> Vec<Problem> {
    located(config, |checked| {
        checked.map(|checked| checked.warnings).unwrap_or_default()
    })
}

fn located(config: &Config, found: impl Fn(MachineCheck) -> Vec<MachineProblem>) -> Vec<Problem> {
    let machines = config.pipeline.state_machines.iter().enumerate();
    let readable = machines.filter_map(|(index, options)| Some((index, options.as_ref()?)));
    let problems = readable.flat_map(|(index, options)| {
        let locate = move |problem: &MachineProblem| {
            let key = format!("state_machines[{index}].{}", problem.option);
            config.section.problem(&key, &problem.message)
        };
        let problems = found(Machine::check(options));
        problems.iter().map(locate).collect::<Vec<_>>()
    });
    problems.collect()
}

type MachineCheck = Result<acteon_machines::CheckedMachine, Vec<MachineProblem>>;
