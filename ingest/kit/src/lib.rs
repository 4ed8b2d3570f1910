//! The common parts of all broker sources. From message to envelope: [`Decoder`], [`Copies`]. From envelope to loan:
//! [`Pending`], [`Lanes`], [`Submitter`]. From the end of a loan to the acknowledgement: [`Inbox`], [`Settle`],
//! [`Watermark`], [`Waiting`], [`Publishing`]. For the lifecycle: [`supervise`], [`Phases`], [`Progress`], [`Events`].
//!
//! This crate knows no broker. The format of messages and their acknowledgement belong to the adapter.
#![deny(missing_docs)]

pub mod age;
pub mod copies;
pub mod decoder;
pub mod delayed;
pub mod deliveries;
pub mod events;
pub mod headers;
pub mod held;
pub mod inbox;
pub mod lanes;
pub mod ordering;
pub mod pending;
pub mod phase;
pub mod progress;
pub mod publish;
pub mod settle;
pub mod submit;
pub mod supervise;
pub mod tier;
pub mod watermark;

pub use acteon_core::Backoff;
pub use age::Ages;
pub use copies::Copies;
pub use decoder::{Codec, Decoder, Message, message_id};
pub use deliveries::Deliveries;
pub use events::Events;
pub use held::{Again, Held, Reason, Waiting};
pub use inbox::{Arrived, Inbox, Lender, Place};
pub use lanes::{Lane, Lanes, Queued};
pub use ordering::{OrderingKey, PathError};
pub use pending::Pending;
pub use phase::Phases;
pub use progress::{Progress, Standing};
pub use publish::{Publication, Published, Publisher, Publishing};
pub use settle::{Keeper, Settle};
pub use submit::{Decoded, Submitter};
pub use supervise::{Connection, Ended, supervise};
pub use tier::Tier;
pub use watermark::{Begun, Watermark};
