//! Dead letters: pages of them, one letter with its bytes, and deletion. Also pages of the actions that wait for
//! redelivery. Replay is in `replay`.

use std::borrow::Cow;
use std::sync::Arc;

use acteon_core::redelivery::{RedeliveryPage, RedeliveryQuery};
use acteon_core::state::{DeadLetterPage, DeadLetterQuery};
use acteon_core::{DeadLetter, Redactor, Scope};
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::json;

use super::changes::{Change, CompletedChange, DELETE_LETTER};
use super::{Access, AdminApi, AdminError};

/// The most dead letters on one page.
pub const DEAD_LETTER_LIMIT_MAX: usize = 1000;
/// The most redeliveries on one page.
pub const REDELIVERY_LIMIT_MAX: usize = 1000;

/// A dead letter with its redacted bytes.
#[derive(Clone, Debug)]
pub struct RedactedLetter {
    /// The letter. Its own bytes are not redacted: show [`RedactedLetter::bytes`].
    pub letter: Arc<DeadLetter>,
    /// Its redacted bytes.
    pub bytes: RedactedBytes,
}

/// The original bytes of a dead letter, redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedactedBytes {
    /// The bytes are JSON.
    Json(String),
    /// The bytes are not JSON, so they have no fields to redact.
    Opaque(Bytes),
}

impl AdminApi {
    /// The dead letters that match the query, the last one stored first.
    ///
    /// # Errors
    /// The state backend cannot be reached.
    pub async fn dead_letters(
        &self,
        query: &DeadLetterQuery,
    ) -> Result<DeadLetterPage, AdminError> {
        Ok(self.ports.state.dead_letters(query).await?)
    }

    /// One dead letter with its bytes.
    ///
    /// # Errors
    /// There is no such letter inside the scope, or the state backend cannot be reached.
    pub async fn dead_letter(
        &self,
        access: &Access,
        id: &str,
    ) -> Result<RedactedLetter, AdminError> {
        let letter = self.letter(&access.scope, id).await?;
        let bytes = redacted(&letter.raw, &self.ports.redactor);
        Ok(RedactedLetter { letter, bytes })
    }

    /// Deletes a dead letter permanently.
    ///
    /// # Errors
    /// There is no such letter inside the scope, or the state backend cannot be reached.
    pub async fn delete_dead_letter(&self, access: &Access, id: &str) -> Result<(), AdminError> {
        let letter = self.letter(&access.scope, id).await?;
        let change = Change::of_letter(DELETE_LETTER, &letter);
        let ports = self.ports.clone();
        let scope = access.scope.clone();
        let work = async move {
            if !ports.state.delete_dead_letter(&scope, &letter.id).await? {
                return Err(AdminError::DeadLetterNotFound(letter.id.clone()));
            }
            let action_id = letter.action.as_ref().map_or("", |action| &action.id);
            Ok(CompletedChange {
                outcome: "deleted",
                details: json!({"dead_letter_id": letter.id, "action_id": action_id}),
                answer: (),
            })
        };
        self.change(access.caller.clone(), change, work).await
    }

    /// The actions that wait for redelivery and match the query, the one that is due soonest first. Only actions that
    /// this process sent to the delayed path of their source are known here.
    pub fn redeliveries(&self, query: &RedeliveryQuery) -> RedeliveryPage {
        self.ports.status.redeliveries.list(query)
    }

    pub(super) async fn letter(
        &self,
        scope: &Scope,
        id: &str,
    ) -> Result<Arc<DeadLetter>, AdminError> {
        let letter = self.ports.state.dead_letter(scope, id).await?;
        letter.ok_or_else(|| AdminError::DeadLetterNotFound(id.into()))
    }
}

/// Redacts `raw`.
fn redacted(raw: &Bytes, redactor: &Redactor) -> RedactedBytes {
    let json = std::str::from_utf8(raw).ok().and_then(|text| {
        if redactor.is_idle() {
            serde_json::from_str::<IgnoredAny>(text).ok()?;
            return Some(text.to_owned());
        }
        redactor.message(text).map(Cow::into_owned)
    });
    json.map_or_else(|| RedactedBytes::Opaque(raw.clone()), RedactedBytes::Json)
}
