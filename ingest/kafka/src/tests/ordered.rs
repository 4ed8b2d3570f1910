//! `ordered = true`: a key gets its actions one after another, and the end of a session never delivers an old action
//! after a newer one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use acteon_core::{Admission, Delay, ThrottledPolicy};
use acteon_testkit::{End, FakeIntake};
use parking_lot::Mutex;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::FutureRecord;

use super::{Running, Topic, WAIT_MAX, action, done, eventually};
use crate::KafkaConfig;

const KEYS: [&str; 3] = ["slow", "quick", "quicker"];
const ROUNDS: usize = 40;

fn ordered(topic: &Topic<'_>) -> KafkaConfig {
    let mut options = topic.options();
    options.ordered = true;
    options
}

/// Publishes rounds of one record per key, then one more record of the slow key. Ids are `partition/key:number`.
async fn publish_rounds(topic: &Topic<'_>, partition: i32) {
    for round in 0..ROUNDS {
        for key in KEYS {
            publish(topic, partition, key, round).await;
        }
    }
    publish(topic, partition, KEYS[0], ROUNDS).await;
}

async fn publish(topic: &Topic<'_>, partition: i32, key: &str, number: usize) {
    let value = action(&format!("{partition}/{key}:{number:03}"));
    topic
        .publish_as(partition, key, value.as_bytes(), OwnedHeaders::new())
        .await;
}

/// The settled actions in order; the slow key waits until it is released.
#[derive(Default)]
struct Settled {
    ids: Mutex<Vec<String>>,
    released: AtomicBool,
}

impl Settled {
    fn intake(self: &Arc<Self>) -> Arc<FakeIntake> {
        let settled = self.clone();
        FakeIntake::settling(move |envelope| {
            let id = envelope.action.id.to_string();
            if id.contains(KEYS[0]) && !settled.released.load(Ordering::Acquire) {
                return End::Hold;
            }
            settled.ids.lock().push(id);
            End::Done(done())
        })
    }

    /// From now on the slow key is as quick as the others.
    fn release(&self, intake: &FakeIntake) {
        self.released.store(true, Ordering::Release);
        for delivery in intake.take_held() {
            self.ids.lock().push(delivery.action.id.to_string());
            delivery.done(done());
        }
    }

    fn len(&self) -> usize {
        self.ids.lock().len()
    }

    /// Checks that each action was settled once, and those of each key in order.
    fn check(&self, partitions: usize) {
        let ids = self.ids.lock();
        for partition in 0..partitions {
            for key in KEYS {
                let of_key = format!("{partition}/{key}:");
                let seen: Vec<_> = ids.iter().filter(|id| id.starts_with(&of_key)).collect();
                assert!(seen.is_sorted(), "{seen:?}");
            }
        }
        let mut once = ids.clone();
        once.sort();
        once.dedup();
        let all = partitions * (KEYS.len() * ROUNDS + 1);
        assert_eq!((once.len(), ids.len()), (all, all), "each once");
    }
}

