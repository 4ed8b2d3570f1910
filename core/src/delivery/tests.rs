use parking_lot::Mutex;

use super::*;
use crate::admission::Admission;

#[derive(Default)]
struct Seen(Mutex<Vec<(u64, String)>>);

impl Origin for Seen {
    fn settled(&self, token: u64, settled: Settled) {
        let what = match settled {
            Settled::Done(outcome) | Settled::Remembered(outcome) => outcome.name().to_owned(),
            Settled::Partly { .. } => "partly".to_owned(),
            Settled::DeadLettered(letter) => letter.code.to_string(),
            Settled::Retry { after, refusal, .. } => format!("{refusal:?} after {after:?}"),
            Settled::Later { after, delay, .. } => format!("{delay:?} after {after:?}"),
        };
        self.0.lock().push((token, what));
    }
}

fn lend(seen: &Arc<Seen>, admission: &Arc<Admission>, token: u64) -> Loan<Poison> {
    let poison = Poison {
        raw: Bytes::from_static(b"?"),
        reason: String::new(),
        position: Position {
            stream: "test".into(),
            offset: Some(token),
        },
        made_at: Timestamp::UNIX_EPOCH,
    };
    let permit = admission.try_admit(1, 1).unwrap();
    Loan::new(poison, Receipt::new(seen.clone(), token), permit)
}

#[test]
fn a_loan_is_settled_once_however_it_ends() {
    let (seen, admission) = (Arc::new(Seen::default()), Admission::new(10, 10));
    lend(&seen, &admission, 1).done(ActionOutcome::Deduplicated(()));
    lend(&seen, &admission, 2).retry(Duration::from_secs(5), Refusal::Overloaded);
    drop(lend(&seen, &admission, 3));
    let expected = [
        (1, "deduplicated"),
        (2, "Overloaded after 5s"),
        (3, "Abandoned after 0ns"),
    ];
    assert_eq!(
        *seen.0.lock(),
        expected.map(|(token, what)| (token, what.to_owned()))
    );
    assert_eq!(admission.actions_in_flight(), 0);
}

#[test]
fn a_panic_gives_the_loan_back() {
    let (seen, admission) = (Arc::new(Seen::default()), Admission::new(10, 10));
    let loan = lend(&seen, &admission, 1);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _held = loan;
        panic!("a bug");
    }));
    assert!(result.is_err());
    assert_eq!(*seen.0.lock(), [(1, "Abandoned after 0ns".to_owned())]);
}

#[test]
fn an_envelope_that_is_detached_keeps_nothing_of_what_it_was_read_with() {
    const ACTION: &str =
        r#"{"namespace":"n","tenant":"t","provider":"p","action_type":"a","payload":{"x":1}}"#;
    let together = Bytes::from(format!("key{ACTION}"));
    let raw = together.slice(3..);
    let draft = crate::decode::decode(&raw).unwrap();
    let action = draft.complete(&Default::default(), || "id".into(), Timestamp::UNIX_EPOCH);
    let mut envelope = Envelope {
        action: action.unwrap(),
        id_given: false,
        position: "test".into(),
        caller: Caller::anonymous(),
        received_at: Timestamp::UNIX_EPOCH,
        raw,
        key: Some(b"key"[..].into()),
        memory: Memory::Shared,
        history: None,
        policy: Policy::Answer,
    };
    envelope.detach();
    assert!(together.is_unique());
    let payload = &envelope.action.payload;
    assert_eq!(
        (&*envelope.raw, &**payload.as_bytes()),
        (ACTION.as_bytes(), &br#"{"x":1}"#[..])
    );
    assert_eq!(payload.members().unwrap().get("x"), Some(&b"1"[..]));
    assert_eq!(envelope.key.as_deref(), Some(&b"key"[..]));
    let own = envelope.raw.as_ptr_range();
    assert!(
        own.contains(&payload.as_bytes().as_ptr()),
        "they share one copy"
    );
}

#[test]
fn a_payload_that_stands_elsewhere_is_not_moved() {
    let (text, copy) = (
        Bytes::from("{\"a\":1}".to_owned()),
        Bytes::from_static(b"{\"a\":1}"),
    );
    let elsewhere = Payload::from_value(&7).unwrap();
    let kept = elsewhere.clone().moved(&text, &copy);
    assert_eq!(kept.as_bytes().as_ptr(), elsewhere.as_bytes().as_ptr());
}

#[test]
fn an_envelope_fits_a_size_class_of_which_the_allocator_keeps_many() {
    // The next class is 512 bytes. Freeing memory of that class costs almost three times as many instructions.
    assert!(size_of::<Envelope>() <= 448, "{}", size_of::<Envelope>());
}
