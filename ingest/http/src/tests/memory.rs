//! Memory in flight: the received bytes, and of a batch only the actions that wait.

use std::convert::Infallible;
use std::pin::pin;

use acteon_core::{ActionOutcome, Delivery, Detach, Feed, Loan, Poison};
use acteon_testkit::FakeIntake;
use axum::body::Bytes;
use futures_util::stream::unfold;
use futures_util::{FutureExt, poll};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;

/// A body whose pieces the test sends.
fn sent() -> (mpsc::Sender<Bytes>, Body) {
    let (sender, receiver) = mpsc::channel::<Bytes>(8);
    let pieces = unfold(receiver, async |mut receiver| {
        let piece = receiver.recv().await?;
        Some((Ok::<_, Infallible>(piece), receiver))
    });
    (sender, Body::from_stream(pieces))
}

fn spaces(count: usize) -> Bytes {
    Bytes::from(vec![b' '; count])
}

#[tokio::test(start_paused = true)]
async fn a_body_takes_room_as_it_comes_and_gives_it_back() {
    let api = api_with(FakeIntake::done(), |context| {
        context.admission = Admission::new(10, 1 << 20);
    });
    let admission = api.source.context.admission.clone();
    let (sender, body) = sent();
    let mut request = pin!(api.post(MANY, body));
    sender.try_send(spaces(8 << 10)).unwrap();
    assert!(poll!(request.as_mut()).is_pending());
    assert_eq!(
        admission.bytes_in_flight(),
        0,
        "no more than a connection holds"
    );
    for _ in 0..4 {
        sender.try_send(spaces(64 << 10)).unwrap();
        assert!(poll!(request.as_mut()).is_pending());
    }
    let came = (8 << 10) + 4 * (64 << 10);
    let taken = admission.bytes_in_flight();
    assert!(
        (came..=2 * came).contains(&taken),
        "{taken} bytes for {came}"
    );
    sender
        .try_send(Bytes::from(format!("[{}]", wire("a"))))
        .unwrap();
    drop(sender);
    assert_eq!(request.await.0, 200);
    assert_eq!(admission.bytes_in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_finds_no_room_on_its_way_is_refused_and_holds_none() {
    let api = api_with(FakeIntake::done(), |context| {
        context.admission = Admission::new(10, 1 << 20);
    });
    let admission = api.source.context.admission.clone();
    let (sender, body) = sent();
    let mut request = pin!(api.post(ONE, body));
    for _ in 0..2 {
        sender.try_send(spaces(64 << 10)).unwrap();
        assert!(poll!(request.as_mut()).is_pending());
    }
    let rest = admission.bytes_max() - admission.bytes_in_flight();
    let others = admission.admit(1, rest.into()).await;
    sender.try_send(spaces(200 << 10)).unwrap();
    let began = Instant::now();
    assert!(poll!(request.as_mut()).is_pending(), "it waits for room");
    tokio::time::sleep(Duration::from_millis(101)).await;
    assert!(
        poll!(request.as_mut()).is_pending(),
        "the rest is thrown away"
    );
    assert_eq!(admission.bytes_in_flight(), rest);
    drop(sender);
    let (status, answer) = request.await;
    assert!(answer.contains("OVERLOADED"), "{answer}");
    assert_eq!((status, began.elapsed().as_millis()), (503, 101));
    drop(others);
}

/// Reports when the memory of a body is freed.
struct Watched(Vec<u8>, Arc<AtomicBool>);

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.1.store(true, Relaxed);
    }
}

/// Acts as a pipeline whose provider does not answer one action. That action gets its own bytes and waits, one action is
/// returned, and the others are done.
#[derive(Default)]
struct OneWaits(Mutex<Option<Delivery>>);

#[async_trait]
impl Intake for OneWaits {
    async fn submit(&self, batch: Vec<Delivery>, _: &Feed) {
        for mut delivery in batch {
            match delivery.action.id.as_str() {
                "waits" => {
                    delivery.detach();
                    *self.0.lock() = Some(delivery);
                }
                "goes back" => delivery.retry(Duration::ZERO, acteon_core::Refusal::Overloaded),
                _ => delivery.done(ActionOutcome::Deduplicated(())),
            }
        }
    }

    async fn dead_letter(&self, _: Vec<Loan<Poison>>) {}

