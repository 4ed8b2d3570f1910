//! Replays or deletes many dead letters. Each is handled and recorded in the audit trail like a single one.

use acteon_core::state::DeadLetterQuery;
use compact_str::CompactString;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};

use super::{Access, AdminApi, AdminError};

/// How many letters are replayed or deleted concurrently.
const CONCURRENCY: usize = 16;

/// The change to each letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkChange {
    /// Submit its action to the pipeline again.
    Replay,
    /// Delete it permanently.
    Delete,
}

/// The result of a bulk change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BulkResult {
    /// How many letters matched at the start.
    pub matched: Option<u64>,
    /// How many letters were removed.
    pub done: usize,
    /// How many letters remain, because their actions did not finish or were not admitted. Letters that another request
    /// is replaying or has removed are neither done nor failed.
    pub failed: usize,
    /// The position of the next page, if there is one.
    pub next: Option<u64>,
}

/// The result of the change to one letter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LetterResult {
    Removed,
    Remains,
    /// Another request is replaying the letter or has removed it.
    OfAnotherRequest,
}

impl AdminApi {
    /// Counts the letters that a query matches, without changing anything.
    ///
    /// # Errors
    /// The state backend cannot be reached.
    pub async fn count_dead_letters(
        &self,
        query: &DeadLetterQuery,
    ) -> Result<BulkResult, AdminError> {
        let first = DeadLetterQuery {
            limit: 1,
            ..query.clone()
        };
        let page = self.dead_letters(&first).await?;
        Ok(BulkResult {
            matched: page.total,
            ..BulkResult::default()
        })
    }

    /// Replays or deletes the letters of one page. If the caller hangs up, changes that have begun are finished, and
    /// the other letters remain.
    ///
    /// # Errors
    /// The state backend cannot list the letters.
    pub async fn change_dead_letters(
        &self,
        access: &Access,
        query: &DeadLetterQuery,
        change: BulkChange,
    ) -> Result<BulkResult, AdminError> {
        let page = self.dead_letters(query).await?;
        let mut changes: Vec<BoxFuture<'_, LetterResult>> = Vec::with_capacity(page.letters.len());
        for letter in &page.letters {
            let id = letter.id.clone();
            changes.push(self.change_dead_letter(access, id, change).boxed());
        }
        let results: Vec<LetterResult> = stream::iter(changes)
            .buffer_unordered(CONCURRENCY)
            .collect()
            .await;
        let count = |wanted| results.iter().filter(|result| **result == wanted).count();
        Ok(BulkResult {
            matched: page.total,
            done: count(LetterResult::Removed),
            failed: count(LetterResult::Remains),
            next: page.next,
        })
    }

    async fn change_dead_letter(
        &self,
        access: &Access,
        id: CompactString,
        change: BulkChange,
    ) -> LetterResult {
        match change {
            BulkChange::Replay => match self.replay(access, &id).await {
                Ok(replayed) if replayed.deleted => LetterResult::Removed,
                Err(AdminError::ReplayInProgress(_) | AdminError::DeadLetterNotFound(_)) => {
                    LetterResult::OfAnotherRequest
                }
                Ok(_) | Err(_) => LetterResult::Remains,
            },
            BulkChange::Delete => match self.delete_dead_letter(access, &id).await {
                Ok(()) => LetterResult::Removed,
                Err(AdminError::DeadLetterNotFound(_)) => LetterResult::OfAnotherRequest,
                Err(_) => LetterResult::Remains,
            },
        }
    }
}
