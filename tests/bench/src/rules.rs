//! The time to decide about one action, in one thread: how it grows with the number of rules, with and without the
//! index.

use std::hint::black_box;

use acteon_core::decode::{Defaults, decode};
use acteon_core::{Action, Clock};
use acteon_rules::{CompileSettings, KnownProviders, RuleFile, RuleSet, StateAnswers};
use bytes::Bytes;
use tokio::time::Instant;

use crate::actions::{action, rules};
use crate::report::Report;

/// How many actions are decided in one measurement, after as many to warm up.
const ROUNDS: u32 = 200_000;

pub(crate) fn run() -> anyhow::Result<Report> {
    let actions: Vec<Action> = (0..64).map(read).collect::<Result<_, _>>()?;
    let mut report = Report::new("rules");
    let floor = measure(&RuleSet::empty(), &actions);
    report.row("no rules (the floor)", &[("ns", floor)]);

    let ten = measure(&compile(&[rules(10)])?, &actions);
    report.row("10 native rules", &[("ns", ten)]);
    let twenty = measure(&compile(&[rules(20)])?, &actions);
    report.row("20 native rules", &[("ns", twenty)]);
    let thousand = measure(&compile(&[rules(1_000)])?, &actions) / 1000.0;
    report.row("1,000 rules, a quarter indexed", &[("us", thousand)]);

    let few = measure(&compile(&indexed(10))?, &actions);
    report.row("10 rules by index", &[("ns", few)]);
    let many = measure(&compile(&indexed(10_000))?, &actions);
    report.row("10,000 rules by index, 10 could match", &[("ns", many)]);

    report.at_most("10 native rules, us", ten / 1000.0, 1.0);
    report.at_most("10,000 by index / 10 by index", many / few, 2.0);
    Ok(report)
}

/// Rules of which ten match the action types that are offered; the others name types that never occur.
fn indexed(count: usize) -> Vec<String> {
    let numbers: Vec<_> = (0..count).collect();
    numbers.chunks(1000).map(indexed_file).collect()
}

fn indexed_file(numbers: &[usize]) -> String {
    let mut text = String::from("rules:\n");
    for number in numbers {
        let name = if *number < 10 {
            format!("order_{number}")
        } else {
            format!("other_{number}")
        };
        text += &format!(
            "  - name: rule-{number}\n    condition: {{ all: [{{ field: action.action_type, eq: {name} }}, \
             {{ field: action.payload.amount, gt: 1000 }}] }}\n    action: {{ type: suppress }}\n"
        );
    }
    text
}

fn compile(texts: &[String]) -> anyhow::Result<RuleSet> {
    let files: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(number, text)| RuleFile {
            name: format!("bench-{number:03}.yaml"),
            text: text.clone(),
        })
        .collect();
    let settings = CompileSettings {
        default_timezone: jiff::tz::TimeZone::UTC,
        environment: Vec::new(),
        providers: KnownProviders::Any,
        ..CompileSettings::default()
    };
    RuleSet::compile(&files, &settings)
        .map_err(|problems| anyhow::anyhow!("the bench's own rules are refused: {problems:?}"))
}

fn read(number: u64) -> anyhow::Result<Action> {
    let draft = decode(&Bytes::from(action(number)))?;
    let now = Clock::system().now();
    Ok(draft.complete(&Defaults::default(), || number.to_string().into(), now)?)
}

/// Nanoseconds per action, the best of five measurements.
fn measure(set: &RuleSet, actions: &[Action]) -> f64 {
    let now = Clock::system().now();
    let nothing = StateAnswers::default();
    let round = || {
        let start = Instant::now();
        for action in actions.iter().cycle().take(ROUNDS as usize) {
            black_box(set.decide(black_box(action), now, &nothing));
        }
        start.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS)
    };
    (0..5).map(|_| round()).fold(f64::INFINITY, f64::min)
}
