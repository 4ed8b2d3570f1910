//! The port to what operators do with silences. The pipeline implements it, so that a change counts at once on the node
//! that made it.

use std::sync::Arc;

use async_trait::async_trait;
use compact_str::CompactString;
use jiff::Timestamp;
use thiserror::Error;

use crate::scope::Scope;
use crate::silence::{SilenceMatcher, SilenceSubject};
use crate::state::{StateError, StoredSilence};

/// Creates, changes and ends silences.
#[async_trait]
pub trait SilenceAdmin: Send + Sync {
    /// The time of the state's clock, by which silences begin and end.
    ///
    /// # Errors
    /// The state does not answer.
    async fn now(&self) -> Result<Timestamp, StateError>;

    /// Creates a silence.
    ///
    /// # Errors
    /// See [`SilenceError`].
    async fn create(
        &self,
        scope: &Scope,
        asked: &NewSilence,
        by: &str,
    ) -> Result<Arc<StoredSilence>, SilenceError>;

    /// Changes the end or the comment of a silence that has not ended. It stays in force meanwhile.
    ///
    /// # Errors
    /// See [`SilenceError`].
    async fn change(
        &self,
        scope: &Scope,
        id: &str,
        change: &SilenceChange,
    ) -> Result<Arc<StoredSilence>, SilenceError>;

    /// Ends a silence now. One that has ended already is left as it is.
    ///
    /// # Errors
    /// See [`SilenceError`].
    async fn end(&self, scope: &Scope, id: &str) -> Result<Arc<StoredSilence>, SilenceError>;

    /// Prepares the matching of past actions, to show what a silence would have withheld.
    ///
    /// # Errors
    /// The silence is refused as [`create`](Self::create) would refuse it.
    async fn preview(
        &self,
        scope: &Scope,
        asked: &NewSilence,
    ) -> Result<Box<dyn SilencePreview>, SilenceError>;
}

/// Matches past actions.
pub trait SilencePreview: Send + Sync {
    /// True if the silence would have withheld this action.
    fn matches(&self, past: &SilenceSubject<'_>) -> bool;
}

/// A silence that a caller asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct NewSilence {
    pub namespace: CompactString,
    pub tenant: CompactString,
    pub matchers: Vec<SilenceMatcher>,
    /// `None`: now.
    pub starts_at: Option<Timestamp>,
    pub ends_at: Timestamp,
    pub comment: CompactString,
}

/// A change that a caller asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SilenceChange {
    /// The new end.
    pub ends_at: Option<Timestamp>,
    /// The new comment.
    pub comment: Option<CompactString>,
}

/// Why a silence was not written.
#[derive(Debug, Error)]
pub enum SilenceError {
    /// There is no such silence in the scope.
    #[error("there is no such silence")]
    NotFound,
    /// The caller's grants do not cover everything that it withholds.
    #[error("your grants do not cover everything that this silence withholds")]
    Forbidden,
    /// It is not a silence: the field and what is wrong with it.
    #[error("{field}: {message}")]
    Invalid {
        /// The path of the field, such as `matchers[0].value`.
        field: String,
        /// What is wrong, and what is expected.
        message: String,
    },
    /// It has ended, so it cannot be changed.
    #[error("the silence has ended; create a new one")]
    Ended,
    /// The namespace and tenant have too many.
    #[error("the namespace and tenant have {0} silences already, which is the most they may have")]
    Full(usize),
    /// The state did not answer.
    #[error(transparent)]
    State(#[from] StateError),
}
