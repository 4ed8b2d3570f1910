use std::fs;
use std::path::PathBuf;

use crate::{Mutation, Reading, TARGETS, Target};

/// How many mutated inputs each target gets: a few seconds' worth.
const ROUNDS: u64 = 1000;
/// Fixed, so that a passing test keeps passing; `ACTEON_FUZZ_SEED` overrides it.
const SEED: u64 = 0xac7e;

mod adversarial;

#[test]
fn actions_and_batches_are_read_or_refused() {
    run_all("decode");
}

#[test]
fn rule_files_are_compiled_or_refused() {
    run_all("rules");
}

#[test]
fn all_rules_and_actions_get_a_decision() {
    run_all("decide");
}

#[test]
fn a_cel_expression_means_the_same_everywhere_in_a_rule() {
    run_all("cel");
}

#[test]
fn a_configuration_is_read_or_refused_and_tells_no_secret() {
    run_all("config");
}

#[test]
fn every_target_has_a_dictionary_and_a_corpus_of_which_some_is_accepted_and_some_refused() {
    for target in TARGETS {
        let inputs = corpus(target);
        for reading in [Reading::Accepted, Reading::Refused] {
            let mut readings = inputs.iter().map(|(_, input)| target.run(input));
            assert!(readings.any(|found| found == reading), "{}", target.name);
        }
        assert!(!pieces(target).is_empty(), "{}", target.name);
    }
}

/// Runs every input of the corpus, then random mutations of them. The last input printed is the one that failed; run
/// with `--nocapture` to see an input that ends the process.
fn run_all(name: &str) {
    let target = Target::named(name).unwrap();
    let mut inputs = Vec::new();
    for (file, input) in corpus(target) {
        println!("corpus/{name}/{file}");
        target.run(&input);
        inputs.push(input);
    }
    let seed = std::env::var("ACTEON_FUZZ_SEED").map_or(SEED, |seed| seed.parse().unwrap());
    let pieces = pieces(target);
    for round in 0..ROUNDS {
        let input = Mutation::new(seed + round, &pieces).next(&inputs);
        println!(
            "ACTEON_FUZZ_SEED={}: {:?}",
            seed + round,
            String::from_utf8_lossy(&input)
        );
        target.run(&input);
    }
}

/// The inputs of the corpus, by name.
fn corpus(target: Target) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(here().join("corpus").join(target.name)).unwrap();
    let read = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    let mut inputs: Vec<_> = entries.map(|entry| read(entry.unwrap())).collect();
    inputs.sort();
    inputs
}

/// The words of the target's dictionary: one per line, in quotes, with `\xNN` for a byte.
fn pieces(target: Target) -> Vec<Vec<u8>> {
    let path = here().join("dict").join(format!("{}.dict", target.name));
    let text = fs::read_to_string(path).unwrap();
    let words = text.lines().filter_map(|line| line.strip_prefix('"'));
    words
        .map(|word| unescaped(word.strip_suffix('"').unwrap()))
        .collect()
}

fn unescaped(word: &str) -> Vec<u8> {
    let mut parts = word.split("\\x");
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(digits, 16).unwrap());
        bytes.extend(rest.bytes());
    }
    bytes
}

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
