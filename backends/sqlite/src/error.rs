//! Why a call failed, and whether that concerns the call alone or the file.

use std::error::Error as _;
use std::sync::Arc;

use acteon_core::StateError;
use acteon_core::audit::AuditError;
use acteon_core::encoding::EncodingError;
use rusqlite::ErrorCode;
use rusqlite::types::FromSqlError;
use thiserror::Error;

/// Why a call failed. It is cloned for all calls of a transaction.
#[derive(Clone, Debug, Error)]
pub(crate) enum Error {
    /// SQLite refused: the disk is full, the file cannot be written.
    #[error("SQLite failed")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    /// A stored value cannot be read.
    #[error("{0}")]
    Corrupt(String),
    /// The file was moved away, replaced or deleted while it is open.
    #[error("the file was moved, replaced or deleted; put it back, or restart the server")]
    Moved,
    /// The file is not open yet, or not any more.
    #[error("the file is not open")]
    Closed,
}

impl Error {
    /// A value that cannot be read.
    pub(crate) fn corrupt(what: &str, error: &dyn std::error::Error) -> Self {
        Self::Corrupt(format!("{what}: {error}"))
    }

    /// True if only the call is at fault. The others of its transaction can still be committed.
    pub(crate) fn is_of_one_call(&self) -> bool {
        matches!(self, Self::Corrupt(_))
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let damaged = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        );
        let unreadable = matches!(
            error,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                // A row refers to one that is missing.
                | rusqlite::Error::QueryReturnedNoRows
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..)
        );
        match damaged || unreadable {
            true => Self::Corrupt(error.to_string()),
            false => Self::Sqlite(Arc::new(error)),
        }
    }
}

impl From<Error> for AuditError {
    fn from(error: Error) -> Self {
        match error {
            Error::Corrupt(what) => Self::Corrupt(what),
            error => Self::Unavailable(Box::new(error)),
        }
    }
}

impl From<Error> for StateError {
    fn from(error: Error) -> Self {
        match error {
            Error::Corrupt(what) => Self::Corrupt(what),
            error => Self::Unavailable(Box::new(error)),
        }
    }
}

impl From<EncodingError> for Error {
    fn from(error: EncodingError) -> Self {
        let cause = error.source().map(|cause| format!(": {cause}"));
        Self::Corrupt(format!("{error}{}", cause.unwrap_or_default()))
    }
}

impl From<FromSqlError> for Error {
    fn from(error: FromSqlError) -> Self {
        Self::Corrupt(error.to_string())
    }
}
