//! Silences: pages of them, one, and their creation, change and end. The state has them, and the pipeline writes them,
//! so that a change counts at once on this node.

use std::sync::Arc;

use acteon_core::Caller;
use acteon_core::silence::{Silence, SilencePhase};
use acteon_core::silence_admin::{NewSilence, SilenceChange, SilenceError};
use acteon_core::state::{SilencePage, SilenceQuery, StoredSilence};
use compact_str::CompactString;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::changes::{CHANGE_SILENCE, CREATE_SILENCE, Change, CompletedChange, END_SILENCE};
use super::{Access, AdminApi, AdminError};

/// The most silences on one page.
pub const SILENCE_LIMIT_MAX: usize = 1000;

/// A silence and the time of the state's clock, which says whether it is in force.
#[derive(Clone, Debug)]
pub struct DatedSilence {
    /// The silence.
    pub stored: Arc<StoredSilence>,
    /// The time by which it was shown or written.
    pub now: Timestamp,
}

impl AdminApi {
    /// The silences that match the query, the one created last first.
    ///
    /// # Errors
    /// The state backend cannot be reached.
    pub async fn silences(&self, query: &SilenceQuery) -> Result<SilencePage, AdminError> {
        Ok(self.ports.state.silences(query).await?)
    }

    /// One silence.
    ///
    /// # Errors
    /// There is no such silence inside the scope, or the state backend cannot be reached.
    pub async fn silence(&self, access: &Access, id: &str) -> Result<DatedSilence, AdminError> {
        let stored = self.ports.state.silence(&access.scope, id).await?;
        let stored = stored.ok_or_else(|| AdminError::SilenceNotFound(id.into()))?;
        let now = self.ports.silences.now().await?;
        Ok(DatedSilence { stored, now })
    }

    /// Creates a silence.
    ///
    /// # Errors
    /// It is none, the caller's grants do not cover everything that it withholds, there are too many, or the state
    /// backend cannot be reached.
    pub async fn create_silence(
        &self,
        access: &Access,
        asked: NewSilence,
    ) -> Result<DatedSilence, AdminError> {
        let change = Change::of_silence(CREATE_SILENCE, &asked.namespace, &asked.tenant);
        let silences = self.ports.silences.clone();
        let access = access.clone();
        let caller = access.caller.clone();
        let work = async move {
            let by = author(&access.caller);
            let made = silences.create(&access.scope, &asked, &by).await;
            let stored = made.map_err(|error| refused(error, ""))?;
            written("created", stored, silences.now().await?)
        };
        self.change(caller, change, work).await
    }

    /// Changes the end or the comment of a silence that has not ended.
    ///
    /// # Errors
    /// There is no such silence inside the scope, it has ended, the caller's grants do not cover everything that it
    /// withholds, or the state backend cannot be reached.
    pub async fn change_silence(
        &self,
        access: &Access,
        id: &str,
        asked: SilenceChange,
    ) -> Result<DatedSilence, AdminError> {
        let found = self.silence(access, id).await?;
        let change = change_of(CHANGE_SILENCE, &found.stored.silence);
        let silences = self.ports.silences.clone();
        let access = access.clone();
        let caller = access.caller.clone();
        let id = CompactString::from(id);
        let work = async move {
            let changed = silences.change(&access.scope, &id, &asked).await;
            let stored = changed.map_err(|error| refused(error, &id))?;
            written("changed", stored, silences.now().await?)
        };
        self.change(caller, change, work).await
    }

    /// Ends a silence now. One that has ended is left as it is, without a record.
    ///
    /// # Errors
    /// There is no such silence inside the scope, the caller's grants do not cover everything that it withholds, or the
    /// state backend cannot be reached.
    pub async fn end_silence(&self, access: &Access, id: &str) -> Result<DatedSilence, AdminError> {
        let found = self.silence(access, id).await?;
        let silence = &found.stored.silence;
        if !access.scope.covers_silence(silence) {
            return Err(AdminError::SilenceRefused(SilenceError::Forbidden));
        }
        if silence.phase(found.now) == SilencePhase::Expired {
            return Ok(found);
        }
        let change = change_of(END_SILENCE, silence);
        let silences = self.ports.silences.clone();
        let access = access.clone();
        let caller = access.caller.clone();
        let id = CompactString::from(id);
        let work = async move {
            let ended = silences.end(&access.scope, &id).await;
            let stored = ended.map_err(|error| refused(error, &id))?;
            written("ended", stored, silences.now().await?)
        };
        self.change(caller, change, work).await
    }
}

/// The name of the author of a silence.
fn author(caller: &Caller) -> CompactString {
    let id = caller.id.as_deref();
    id.unwrap_or(caller.auth_method).into()
}

fn change_of(name: &'static str, silence: &Silence) -> Change {
    Change::of_silence(name, &silence.namespace, &silence.tenant)
}

pub(super) fn refused(error: SilenceError, id: &str) -> AdminError {
    match error {
        SilenceError::NotFound => AdminError::SilenceNotFound(id.into()),
        SilenceError::State(error) => AdminError::State(error),
        refused => AdminError::SilenceRefused(refused),
    }
}

fn written(
    outcome: &'static str,
    stored: Arc<StoredSilence>,
    now: Timestamp,
) -> Result<CompletedChange<DatedSilence>, AdminError> {
    Ok(CompletedChange {
        outcome,
        details: details(&stored.silence),
        answer: DatedSilence { stored, now },
    })
}

/// What the audit trail keeps of a silence.
fn details(silence: &Silence) -> Value {
    json!({
        "id": silence.id,
        "matchers": silence.matchers,
        "starts_at": silence.starts_at,
        "ends_at": silence.ends_at,
        "comment": silence.comment,
    })
}
