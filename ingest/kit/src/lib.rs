//! What every source of a broker needs: from message to envelope ([`Decoder`]), what may be acknowledged
//! ([`Watermark`]), when to try again ([`Backoff`], [`supervise`]), and whether it gets on ([`Progress`]).
//!
//! It knows no broker. What a message is and how it is acknowledged is the adapter's.
#![deny(missing_docs)]

pub mod backoff;
pub mod copies;
pub mod decoder;
pub mod progress;
pub mod supervise;
pub mod watermark;

pub use backoff::Backoff;
pub use copies::Copies;
pub use decoder::{Codec, Decoder, Message};
pub use progress::{Progress, Standing};
pub use supervise::{Connection, Ended, supervise};
pub use watermark::{Begun, Watermark};
