//! The common parts of all broker sources. From message to envelope: [`Decoder`], [`Copies`]. From envelope to loan:
//! [`Pending`], [`Lanes`], [`Submitter`]. From the end of a loan to the acknowledgement: [`Inbox`], [`Settle`],
//! [`Watermark`], [`DelayQueue`], [`Publishing`]. For the lifecycle: [`supervise`], [`Phases`], [`Progress`],
//! [`Events`].
//!
//! This crate knows no broker. The format of messages and their acknowledgement belong to the adapter.
#![deny(missing_docs)]

pub mod age;
pub mod copies;
pub mod decoder;
pub mod delay_queue;
pub mod delivery_count;
pub mod events;
pub mod headers;
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
pub use delay_queue::{DelayQueue, DelayReason, DelayedItem, DueAction};
pub use delivery_count::DeliveryCount;
pub use events::Events;
pub use inbox::{EpochOffset, EpochOrigin, Inbox, InboxContents, InboxReader};
pub use lanes::{Lane, LaneEntry, Lanes};
pub use ordering::OrderingKey;
pub use pending::{BatchStart, Pending};
pub use phase::Phases;
pub use progress::{Progress, StreamProgress};
pub use publish::{Publication, PublishResult, Publisher, Publishing};
pub use settle::{Keeper, Settle};
pub use submit::{DecodeResult, Submitter};
pub use supervise::{Connection, ConnectionEnd, supervise};
pub use tier::Tier;
pub use watermark::{OffsetStatus, Watermark};
