//! An action on loan. Whoever holds a [`Loan`] settles it exactly once; dropping it unsettled (a panic, a
//! cancelled task) gives it back to its source to be tried again.

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
use crate::attempt::History;
use crate::dead_letter::{DeadLetter, DeadLetterKind};
use crate::disposition::{Delay, Policy, Refusal};
use crate::ids::id_from;
use crate::outcome::ActionOutcome;

/// Messages up to this length, in bytes, may share memory with others that were read together.
pub const SHARING_BYTES_MAX: usize = 4096;

/// An action with where it came from.
#[derive(Clone, Debug)]
pub struct Envelope {
    /// The action itself.
    pub action: Action,
    /// True when the producer gave the id: only such an id is leased.
    pub id_given: bool,
    /// Where it stood in its source.
    pub position: Position,
    /// Who sent it.
    pub caller: Caller,
    /// When it was read.
    pub received_at: Timestamp,
    /// The original bytes, for the dead letters and the delayed path; the payload is a part of them. Empty where the
    /// source never asks for them back.
    pub raw: Bytes,
    /// The key it had in its source, for a copy by the delayed path.
    pub key: Option<Bytes>,
    /// Whether other messages keep the same memory.
    pub memory: Memory,
    /// What was tried before, where something was.
    pub history: Option<Box<History>>,
    /// What the source wants done with outcomes that are not a delivery.
    pub policy: Policy,
}

/// Whose memory the bytes of a message are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// The message's own.
    Own,
    /// Shared with what was read together with it.
    Shared,
}

impl Envelope {
    /// Gives it bytes of its own: what waits longer than what it was read with would keep the memory of all.
    pub fn detach(&mut self) {
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
        self.key = self.key.as_deref().map(Bytes::copy_from_slice);
        self.memory = Memory::Own;
    }
}

/// The bytes of a message that stays, apart from those it was read with.
pub fn detached(raw: &Bytes) -> Bytes {
    match raw.len() <= SHARING_BYTES_MAX {
        true => Bytes::copy_from_slice(raw),
        false => raw.clone(),
    }
}

/// A message that is not an action.
#[derive(Clone, Debug)]
pub struct Poison {
    /// The original bytes.
    pub raw: Bytes,
    /// Why they could not be decoded; names the place, not the content.
    pub reason: String,
    /// Where it stood in its source.
    pub position: Position,
    /// When the broker says it was made, else when it was read. With the position it makes the id of the dead letter,
    /// so that what is read twice is kept once.
    pub made_at: Timestamp,
}

impl Poison {
    /// What is kept of it among the dead letters, as of `now`.
    pub fn dead_letter(&self, now: Timestamp) -> DeadLetter {
        DeadLetter {
            id: position_id(&self.position, self.made_at),
            kind: DeadLetterKind::Poison,
            namespace: "".into(),
            tenant: "".into(),
            provider: "".into(),
            action_type: "".into(),
            action_id: "".into(),
            code: "INVALID_ACTION".into(),
            message: self.reason.as_str().into(),
            attempts: 0,
            history: Vec::new(),
            source: self.position.to_string().into(),
            raw: detached(&self.raw),
            created_at: now,
        }
    }
}

/// Where a message stood: a stream such as `kafka:orders/3`, and the offset in it where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The source and the place inside it; shared by all its messages.
    pub stream: Arc<str>,
    /// The offset in the stream.
    pub offset: Option<u64>,
}

impl From<&str> for Position {
    /// A place that has no offset, such as `http`, or one read back from its text.
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

/// Who sent an action, or made an administrative change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user, API key, or source.
    pub id: Option<Arc<str>>,
    /// How the caller was known: `jwt`, `api_key`, `anonymous` or `source`.
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
    /// It came to its end; the source acknowledges it.
    Done(ActionOutcome),
    /// It is among the dead letters, durably as far as the state backend is; the source acknowledges it.
    DeadLettered(Arc<DeadLetter>),
    /// Nothing final has happened; the source keeps it and offers it again soon.
    Retry {
        /// What was on loan.
        returned: Returned,
        /// How long to wait first.
        after: Duration,
        /// Why.
        refusal: Refusal,
    },
    /// Nothing final has happened; the source sends it by its delayed path, so that it holds no place in the process.
    Later {
        /// What was on loan, with what was tried so far.
        envelope: Box<Envelope>,
        /// How long to wait at least.
        after: Duration,
        /// Why.
        delay: Delay,
    },
}

/// What comes back to a source that shall offer it again.
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

/// The side of a source that learns how its loans ended.
pub trait Origin: Send + Sync {
    /// Called once per receipt, from any task, possibly while unwinding: quick, never blocking, no panic.
    fn settled(&self, token: u64, settled: Settled);
}

/// The source's own name for a message, and whom to tell.
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

/// Something on loan from a source: settle it, ask for a retry, or drop it, which is a retry too.
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
    /// Lends out `content`. The permit is given back when the loan ends, before the source is told.
    pub fn new(content: T, receipt: Receipt, permit: Permit) -> Self {
        Self::of(Box::new(content), receipt, permit)
    }

    /// As [`Loan::new`], for content that is in its box already.
    pub fn of(content: Box<T>, receipt: Receipt, permit: Permit) -> Self {
        Self(Some(Parts {
            content,
            receipt,
            permit,
        }))
    }

    /// Ends the loan: the source acknowledges.
    pub fn done(mut self, outcome: ActionOutcome) {
        self.end(|_| Settled::Done(outcome));
    }

    /// Ends the loan: `letter` is stored, the source acknowledges.
    pub fn dead_lettered(mut self, letter: Arc<DeadLetter>) {
        self.end(|_| Settled::DeadLettered(letter));
    }

    /// Ends the loan: the source offers it again after `after`.
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
    /// Ends the loan: the source sends the action by its delayed path and offers it again after `after`.
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

/// The id under which `position` of a source always finds the same dead letter.
pub fn position_id(position: &Position, at: Timestamp) -> CompactString {
    // The key is known to all: whoever chooses streams and offsets could as well choose ids.
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
