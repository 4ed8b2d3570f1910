//! Rule files: a set or problems, each with a position in a file; the same for the same files in any order.

use acteon_core::rules::RuleProblem;
use acteon_rules::{CompileSettings, RuleFile, RuleSet};

use crate::Reading;
use crate::parts::{split, text};

/// The longest message shown to a person.
const MESSAGE_CHARS_MAX: usize = 2000;

pub(crate) fn feed(input: &[u8]) -> Reading {
    let parts: [&[u8]; 3] = split(input);
    let named = |(number, part): (usize, &&[u8])| RuleFile {
        name: format!("{number}.yaml"),
        text: text(part),
    };
    let given = parts
        .iter()
        .enumerate()
        .filter(|(_, part)| !part.is_empty());
    let mut files: Vec<RuleFile> = given.map(named).collect();
    let first = RuleSet::compile(&files, &settings());
    if let Err(problems) = &first {
        assert!(!problems.is_empty(), "refused without a problem");
        problems.iter().for_each(|problem| check(problem, &files));
    }
    files.reverse();
    same(&first, &RuleSet::compile(&files, &settings()));
    match first {
        Ok(_) => Reading::Accepted,
        Err(_) => Reading::Refused,
    }
}

/// The providers and variables that rules may refer to.
pub(crate) fn settings() -> CompileSettings {
    CompileSettings {
        environment: vec![("STAGE".into(), "prod".into())],
        state_machines: ["m".into()].into(),
        ..CompileSettings::default()
    }
}

fn check(problem: &RuleProblem, files: &[RuleFile]) {
    let file = files.iter().find(|file| file.name == problem.file);
    let file = file.unwrap_or_else(|| panic!("a problem without a file: {problem}"));
    // YAML has three line endings, and the end of the file starts one more line.
    let lines = file.text.split(['\n', '\r']).count() + 1;
    assert!((1..=lines).contains(&problem.line), "{problem}");
    assert!(
        (1..=file.text.len() + 1).contains(&problem.column),
        "{problem}"
    );
    let length = problem.message.chars().count();
    assert!((1..=MESSAGE_CHARS_MAX).contains(&length), "{problem}");
}

fn same(one: &Result<RuleSet, Vec<RuleProblem>>, other: &Result<RuleSet, Vec<RuleProblem>>) {
    match (one, other) {
        (Ok(one), Ok(other)) => {
            assert_eq!(one.content_hash(), other.content_hash());
            assert_eq!(one.summaries(), other.summaries());
            assert_eq!(one.providers(), other.providers());
            assert_eq!(one.asks(), other.asks());
        }
        (Err(one), Err(other)) => assert_eq!(one, other),
        _ => panic!("accepted once and refused once"),
    }
}
