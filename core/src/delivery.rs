//! An action on loan. The holder of a [`Loan`] settles it exactly once. Dropping it unsettled (a panic, a cancelled
//! task) returns it to its source for another try.

use std::fmt;
use std::hash::Hasher as _;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use siphasher::sip128::{Hasher128, SipHasher13};

use crate::action::{Action, Payload};
use crate::admission::Permit;
use crate::attempt::{DeliveryProgress, History};
use crate::dead_letter::DeadLetter;
use crate::disposition::{Delay, Policy, Refusal};
use crate::ids::id_from;
use crate::outcome::ActionOutcome;
use crate::parked::{Detach, Parked};

/// An action with its provenance.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The action itself.
    pub action: Action,
    /// True if the producer supplied the id. Only such an id is leased.
    pub id_given: bool,
    /// Its position in the source.
    pub position: Position,
    /// Who sent it.
    pub caller: Caller,
    /// When it was read.
    pub received_at: Timestamp,
    /// The original bytes, for dead letters and the delayed path. The payload is a slice of them. Empty if the source
    /// never needs them back.
    pub raw: Bytes,
    /// Its key in the source, for a copy on the delayed path.
    pub key: Option<Box<[u8]>>,
    /// Whether its memory is shared with other messages.
    pub memory: Memory,
    /// Earlier attempts, if there were any.
    pub history: Option<Box<History>>,
    /// How the source handles outcomes other than a delivery.
    pub policy: Policy,
}

/// Who owns the memory of a message's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// The message alone.
    Own,
    /// Shared with other messages read together with it.
    Shared,
}

impl Detach for Envelope {
    fn detach(&mut self) {
        if self.memory == Memory::Own {
            return;
        }
        let copy = Bytes::copy_from_slice(&self.raw);
        let payload = std::mem::replace(&mut self.action.payload, Payload::null());
        self.action.payload = match self.raw.is_empty() {
            true => payload.copied(),
            false => payload.moved(&self.raw, &copy),
        };
        self.raw = copy;
        self.memory = Memory::Own;
    }
}

impl Envelope {
    /// The progress that the last failed attempt reported.
    pub fn progress(&self) -> Option<&DeliveryProgress> {
        self.history.as_deref()?.progress.as_deref()
    }

    /// True if a provider has accepted a part of the action.
    pub fn is_partly_delivered(&self) -> bool {
        self.progress()
            .is_some_and(|progress| progress.has_accepted)
    }
}

impl Detach for Poison {
    fn detach(&mut self) {
        self.raw.detach();
    }
}

/// A message that is not an action.
#[derive(Clone, Debug)]
pub struct Poison {
    /// The original bytes.
    pub raw: Bytes,
    /// Why the bytes could not be decoded. Names the place, not the content.
    pub reason: String,
    /// Its position in the source.
    pub position: Position,
    /// The broker's timestamp, else the time of reading. Together with the position it determines the id of the dead
    /// letter, so that a message read twice is stored once.
    pub made_at: Timestamp,
}

impl Poison {
    /// Builds its dead letter, as of `now`.
    pub fn dead_letter(&self, now: Timestamp) -> DeadLetter {
        DeadLetter {
            id: position_id(&self.position, self.made_at),
            action: None,
            code: "INVALID_ACTION".into(),
            message: self.reason.as_str().into(),
            attempts: 0,
            history: Vec::new(),
            source: self.position.to_string().into(),
            raw: Parked::new(self.raw.clone()),
            created_at: now,
        }
    }
}

/// Where a message was read: a stream such as `kafka:orders/3`, and the offset in it, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The source and the place inside it. All its messages share this value.
    pub stream: Arc<str>,
    /// The offset in the stream.
    pub offset: Option<u64>,
}

impl From<&str> for Position {
    /// A position without an offset, such as `http`, or one parsed back from text.
    fn from(stream: &str) -> Self {
        Self {
            stream: stream.into(),
            offset: None,
        }
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "{}@{offset}", self.stream),
            None => f.write_str(&self.stream),
        }
    }
}

/// Who sent an action or made an administrative change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user, API key, or source.
    pub id: Option<Arc<str>>,
    /// How the caller was identified: `jwt`, `api_key`, `anonymous` or `source`.
    pub auth_method: &'static str,
}

impl Caller {
    /// A caller of an API without authentication.
    pub fn anonymous() -> Self {
        Self {
            id: None,
            auth_method: "anonymous",
        }
    }

    /// The method of this name, as one reads it back from an audit record.
    pub fn auth_method_named(name: &str) -> Option<&'static str> {
        let known = ["jwt", "api_key", "anonymous", "source"];
        known.into_iter().find(|method| *method == name)
    }

    /// A configured source.
    pub fn source(name: Arc<str>) -> Self {
        Self {
            id: Some(name),
            auth_method: "source",
        }
    }
}

/// How a loan ended.
#[derive(Debug)]
pub enum Settled {
    /// The action is finished. The source acknowledges it.
    Done(ActionOutcome),
    /// It had ended before, and this outcome was remembered. The source acknowledges it.
    Remembered(ActionOutcome),
    /// It failed, and this is its progress. Only for [`Policy::Replay`]: the dead letter keeps it.
    Partly {
        /// The outcome.
        outcome: ActionOutcome,
        /// The progress, for the next replay.
        progress: DeliveryProgress,
    },
    /// It is stored as a dead letter, as durably as the state backend allows. The source acknowledges it.
    DeadLettered(Arc<DeadLetter>),
    /// Nothing final has happened. The source keeps it and submits it again soon.
    Retry {
        /// The content of the loan.
        returned: Returned,
        /// How long to wait first.
        after: Duration,
        /// Why.
        refusal: Refusal,
    },
    /// Nothing final has happened. The source sends it to its delayed path, so that it takes no room in the process.
    Later {
        /// The content of the loan, with its attempts so far.
        envelope: Box<Envelope>,
        /// The minimum wait.
        after: Duration,
        /// Why.
        delay: Delay,
    },
}