fn start(topic: &Topic<'_>, intake: &Arc<FakeIntake>, admission: &Arc<Admission>) -> Running {
    Running::start_with(ordered(topic), intake, |context| {
        context.admission = admission.clone();
        context.throttled = ThrottledPolicy::Drop;
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_of_an_ordered_source_leaves_nothing_to_be_delivered_twice() {
    let topic = Topic::create("cleanstop", 1).await;
    publish_rounds(&topic, 0).await;
    let settled = Arc::<Settled>::default();
    let admission = Admission::new(1000, 64 << 20);
    let intake = settled.intake();
    let running = start(&topic, &intake, &admission);
    // The first record of the slow key is held, and the others wait behind it.
    eventually("all others are settled", async || {
        settled.len() == 2 * ROUNDS && admission.actions_in_flight() as usize == ROUNDS + 1
    })
    .await;
    running.shutdown.stop.cancel();
    eventually(
        "records above the last one handed in are dropped",
        async || (admission.actions_in_flight() as usize) < ROUNDS + 1,
    )
    .await;
    settled.release(&intake);
    running.stop().await;
    assert_eq!(topic.committed(0).await, Some(3 * ROUNDS as i64));

    let running = start(&topic, &settled.intake(), &admission);
    topic.until_committed(0, 3 * ROUNDS as i64 + 1).await;
    running.stop().await;
    settled.check(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_of_an_ordered_source_is_drained_key_by_key_before_it_is_given_up() {
    let topic = Topic::create("keysmove", 2).await;
    for partition in 0..2 {
        publish_rounds(&topic, partition).await;
    }
    let settled = Arc::<Settled>::default();
    let admission = Admission::new(1000, 64 << 20);
    let intake = settled.intake();
    let one = start(&topic, &intake, &admission);
    let waiting = 2 * (ROUNDS + 1);
    eventually("all others are settled", async || {
        settled.len() == 4 * ROUNDS && admission.actions_in_flight() as usize == waiting
    })
    .await;
    let two = Running::start_with(ordered(&topic), &settled.intake(), |context| {
        context.throttled = ThrottledPolicy::Drop;
    });
    eventually("one of the partitions is asked back", async || {
        (admission.actions_in_flight() as usize) < waiting
    })
    .await;
    settled.release(&intake);
    for partition in 0..2 {
        topic
            .until_committed(partition, 3 * ROUNDS as i64 + 1)
            .await;
    }
    one.stop().await;
    two.stop().await;
    settled.check(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_its_time_holds_up_its_own_key_only() {
    let topic = Topic::create("holdsup", 1).await;
    for key in ["a", "a", "b", "b"] {
        let value = action(key);
        topic
            .publish_as(0, key, value.as_bytes(), OwnedHeaders::new())
            .await;
    }
    let waited = AtomicBool::new(false);
    let intake = FakeIntake::settling(move |envelope| {
        match envelope.action.id == "a" && !waited.swap(true, Ordering::AcqRel) {
            true => End::Later(Duration::from_secs(2), Delay::Redelivery),
            false => End::Done(done()),
        }
    });
    let running = Running::start(ordered(&topic), &intake);
    topic.until_committed(0, 4).await;
    assert_eq!(intake.submitted_ids(), ["a", "b", "b", "a", "a"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_while_a_key_waits_for_its_time_brings_that_key_again_and_no_other() {
    let topic = Topic::create("stopswaiting", 1).await;
    publish_rounds(&topic, 0).await;
    let settled = Arc::<Settled>::default();
    let admission = Admission::new(1000, 64 << 20);
    let first = settled.clone();
    let intake = FakeIntake::settling(move |envelope| {
        let id = envelope.action.id.to_string();
        if id.contains(KEYS[0]) {
            return End::Later(Duration::from_secs(3600), Delay::Redelivery);
        }
        first.ids.lock().push(id);
        End::Done(done())
    });
    let running = start(&topic, &intake, &admission);
    eventually("all others are settled", async || {
        settled.len() == 2 * ROUNDS
    })
    .await;
    running.stop().await;
    assert_eq!(topic.committed(0).await, Some(0), "the slow key is first");

    settled.released.store(true, Ordering::Release);
    let intake = settled.intake();
    let running = start(&topic, &intake, &admission);
    topic.until_committed(0, 3 * ROUNDS as i64 + 1).await;
    running.stop().await;
    assert_eq!(intake.submitted_ids().len(), ROUNDS + 1);
    settled.check(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_without_a_key_are_ordered_by_what_their_actions_name() {
    let topic = Topic::create("named", 1).await;
    for (id, customer) in [("a1", "a"), ("a2", "a"), ("b1", "b")] {
        let value = action(id).replace("{}", &format!(r#"{{"customer":"{customer}"}}"#));
        let record = FutureRecord::<(), _>::to(topic.name).payload(&value);
        topic.producer.send(record, WAIT_MAX).await.unwrap();
    }
    let intake = FakeIntake::holding();
    let mut options = ordered(&topic);
    options.ordering_key = vec!["payload.customer".to_owned()];
    let running = Running::start(options, &intake);
    for (submitted, expected) in [(2, ["a1", "b1"].as_slice()), (3, &["a2"])] {
        intake.wait_for_submitted(submitted).await;
        let held = intake.take_held();
        let ids: Vec<_> = held.iter().map(|d| d.action.id.to_string()).collect();
        assert_eq!(ids, expected);
        held.into_iter().for_each(|delivery| delivery.done(done()));
    }
    topic.until_committed(0, 3).await;
    running.stop().await;
}
