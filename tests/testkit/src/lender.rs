//! Replaces a source: lends out actions and poison, and records how each loan ended.

use std::sync::Arc;

use acteon_core::delivery::{Origin, Position, Returned};
use acteon_core::{Admission, Loan, Poison, Receipt, Settled};
use bytes::Bytes;
use compact_str::CompactString;
use parking_lot::Mutex;

use crate::actions::epoch;
use crate::tally::Tally;

/// Lends out without limit. Clones share the records.
#[derive(Clone)]
pub struct Lender {
    ledger: Arc<Ledger>,
    admission: Arc<Admission>,
}

#[derive(Default)]
struct Ledger {
    loans: Mutex<Vec<CompactString>>,
    ended: Mutex<Vec<(CompactString, Settled)>>,
    tally: Tally,
}

impl Default for Lender {
    fn default() -> Self {
        Self {
            ledger: Arc::default(),
            admission: Admission::new(u32::MAX / 16, u64::from(u32::MAX / 16)),
        }
    }
}

impl Lender {
    /// A lender without loans.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lends out `content` under `name`, which need not be unique.
    pub fn lend<T>(&self, name: impl Into<CompactString>, content: T) -> Loan<T>
    where
        Box<T>: Into<Returned>,
    {
        let mut loans = self.ledger.loans.lock();
        let token = loans.len() as u64;
        loans.push(name.into());
        let permit = self
            .admission
            .try_admit(1, 1)
            .expect("room for the loans of a test");
        Loan::new(content, Receipt::new(self.ledger.clone(), token), permit)
    }

    /// Lends out bytes that cannot be decoded.
    pub fn lend_poison(&self, name: &str, raw: &'static [u8]) -> Loan<Poison> {
        let poison = Poison {
            raw: Bytes::from_static(raw),
            reason: "not JSON".to_owned(),
            position: Position {
                stream: name.into(),
                offset: Some(0),
            },
            made_at: epoch(),
        };
        self.lend(name, poison)
    }

    /// Waits until `count` loans in total have ended.
    pub async fn wait_for_ended(&self, count: usize) {
        self.ledger.tally.reach(count, "loans to end").await;
    }

    /// The number of ended loans.
    pub fn ended_count(&self) -> usize {
        self.ledger.tally.count()
    }

    /// The number of open loans.
    pub fn on_loan(&self) -> u32 {
        self.admission.actions_in_flight()
    }

    /// Takes the results of the loans ended so far, with their names, in the order in which they ended.
    pub fn take_ended(&self) -> Vec<(CompactString, Settled)> {
        std::mem::take(&mut *self.ledger.ended.lock())
    }

    /// The results of the loans ended so far as `name: end`, in the order in which they ended: `a: executed`, `b:
    /// dead_lettered TIMEOUT`, `c: retry Busy`, `d: later Redelivery`.
    pub fn ends(&self) -> Vec<String> {
        let ended = self.ledger.ended.lock();
        ended
            .iter()
            .map(|(name, settled)| format!("{name}: {}", describe(settled)))
            .collect()
    }
}

impl Origin for Ledger {
    fn settled(&self, token: u64, settled: Settled) {
        let name = self.loans.lock()[usize::try_from(token).unwrap()].clone();
        self.ended.lock().push((name, settled));
        self.tally.add(1);
    }
}

fn describe(settled: &Settled) -> String {
    match settled {
        Settled::Done(outcome) => outcome.name().to_owned(),
        Settled::Remembered(outcome) => format!("remembered {}", outcome.name()),
        Settled::Partly { outcome, progress } => {
            format!("partly {} {}", outcome.name(), progress.state)
        }
        Settled::DeadLettered(letter) => format!("dead_lettered {}", letter.code),
        Settled::Retry { refusal, .. } => format!("retry {refusal:?}"),
        Settled::Later { delay, .. } => format!("later {delay:?}"),
    }
}
