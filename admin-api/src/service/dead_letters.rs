//! What could not be delivered or decoded: pages of it, one letter with its bytes, and its end. Replay stands apart.

use std::sync::Arc;

use acteon_core::state::{DeadLetterPage, DeadLetterQuery};
use acteon_core::{DeadLetter, Redactor, Scope};
use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::changes::{Change, Changed};
use super::{Access, AdminApi, AdminError, change};

/// How many letters one page holds at most.
pub const DEAD_LETTER_LIMIT_MAX: usize = 1000;

/// A dead letter as it may be shown.
#[derive(Clone, Debug)]
pub struct ShownLetter {
    /// The letter. Its bytes are as they came: show [`ShownLetter::bytes`].
    pub letter: Arc<DeadLetter>,
    /// Its bytes, redacted.
    pub bytes: ShownBytes,
}

/// The original bytes of a dead letter, redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShownBytes {
    /// They are JSON.
    Json(String),
    /// They are not JSON, so there are no fields in them to redact.
    Opaque(Bytes),
}

impl AdminApi {
    /// Dead letters inside the query's scope, the last one stored first.
    ///
    /// # Errors
    /// When the state cannot be asked.
    pub async fn dead_letters(
        &self,
        query: &DeadLetterQuery,
    ) -> Result<DeadLetterPage, AdminError> {
        Ok(self.ports.state.dead_letters(query).await?)
    }

    /// One dead letter with its bytes.
    ///
    /// # Errors
    /// When there is none inside the scope, or the state cannot be asked.
    pub async fn dead_letter(&self, access: &Access, id: &str) -> Result<ShownLetter, AdminError> {
        let letter = self.letter(&access.scope, id).await?;
        let bytes = shown(&letter.raw, &self.ports.redactor);
        Ok(ShownLetter { letter, bytes })
    }

    /// Deletes a dead letter for good.
    ///
    /// # Errors
    /// When there is none inside the scope, or the state cannot be asked.
    pub async fn delete_dead_letter(&self, access: &Access, id: &str) -> Result<(), AdminError> {
        let letter = self.letter(&access.scope, id).await?;
        let change = Change::of_letter(change::DELETE_LETTER, &letter);
        let (ports, scope) = (self.ports.clone(), access.scope.clone());
        let work = async move {
            if !ports.state.delete_dead_letter(&scope, &letter.id).await? {
                return Err(AdminError::DeadLetterNotFound(letter.id.clone()));
            }
            let action_id = letter.action.as_ref().map_or("", |action| &action.id);
            Ok(Changed {
                outcome: "deleted",
                details: json!({"dead_letter_id": letter.id, "action_id": action_id}),
                answer: (),
            })
        };
        self.change(access.caller.clone(), change, work).await
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

/// What may be shown of `raw`. Where fields are redacted JSON is always written anew: a key that stands twice would
/// otherwise hide the first of its values from the redactor and show it all the same.
fn shown(raw: &Bytes, redactor: &Redactor) -> ShownBytes {
    let json = std::str::from_utf8(raw).ok().and_then(|text| {
        if redactor.is_idle() {
            serde_json::from_str::<IgnoredAny>(text).ok()?;
            return Some(text.to_owned());
        }
        let mut value = serde_json::from_str(text).ok()?;
        redact_message(&mut value, redactor);
        Some(value.to_string())
    });
    json.map_or_else(|| ShownBytes::Opaque(raw.clone()), ShownBytes::Json)
}

/// Paths of the redactor begin at the payload, and a message that is no action may be all payload.
fn redact_message(message: &mut Value, redactor: &Redactor) {
    redactor.value(message);
    if let Some(payload) = message.get_mut("payload") {
        redactor.value(payload);
    }
}
