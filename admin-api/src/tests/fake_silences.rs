//! A double of the pipeline's part in silences, for the tests of their endpoints. It writes to the state of the test,
//! and knows only the two operators that compare text.

use std::sync::Arc;

use acteon_core::silence::{
    ACTION_TYPE, MatchOp, PROVIDER, Silence, SilenceMatcher, SilencePhase, SilenceSubject,
};
use acteon_core::silence_admin::{
    NewSilence, SilenceAdmin, SilenceChange, SilenceError, SilencePreview,
};
use acteon_core::state::{Holds, SilenceAnswer, SilenceWrite, Silences, StoredSilence};
use acteon_core::{Scope, StateError};
use acteon_testkit::UnreachableState;
use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use uuid::Uuid;

/// How many unfinished silences a namespace and tenant may have.
pub(super) const LIVE_MAX: usize = 20;

/// Silences in the state of a test.
pub(super) struct FakeSilences {
    state: Arc<UnreachableState>,
    /// The number of the last one created.
    last: Mutex<u128>,
}

impl FakeSilences {
    pub(super) fn over(state: Arc<UnreachableState>) -> Self {
        Self {
            state,
            last: Mutex::default(),
        }
    }

    async fn write(
        &self,
        silence: Silence,
        expected: u64,
    ) -> Result<Arc<StoredSilence>, SilenceError> {
        let write = SilenceWrite {
            silence: silence.clone(),
            expected,
            live_max: LIVE_MAX,
        };
        match self.state.write_silence(&write).await? {
            SilenceAnswer::Written(version) => Ok(Arc::new(StoredSilence { version, silence })),
            SilenceAnswer::Full => Err(SilenceError::Full(LIVE_MAX)),
            SilenceAnswer::Conflict(_) => unreachable!("the tests have one writer"),
        }
    }

    async fn covered(&self, scope: &Scope, id: &str) -> Result<Arc<StoredSilence>, SilenceError> {
        let found = self.state.silence(scope, id).await?;
        let found = found.ok_or(SilenceError::NotFound)?;
        match scope.covers_silence(&found.silence) {
            true => Ok(found),
            false => Err(SilenceError::Forbidden),
        }
    }

    async fn asked(
        &self,
        scope: &Scope,
        asked: &NewSilence,
        by: &str,
    ) -> Result<Silence, SilenceError> {
        let now = self.now().await?;
        if asked.ends_at <= now {
            return Err(SilenceError::Invalid {
                field: "ends_at".into(),
                message: "must be in the future".into(),
            });
        }
        let asked = asked.clone();
        let silence = Silence {
            id: String::new().into(),
            namespace: asked.namespace,
            tenant: asked.tenant,
            matchers: asked.matchers,
            starts_at: asked.starts_at.unwrap_or(now),
            ends_at: asked.ends_at,
            comment: asked.comment,
            created_by: by.into(),
            created_at: now,
            updated_at: now,
            is_finished: false,
        };
        match scope.covers_silence(&silence) {
            true => Ok(silence),
            false => Err(SilenceError::Forbidden),
        }
    }
}

#[async_trait]
impl SilenceAdmin for FakeSilences {
    async fn now(&self) -> Result<Timestamp, StateError> {
        Ok(self.state.gather(&[]).await?.now)
    }

    async fn create(
        &self,
        scope: &Scope,
        asked: &NewSilence,
        by: &str,
    ) -> Result<Arc<StoredSilence>, SilenceError> {
        let silence = self.asked(scope, asked, by).await?;
        let number = {
            let mut last = self.last.lock();
            *last += 1;
            *last
        };
        let first = 0x019b_0000_0000_7000_8000_0000_0000_0000;
        let id = Uuid::from_u128(first + number).to_string().into();
        self.write(Silence { id, ..silence }, 0).await
    }

    async fn change(
        &self,
        scope: &Scope,
        id: &str,
        change: &SilenceChange,
    ) -> Result<Arc<StoredSilence>, SilenceError> {
        let found = self.covered(scope, id).await?;
        let now = self.now().await?;
        let mut silence = found.silence.clone();
        if silence.phase(now) == SilencePhase::Expired {
            return Err(SilenceError::Ended);
        }
        silence.ends_at = change.ends_at.unwrap_or(silence.ends_at);
        silence.comment = change.comment.clone().unwrap_or(silence.comment);
        silence.updated_at = now;
        self.write(silence, found.version).await
    }

    async fn end(&self, scope: &Scope, id: &str) -> Result<Arc<StoredSilence>, SilenceError> {
        let found = self.covered(scope, id).await?;
        let now = self.now().await?;
        let mut silence = found.silence.clone();
        silence.ends_at = now;
        silence.updated_at = now;
        self.write(silence, found.version).await
    }

    async fn preview(
        &self,
        scope: &Scope,
        asked: &NewSilence,
    ) -> Result<Box<dyn SilencePreview>, SilenceError> {
        let silence = self.asked(scope, asked, "").await?;
        Ok(Box::new(FakePreview(silence.matchers)))
    }
}

struct FakePreview(Vec<SilenceMatcher>);

impl SilencePreview for FakePreview {
    fn matches(&self, past: &SilenceSubject<'_>) -> bool {
        self.0.iter().all(|matcher| {
            let value = match matcher.name.as_str() {
                PROVIDER => past.provider,
                ACTION_TYPE => past.action_type,
                name => past.labels.get(name).unwrap_or_default(),
            };
            (value == matcher.value) == (matcher.op == MatchOp::Equal)
        })
    }
}
