//! Implements the part of the port for operators' work on dead letters.

use std::sync::Arc;

use acteon_core::scope::Scope;
use acteon_core::state::{DeadLetterPage, DeadLetterQuery, DeadLetters, StateError};
use acteon_core::{DeadLetter, DeliveryProgress};
use async_trait::async_trait;
use rusqlite::Connection;

use super::call::StateCall;
use super::{Shared, SqliteState};

#[async_trait]
impl DeadLetters for SqliteState {
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<DeadLetterPage, StateError> {
        let query = query.clone();
        let list = move |connection: &Connection, shared: &Shared, now: i64| {
            shared.letters.list(connection, &query, now)
        };
        Ok(self.read(list).await?)
    }

    async fn dead_letter(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Option<Arc<DeadLetter>>, StateError> {
        let scope = scope.clone();
        let id = id.to_owned();
        let find = move |connection: &Connection, shared: &Shared, now: i64| {
            shared.letters.find(connection, &scope, &id, now)
        };
        Ok(self.read(find).await?)
    }

    async fn set_progress(
        &self,
        scope: &Scope,
        id: &str,
        progress: &DeliveryProgress,
    ) -> Result<bool, StateError> {
        let scope = scope.clone();
        let id = id.to_owned();
        let progress = progress.clone();
        let set = move |call: &mut StateCall<'_>| {
            let letters = &call.shared.letters;
            letters.set_progress(call.connection, (&scope, &id), progress, call.now)
        };
        Ok(self.call(set).await?)
    }

    async fn delete_dead_letter(&self, scope: &Scope, id: &str) -> Result<bool, StateError> {
        let scope = scope.clone();
        let id = id.to_owned();
        let delete = move |call: &mut StateCall<'_>| {
            let letters = &call.shared.letters;
            letters.delete(call.connection, &scope, &id, call.now)
        };
        Ok(self.call(delete).await?)
    }
}
