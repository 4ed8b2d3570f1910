//! The document of the state port names every clause of its contract, and no clause that does not exist.

use std::collections::BTreeSet;

use super::house::{House, Source};
use super::{Violation, assert_kept};

/// Where the port and its traits are.
const PORT: &str = "core/src/state";
const CONTRACT: &str = "tests/testkit/src/contract/state.rs";

/// A clause is named by a sentence.
fn is_sentence(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.matches('_').count() >= 2 && name.chars().all(is_part)
}

/// The sentences between backticks in doc comments.
fn named(port: &str) -> BTreeSet<&str> {
    let docs = port.lines().filter(|line| line.trim().starts_with("///"));
    let quoted = docs.flat_map(|line| line.split('`').skip(1).step_by(2));
    quoted.filter(|name| is_sentence(name)).collect()
}

/// The clauses that the contract runs, one on each line.
fn clauses(contract: &str) -> BTreeSet<&str> {
    let lines = contract.lines().map(str::trim);
    lines.filter(|line| is_sentence(line)).collect()
}

fn check(port: &str, contract: &str) -> Vec<Violation> {
    let named = named(port);
    let clauses = clauses(contract);
    let unknown = named.difference(&clauses);
    let unknown = unknown.map(|name| format!("`{name}` is no clause of {CONTRACT}"));
    let missing = clauses.difference(&named);
    let missing = missing.map(|name| format!("no method names the clause `{name}`"));
    let laws = unknown.chain(missing);
    laws.map(|law| Violation::of(PORT, law)).collect()
}

#[test]
fn the_state_port_names_the_clauses_of_its_contract() {
    let house = House::read();
    let is_of_port = |source: &&Source| source.path.starts_with(PORT);
    let sources = house.sources();
    let port = sources.iter().filter(is_of_port);
    let port: String = port.map(|source| source.text.as_str()).collect();
    assert_kept(&check(&port, &house.text(CONTRACT).expect("a file")));
}

#[test]
fn a_clause_that_is_not_named_and_a_name_without_clause_are_found() {
    let port =
        "/// Clauses: `one_is_run`, `none_is_there`. See `State::gather`.\nfn `not_in_docs`() {}";
    let contract = "contract_tests!(x, [\n    one_is_run\n    another_is_run\n]);";
    let found: Vec<_> = check(port, contract).into_iter().map(|v| v.law).collect();
    assert_eq!(
        found,
        [
            "`none_is_there` is no clause of tests/testkit/src/contract/state.rs",
            "no method names the clause `another_is_run`"
        ]
    );
}
