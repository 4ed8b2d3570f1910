//! The dead letters that a backend keeps, as operators see them. They are stored by a settlement.

use std::sync::Arc;

use async_trait::async_trait;

use super::StateError;
use crate::attempt::DeliveryProgress;
use crate::dead_letter::{DeadLetter, LetterFilter};
use crate::scope::Scope;

/// Lists, changes and deletes dead letters.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Lists the dead letters inside the query's scope, most recently stored first. Clauses:
    /// `dead_letters_are_listed_page_by_page`, `letters_are_listed_and_evicted_by_when_they_were_stored`,
    /// `dead_letters_are_filtered`.
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<DeadLetterPage, StateError>;

    /// Returns one dead letter, if it is inside the scope. Clause:
    /// `nobody_sees_or_deletes_a_dead_letter_outside_their_scope`.
    async fn dead_letter(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Arc<DeadLetter>>, StateError>;

    /// Replaces the progress of the action of one dead letter inside the scope. Returns `false` if there was none. Clause:
    /// `the_progress_of_a_dead_letter_is_replaced`.
    async fn set_progress(
        &self,
        scope: &Scope,
        id: &str,
        progress: &DeliveryProgress,
    ) -> Result<bool, StateError>;

    /// Deletes one dead letter inside the scope. Returns `false` if there was none. Clause:
    /// `a_deleted_dead_letter_is_gone`.
    async fn delete_dead_letter(&self, scope: &Scope, id: &str) -> Result<bool, StateError>;
}

/// Selects the dead letters to list.
#[derive(Clone, Debug)]
pub struct DeadLetterQuery {
    /// The scope of the caller.
    pub scope: Scope,
    /// What must hold of them.
    pub filter: LetterFilter,
    /// Continues after this position: the [`DeadLetterPage::next`] of the previous page.
    pub after: Option<u64>,
    /// The maximum page length.
    pub limit: usize,
}

/// One page of dead letters.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterPage {
    /// Most recently stored first, regardless of id and timestamps.
    pub letters: Vec<Arc<DeadLetter>>,
    /// The number of all matching dead letters. `None` where the backend would have to count them.
    pub total: Option<u64>,
    /// The start of the next page, if there is one. The number decreases from one letter of the listing to the next.
    pub next: Option<u64>,
}
