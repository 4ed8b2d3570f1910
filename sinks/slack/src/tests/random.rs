//! Whatever a message contains, Slack accepts it.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

const ROUNDS: usize = 20;
/// Around the limits.
const LENGTHS: &[usize] = &[0, 1, 40, 75, 76, 149, 150, 151, 301, 2001, 3001];
const COUNTS: &[usize] = &[0, 1, 9, 10, 11, 49, 50, 51];
const LETTERS: &[char] = &[
    'a',
    ' ',
    '<',
    '>',
    '&',
    '\n',
    '"',
    'ä',
    '…',
    '\u{1f600}',
    '\u{301}',
];

fn one<T: Copy>(random: &mut StdRng, all: &[T]) -> T {
    all[random.random_range(0..all.len())]
}

fn text(random: &mut StdRng) -> String {
    let length = one(random, LENGTHS);
    (0..length).map(|_| one(random, LETTERS)).collect()
}

fn text_object(random: &mut StdRng) -> Value {
    let kind = one(random, &["plain_text", "mrkdwn"]);
    json!({"type": kind, "text": text(random)})
}

fn list(random: &mut StdRng, make: fn(&mut StdRng) -> Value) -> Vec<Value> {
    let count = one(random, COUNTS);
    (0..count).map(|_| make(random)).collect()
}

fn block(random: &mut StdRng) -> Value {
    match random.random_range(0..6) {
        0 => json!({"type": "header", "text": {"type": "plain_text", "text": text(random)}}),
        1 => json!({"type": "section", "text": text_object(random)}),
        2 => json!({"type": "section", "fields": list(random, text_object)}),
        3 => json!({"type": "context", "elements": list(random, text_object)}),
        4 => json!({"type": "markdown", "text": text(random)}),
        _ => json!({"type": "divider"}),
    }
}

fn attachment(random: &mut StdRng) -> Value {
    json!({"text": text(random), "fields": [{"title": text(random), "value": text(random)}], "blocks": [block(random)]})
}

fn message(random: &mut StdRng) -> Value {
    let mut message = json!({ "text": text(random) });
    if random.random_bool(0.7) {
        message["blocks"] = list(random, block).into();
    }
    if random.random_bool(0.3) {
        message["attachments"] = json!([attachment(random), attachment(random)]);
    }
    message
}

#[tokio::test]
async fn every_message_is_accepted() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    for allow_mentions in [false, true] {
        let (slack, sink) = workspace(json!({ "allow_mentions": allow_mentions })).await;
        for round in 0..ROUNDS {
            let payload = message(&mut random);
            let delivered = deliver(&*sink, &payload).await;
            assert!(delivered.is_ok(), "round {round}: {delivered:?}");
        }
        assert_eq!(slack.messages().len(), ROUNDS);
    }
}