    async fn give_up(&self, _: Delivery, _: acteon_core::Failure) {}
}

#[tokio::test]
async fn one_action_that_waits_keeps_its_own_bytes_and_not_its_batch() {
    let intake = Arc::new(OneWaits::default());
    let api = api_with(intake.clone(), |context| context.max_batch = 4);
    let admission = api.source.context.admission.clone();
    let large = format!("\"{}\"", "x".repeat(180 << 10));
    let own = format!("\"{}\"", "y".repeat(1000));
    let mut items = vec![wire_with("waits", &own), wire_with("goes back", &large)];
    items.extend((0..9).map(|n| wire_with(&n.to_string(), &large)));
    let free = Arc::new(AtomicBool::new(false));
    let body = Watched(format!("[{}]", items.join(",")).into_bytes(), free.clone());
    let mut request = pin!(api.post(MANY, Bytes::from_owner(body)));
    assert!(poll!(request.as_mut()).is_pending());
    assert!(free.load(Relaxed), "1.8 MB are free again");
    assert_eq!(admission.bytes_in_flight() as usize, own.len());
    let waiting = intake.0.lock().take().unwrap();
    assert_eq!(waiting.action.payload.as_bytes(), own.as_bytes());
    waiting.done(ActionOutcome::Deduplicated(()));
    let (status, answer) = request.now_or_never().unwrap();
    assert_eq!((status, answer.matches("Deduplicated").count()), (200, 10));
    assert_eq!(admission.bytes_in_flight(), 0);
}

/// Acts as a pipeline whose provider answers all actions but one at once, with a long body.
#[derive(Default)]
struct AnswersAtLength(Mutex<Option<Delivery>>);

const LONG: usize = 100 << 10;

#[async_trait]
impl Intake for AnswersAtLength {
    async fn submit(&self, batch: Vec<Delivery>, _: &Feed) {
        for delivery in batch {
            match delivery.action.id.as_str() {
                "waits" => *self.0.lock() = Some(delivery),
                _ => delivery.done(answered(LONG)),
            }
        }
    }

    async fn dead_letter(&self, _: Vec<Loan<Poison>>) {}

    async fn give_up(&self, _: Delivery, _: acteon_core::Failure) {}
}

/// A provider's response of about this many bytes.
fn answered(bytes: usize) -> ActionOutcome {
    let body = serde_json::json!({"text": "x".repeat(bytes)});
    let executed = serde_json::json!({
        "Executed": {"status": "success", "body": body, "headers": {}},
    });
    serde_json::from_str(&executed.to_string()).unwrap()
}

#[tokio::test]
async fn a_providers_answer_takes_room_until_the_client_has_read_it() {
    let intake = Arc::new(AnswersAtLength::default());
    let api = api(intake.clone());
    let admission = api.source.context.admission.clone();
    let items = [wire("a"), wire("waits"), wire("b")].join(",");
    let request = posting(MANY, format!("[{items}]"));
    let mut request = pin!(api.send(request));
    assert!(poll!(request.as_mut()).is_pending());
    let held = admission.bytes_in_flight() as usize;
    assert!((2 * LONG..3 * LONG).contains(&held), "{held}");
    let waiting = intake.0.lock().take().unwrap();
    waiting.done(answered(1));
    let response = request.now_or_never().unwrap();
    assert!(admission.bytes_in_flight() as usize >= 2 * LONG);
    let (status, answer) = read(response).await;
    assert_eq!((status, answer.matches("Executed").count()), (200, 3));
    assert!(answer.len() > 2 * LONG);
    assert_eq!(admission.bytes_in_flight(), 0);
}

#[tokio::test]
async fn a_providers_response_without_room_for_its_body_is_abridged() {
    let api = api_with(Arc::new(AnswersAtLength::default()), |context| {
        context.admission = Admission::new(10, LONG as u64);
    });
    let _others = api.source.context.admission.admit(1, 1024).await;
    for (path, body) in [(ONE, wire("a")), (MANY, format!("[{}]", wire("a")))] {
        let (status, answer) = api.post(path, body).await;
        let abridged =
            r#"{"Executed":{"status":"success","body":{"truncated":true},"headers":{}}}"#;
        assert_eq!(status, 200);
        assert!(answer.contains(abridged), "{}", answer.len());
    }
}
