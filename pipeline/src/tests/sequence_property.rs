//! Whatever fails, and however late a delayed path is: at the sink, each sequence is in the order in which it was
//! decided, and nothing is lost.

use std::time::Duration;

use acteon_core::{Envelope, Feed, Intake as _, Settled};
use acteon_testkit::{Answer, RecordingSink};
use compact_str::CompactString;
use hashbrown::HashMap;
use proptest::prelude::*;
use tokio::time::{Instant, sleep_until};

use super::bench::{name, record};
use super::{Bench, Provider};
use crate::PipelineOptions;

const SEQUENCES: usize = 100;
/// How late the delayed path may be. The place of what is later than this is given up.
const LATE_MAX_MS: u64 = 50_000;

fn answers() -> impl Strategy<Value = Vec<Answer>> {
    let answer = prop_oneof![
        6 => Just(Answer::Succeed),
        4 => (1u64..3000).prop_map(|ms| Answer::SucceedAfter(Duration::from_millis(ms))),
        6 => Just(Answer::Transient(None)),
        1 => Just(Answer::Transient(Some(Duration::from_secs(40)))),
        1 => Just(Answer::Permanent),
        1 => Just(Answer::ProviderFault),
    ];
    prop::collection::vec(answer, 0..300)
}

/// The batches of a source: the pause before each, and its sequences.
fn batches() -> impl Strategy<Value = Vec<(u64, Vec<usize>)>> {
    let few = prop::collection::vec(0usize..5, 1..8);
    let many = prop::collection::vec(0usize..SEQUENCES, 1..40);
    prop::collection::vec((0u64..4000, prop_oneof![few, many]), 1..20)
}

/// A source that hands in again what comes back, late by turns.
struct Source<'a> {
    bench: &'a Bench,
    feed: Feed,
    late: Vec<u64>,
    away: Vec<(Instant, Box<Envelope>)>,
    delays: usize,
    finished: usize,
}

impl Source<'_> {
    /// Goes on until this time, or until all of `count` have ended.
    async fn go_on(&mut self, until: Option<Instant>, count: usize) {
        loop {
            self.take_ended();
            if self.finished == count || until.is_some_and(|until| until <= Instant::now()) {
                return;
            }
            self.hand_in_due().await;
            let next = self.away.iter().map(|(at, _)| *at).chain(until).min();
            let ended = self.bench.lender.ended_count();
            tokio::select! {
                () = self.bench.lender.wait_for_ended(ended + 1) => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }

    fn take_ended(&mut self) {
        for (_, settled) in self.bench.lender.take_ended() {
            let Settled::Later {
                envelope, after, ..
            } = settled
            else {
                self.finished += 1;
                continue;
            };
            let late = self.late.get(self.delays % self.late.len().max(1));
            self.delays += 1;
            let wait = after + Duration::from_millis(late.copied().unwrap_or_default());
            self.away.push((Instant::now() + wait, envelope));
        }
    }

    async fn hand_in_due(&mut self) {
        let now = Instant::now();
        let (due, away) = std::mem::take(&mut self.away)
            .into_iter()
            .partition(|(at, _)| *at <= now);
        self.away = away;
        let due: Vec<_> = due;
        let lent = due.into_iter().map(|(_, envelope)| {
            let name = envelope.action.id.clone();
            self.bench.lender.lend(name, *envelope)
        });
        let lent: Vec<_> = lent.collect();
        if !lent.is_empty() {
            self.bench.pipeline.submit(lent, &self.feed).await;
        }
    }
}

async fn play(batches: Vec<(u64, Vec<usize>)>, answers: Vec<Answer>, late: Vec<u64>) {
    let sink = RecordingSink::ordered(|_| Answer::Succeed);
    sink.script(answers);
    let provider = Provider::new("log", &sink)
        .retries(1)
        .bounds(3, 30)
        .breaker(3);
    let bench = Bench::new("rules: []", [provider], PipelineOptions::default()).await;
    let mut source = Source {
        bench: &bench,
        feed: Feed::default(),
        late,
        away: Vec::new(),
        delays: 0,
        finished: 0,
    };
    let mut decided: HashMap<CompactString, Vec<CompactString>> = HashMap::new();
    let mut count = 0;
    for (pause, sequences) in batches {
        let until = Instant::now() + Duration::from_millis(pause);
        source.go_on(Some(until), usize::MAX).await;
        let batch = sequences.into_iter().map(|sequence| {
            count += 1;
            let (id, sequence) = (name(count), name(sequence));
            decided
                .entry(sequence.clone())
                .or_default()
                .push(id.clone());
            record(&id)
                .position("kafka:orders/0", count as u64)
                .fingerprint(&sequence)
        });
        let batch: Vec<_> = batch.collect();
        tokio::join!(bench.submit(batch), source.go_on(Some(until), usize::MAX));
    }
    source.go_on(None, count).await;
    check(&sink, &decided);
}

/// The attempts of each sequence begin in the order of its decisions.
fn check(sink: &RecordingSink, decided: &HashMap<CompactString, Vec<CompactString>>) {
    for (sequence, ids) in decided {
        let attempts = sink.attempts().into_iter();
        let of_sequence =
            attempts.filter(|seen| seen.action.fingerprint.as_ref() == Some(sequence));
        let mut seen: Vec<_> = of_sequence.map(|seen| seen.action.id).collect();
        seen.dedup();
        assert_eq!(seen, *ids, "{sequence}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_sequence_arrives_in_the_order_in_which_it_was_decided(
        batches in batches(), answers in answers(), late in prop::collection::vec(0..LATE_MAX_MS, 0..10)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(play(batches, answers, late));
    }
}
