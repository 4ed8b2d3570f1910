//! Many dead letters at once. Each is replayed or deleted as if it was alone, its record in the audit trail included.

use acteon_core::state::DeadLetterQuery;
use compact_str::CompactString;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};

use super::{Access, AdminApi, AdminError};

/// How many are replayed or deleted side by side.
const SIDE_BY_SIDE: usize = 16;

/// What is done with each letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkChange {
    /// Its action is offered to the pipeline once more.
    Replay,
    /// It is gone for good.
    Delete,
}

/// What became of many letters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bulk {
    /// How many matched at the beginning.
    pub matched: u64,
    /// How many are gone now.
    pub done: usize,
    /// How many are still there: their actions did not come to their end, or could not be offered.
    pub failed: usize,
    /// Where the next ones begin, when there are more.
    pub next: Option<u64>,
}

impl AdminApi {
    /// How many letters a query matches; changes nothing.
    ///
    /// # Errors
    /// When the state cannot be asked.
    pub async fn count_dead_letters(&self, query: &DeadLetterQuery) -> Result<Bulk, AdminError> {
        let first = DeadLetterQuery {
            limit: 1,
            ..query.clone()
        };
        let page = self.dead_letters(&first).await?;
        Ok(Bulk {
            matched: page.total,
            ..Bulk::default()
        })
    }

    /// Replays or deletes the letters of one page. What has begun goes to its end when the caller hangs up; the others stay.
    ///
    /// # Errors
    /// When the state cannot be asked which letters those are.
    pub async fn change_dead_letters(
        &self,
        access: &Access,
        query: &DeadLetterQuery,
        change: BulkChange,
    ) -> Result<Bulk, AdminError> {
        let page = self.dead_letters(query).await?;
        let mut changes: Vec<BoxFuture<'_, bool>> = Vec::with_capacity(page.letters.len());
        for letter in &page.letters {
            let id = letter.id.clone();
            changes.push(self.change_dead_letter(access, id, change).boxed());
        }
        let gone: Vec<bool> = stream::iter(changes)
            .buffer_unordered(SIDE_BY_SIDE)
            .collect()
            .await;
        let done = gone.iter().filter(|gone| **gone).count();
        Ok(Bulk {
            matched: page.total,
            done,
            failed: gone.len() - done,
            next: page.next,
        })
    }

    /// Whether the letter is gone.
    async fn change_dead_letter(
        &self,
        access: &Access,
        id: CompactString,
        change: BulkChange,
    ) -> bool {
        match change {
            BulkChange::Replay => {
                let replayed = self.replay(access, &id).await;
                replayed.is_ok_and(|replayed| replayed.deleted)
            }
            BulkChange::Delete => {
                let deleted = self.delete_dead_letter(access, &id).await;
                // Somebody else was faster.
                matches!(deleted, Ok(()) | Err(AdminError::DeadLetterNotFound(_)))
            }
        }
    }
}
