//! Silences for operators: written into the state, and in force on this node at once.

use std::sync::Arc;

use acteon_core::ids::Ids;
use acteon_core::silence::{Silence, SilencePhase, SilenceSubject};
use acteon_core::silence_admin::{
    NewSilence, SilenceAdmin, SilenceChange, SilenceError, SilencePreview,
};
use acteon_core::state::{SilenceAnswer, SilenceWrite, StoredSilence};
use acteon_core::{Scope, StateError};
use acteon_silences::{
    CompiledSilence, SilenceBounds, SilenceProblem, check, check_comment, check_end,
};
use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::event_timeout::WRITES_MAX;
use crate::process::Pipeline;

/// The silences of a pipeline.
struct PipelineSilences {
    pipeline: Arc<Pipeline>,
    /// Operators of one process change silences one after the other, or they would only meet each other's writes.
    turn: Mutex<()>,
}

impl Pipeline {
    /// Its silences, for operators.
    pub fn silence_admin(self: &Arc<Self>) -> Arc<dyn SilenceAdmin> {
        Arc::new(PipelineSilences {
            pipeline: self.clone(),
            turn: Mutex::default(),
        })
    }
}

#[async_trait]
impl SilenceAdmin for PipelineSilences {
    async fn now(&self) -> Result<Timestamp, StateError> {
        let view = self.pipeline.parts.rules.silences().current().await?;
        Ok(view.now())
    }

    async fn create(
        &self,
        scope: &Scope,
        asked: &NewSilence,
        by: &str,
    ) -> Result<Arc<StoredSilence>, SilenceError> {
        let mut silence = self.checked(scope, asked).await?;
        silence.created_by = by.into();
        match self.write(silence, 0).await? {
            Ok(stored) => Ok(stored),
            Err(_) => Err(overwritten().into()),
        }
    }

    async fn change(
        &self,
        scope: &Scope,
        id: &str,
        change: &SilenceChange,
    ) -> Result<Arc<StoredSilence>, SilenceError> {
        self.rewrite(scope, id, |silence, now| {
            if silence.phase(now) == SilencePhase::Expired {
                return Err(SilenceError::Ended);
            }
            if let Some(ends_at) = change.ends_at {
                let bounds = self.bounds();
                check_end(silence.starts_at, ends_at, now, bounds).map_err(invalid)?;
                silence.ends_at = ends_at;
            }
            if let Some(comment) = &change.comment {
                check_comment(comment).map_err(invalid)?;
                silence.comment = comment.clone();
            }
            Ok(())
        })
        .await
    }

    async fn end(&self, scope: &Scope, id: &str) -> Result<Arc<StoredSilence>, SilenceError> {
        self.rewrite(scope, id, |silence, now| {
            silence.starts_at = silence.starts_at.min(now);
            silence.ends_at = silence.ends_at.min(now);
            Ok(())
        })
        .await
    }

    async fn preview(
        &self,
        scope: &Scope,
        asked: &NewSilence,
    ) -> Result<Box<dyn SilencePreview>, SilenceError> {
        let silence = self.checked(scope, asked).await?;
        let compiled = CompiledSilence::of(&silence).map_err(|error| SilenceError::Invalid {
            field: "matchers".to_owned(),
            message: error.to_string(),
        })?;
        Ok(Box::new(PreviewedSilence(compiled)))
    }
}

impl PipelineSilences {
    fn bounds(&self) -> SilenceBounds {
        let options = &self.pipeline.parts.options.silences;
        SilenceBounds {
            duration_max: options.duration_max,
            live_max: options.live_max,
        }
    }

    /// The silence that is asked for, without its author.
    async fn checked(&self, scope: &Scope, asked: &NewSilence) -> Result<Silence, SilenceError> {
        let now = self.now().await?;
        let starts_at = check(asked, now, self.bounds()).map_err(invalid)?;
        let silence = Silence {
            id: Ids::at(now).text(),
            namespace: asked.namespace.clone(),
            tenant: asked.tenant.clone(),
            matchers: asked.matchers.clone(),
            starts_at,
            ends_at: asked.ends_at,
            comment: asked.comment.clone(),
            created_by: "".into(),
            created_at: now,
            updated_at: now,
            is_finished: false,
        };
        match scope.covers_silence(&silence) {
            true => Ok(silence),
            false => Err(SilenceError::Forbidden),
        }
    }

    /// Changes a stored silence, again if others write it meanwhile.
    async fn rewrite(
        &self,
        scope: &Scope,
        id: &str,
        change: impl Fn(&mut Silence, Timestamp) -> Result<(), SilenceError> + Send,
    ) -> Result<Arc<StoredSilence>, SilenceError> {
        let _turn = self.turn.lock().await;
        let state = &self.pipeline.parts.state;
        let mut found = state.silence(scope, id).await?;
        for _ in 0..WRITES_MAX {
            let Some(stored) = found else {
                return Err(SilenceError::NotFound);
            };
            if !scope.covers_silence(&stored.silence) {
                return Err(SilenceError::Forbidden);
            }
            let now = self.now().await?;
            let mut silence = stored.silence.clone();
            change(&mut silence, now)?;
            if silence == stored.silence {
                return Ok(stored);
            }
            silence.updated_at = now;
            match self.write(silence, stored.version).await? {
                Ok(stored) => return Ok(stored),
                Err(present) => found = present,
            }
        }
        Err(overwritten().into())
    }

    /// Writes a silence and puts it in force here. `Err`: another write came first; the present silence.
    async fn write(
        &self,
        silence: Silence,
        expected: u64,
    ) -> Result<Result<Arc<StoredSilence>, Option<Arc<StoredSilence>>>, SilenceError> {
        let live_max = self.bounds().live_max;
        let write = SilenceWrite {
            silence,
            expected,
            live_max,
        };
        match self.pipeline.parts.state.write_silence(&write).await? {
            SilenceAnswer::Written(version) => {
                let silences = self.pipeline.parts.rules.silences();
                // If the state does not answer now, the task that follows silences asks again.
                let _ = silences.read().await;
                silences.written();
                let silence = write.silence;
                Ok(Ok(Arc::new(StoredSilence { version, silence })))
            }
            SilenceAnswer::Conflict(present) => Ok(Err(present)),
            SilenceAnswer::Full => Err(SilenceError::Full(live_max)),
        }
    }
}

struct PreviewedSilence(CompiledSilence);

impl SilencePreview for PreviewedSilence {
    fn matches(&self, past: &SilenceSubject<'_>) -> bool {
        self.0.matches(past)
    }
}

fn invalid(problem: SilenceProblem) -> SilenceError {
    SilenceError::Invalid {
        field: problem.field,
        message: problem.message,
    }
}

fn overwritten() -> StateError {
    StateError::Unavailable("the silence is written by others all the time".into())
}
