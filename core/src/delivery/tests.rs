use parking_lot::Mutex;

use super::*;
use crate::admission::Admission;

#[derive(Default)]
struct Seen(Mutex<Vec<(u64, String)>>);

impl Origin for Seen {
    fn settled(&self, token: u64, settled: Settled) {
        let what = match settled {
            Settled::Done(outcome) => outcome.name().to_owned(),
            Settled::DeadLettered(letter) => letter.code.to_string(),
            Settled::Retry { after, refusal, .. } => format!("{refusal:?} after {after:?}"),
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
