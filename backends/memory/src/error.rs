//! The errors of this backend. Only operations that need room can fail.

use thiserror::Error;

/// Events do not fit into the bound. They may fit after others have ended and been forgotten.
#[derive(Debug, Error)]
#[error("the state in memory is full (max_keys): events do not fit beside what is still in force")]
pub(crate) struct NoRoom;