/// The content that returns to a source for another try.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Returned {
    Action(Box<Envelope>),
    Poison(Box<Poison>),
}

impl From<Box<Envelope>> for Returned {
    fn from(envelope: Box<Envelope>) -> Self {
        Self::Action(envelope)
    }
}

impl From<Box<Poison>> for Returned {
    fn from(poison: Box<Poison>) -> Self {
        Self::Poison(poison)
    }
}

/// The side of a source that receives the results of its loans.
pub trait Origin: Send + Sync {
    /// Called once per receipt, from any task, possibly while unwinding. Must be quick, must not block, must not panic.
    fn settled(&self, token: u64, settled: Settled);
}

/// The source's own token for a message, and where to report its result.
pub struct Receipt {
    origin: Arc<dyn Origin>,
    token: u64,
}

impl Receipt {
    /// A receipt that reports to `origin` under `token`.
    pub fn new(origin: Arc<dyn Origin>, token: u64) -> Self {
        Self { origin, token }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({})", self.token)
    }
}

/// A loan from a source. The holder settles it, asks for a retry, or drops it, which is also a retry.
#[derive(Debug)]
pub struct Loan<T>(Option<Parts<T>>)
where
    Box<T>: Into<Returned>;

/// An action on loan.
pub type Delivery = Loan<Envelope>;

#[derive(Debug)]
struct Parts<T> {
    content: Box<T>,
    receipt: Receipt,
    permit: Permit,
}

impl<T> Loan<T>
where
    Box<T>: Into<Returned>,
{
    /// Lends out `content`. The permit is released when the loan ends, before the source learns the result.
    pub fn new(content: T, receipt: Receipt, permit: Permit) -> Self {
        Self::of(Box::new(content), receipt, permit)
    }

    /// As [`Loan::new`], for content that is already boxed.
    pub fn of(content: Box<T>, receipt: Receipt, permit: Permit) -> Self {
        Self(Some(Parts {
            content,
            receipt,
            permit,
        }))
    }

    /// Ends the loan. The source acknowledges.
    pub fn done(mut self, outcome: ActionOutcome) {
        self.end(|_| Settled::Done(outcome));
    }

    /// Ends the loan with an outcome that was remembered; the source acknowledges.
    pub fn remembered(mut self, outcome: ActionOutcome) {
        self.end(|_| Settled::Remembered(outcome));
    }

    /// Ends the loan. `letter` is stored; the source acknowledges.
    pub fn dead_lettered(mut self, letter: Arc<DeadLetter>) {
        self.end(|_| Settled::DeadLettered(letter));
    }

    /// Ends the loan. The source submits it again after `after`.
    pub fn retry(mut self, after: Duration, refusal: Refusal) {
        self.end(|content| Settled::Retry {
            returned: content.into(),
            after,
            refusal,
        });
    }

    fn end(&mut self, settled: impl FnOnce(Box<T>) -> Settled) {
        if let Some(Parts {
            content,
            receipt,
            permit,
        }) = self.0.take()
        {
            drop(permit);
            receipt.origin.settled(receipt.token, settled(content));
        }
    }
}

impl Delivery {
    /// Ends the loan of a replayed action that has this progress.
    pub fn partly(mut self, outcome: ActionOutcome, progress: DeliveryProgress) {
        self.end(|_| Settled::Partly { outcome, progress });
    }

    /// Ends the loan. The source sends the action to its delayed path and submits it again after `after`.
    pub fn later(mut self, after: Duration, delay: Delay) {
        self.end(|envelope| Settled::Later {
            envelope,
            after,
            delay,
        });
    }
}

impl<T> Drop for Loan<T>
where
    Box<T>: Into<Returned>,
{
    fn drop(&mut self) {
        self.end(|content| Settled::Retry {
            returned: content.into(),
            after: Duration::ZERO,
            refusal: Refusal::Abandoned,
        });
    }
}

const ENDED: &str = "a loan is used only before it ends: ending it takes it by value";

impl<T> Deref for Loan<T>
where
    Box<T>: Into<Returned>,
{
    type Target = T;

    #[expect(clippy::expect_used, reason = "methods that end a loan consume it")]
    fn deref(&self) -> &T {
        &self.0.as_ref().expect(ENDED).content
    }
}

impl<T> DerefMut for Loan<T>
where
    Box<T>: Into<Returned>,
{
    #[expect(clippy::expect_used, reason = "methods that end a loan consume it")]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0.as_mut().expect(ENDED).content
    }
}

/// Derives the id of a dead letter. The same position and time always give the same id.
pub fn position_id(position: &Position, at: Timestamp) -> CompactString {
    // The hash key is public: anyone who can choose streams and offsets could choose ids as well.
    let mut hasher = SipHasher13::new();
    hasher.write(position.stream.as_bytes());
    if let Some(offset) = position.offset {
        hasher.write(&offset.to_le_bytes());
    }
    let mut chance = [0; 10];
    chance.copy_from_slice(&hasher.finish128().as_bytes()[..10]);
    id_from(at, chance)
}

#[cfg(test)]
mod tests;
