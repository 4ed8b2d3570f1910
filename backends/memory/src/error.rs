//! What goes wrong here and nowhere else: all that needs no room always succeeds.

use thiserror::Error;

/// Events do not fit into the bound: they do when others have ended and been forgotten.
#[derive(Debug, Error)]
#[error("the state in memory is full (max_keys): events do not fit beside what is still in force")]
pub(crate) struct NoRoom;
