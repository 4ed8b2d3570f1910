//! Whatever is written, reading it ends in settings or in errors.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const ROUNDS: usize = 1500;

#[test]
fn no_mutation_of_an_example_makes_reading_panic() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let registries = Registries::new();
    let examples = [
        "minimal.toml",
        "kafka-to-webhook.toml",
        "kafka-over-tls.toml",
        "full.toml",
    ]
    .map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples")
            .join(name);
        std::fs::read_to_string(path).unwrap()
    });
    for _ in 0..ROUNDS {
        let text = mutate(
            &examples[random.random_range(0..examples.len())],
            &mut random,
        );
        let key = mutate("ACTEON_PROVIDERS__CRM__TIMEOUT_SECONDS", &mut random);
        let flag = mutate("sources.orders.client.a", &mut random);
        let inputs = Inputs {
            path: None,
            environment: vec![(key, mutate("[1, { a = 2 }]", &mut random))],
            flags: vec![(flag, "5".into())],
        };
        let document = Document::new(DEFAULT_FILE, text);
        let loaded: LoadedConfig<TestPipeline> =
            read_document(document, &inputs, &registries.adapters());
        assert!(loaded.config.is_some() || !loaded.problems.is_empty());
        assert!(
            loaded
                .problems
                .iter()
                .all(|problem| !problem.message.is_empty())
        );
    }
}

/// Changes a few characters, or moves a few lines.
fn mutate(text: &str, random: &mut StdRng) -> String {
    const PIECES: &[&str] = &[
        "[",
        "]",
        "{",
        "}",
        "\"",
        "'",
        ".",
        "=",
        ",",
        "\n",
        "#",
        "-",
        "9",
        "99999999999999999999",
        "true",
        "name",
        "type",
        "[[",
        "\u{fffd}",
        "é",
        "\0",
        "__",
        "env:",
        "ENC[",
        " ",
        "0x",
        "e9",
    ];
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..random.random_range(1..6) {
        let length = characters.len();
        let at = random.random_range(0..=length);
        let end = (at + random.random_range(0..20)).min(length);
        match random.random_range(0..4) {
            0 => drop(characters.drain(at..end)),
            1 => {
                let moved: Vec<char> = characters.drain(at..end).collect();
                let to = random.random_range(0..=characters.len());
                characters.splice(to..to, moved);
            }
            2 => {
                let copied = characters[at..end].to_vec();
                characters.splice(at..at, copied);
            }
            _ => {
                let piece = PIECES[random.random_range(0..PIECES.len())];
                characters.splice(at..at, piece.chars());
            }
        }
    }
    characters.into_iter().collect()
}
