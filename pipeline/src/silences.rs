//! The silences in force on this node: a copy of those in the state. A shared state is read each second, so that a
//! silence of another node counts within two. What happens when a silence ends is in `silence_end.rs`.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::silence::SilenceSubject;
use acteon_core::state::{State, StoredSilence};
use acteon_core::{Action, StateError};
use acteon_silences::SilenceSet;
use arc_swap::ArcSwapOption;
use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::events;

/// A copy of a shared state that is older is read again before it is used.
const AGE_MAX: Duration = Duration::from_secs(2);

/// This node's copy of the silences.
pub(crate) struct SilencesInForce {
    state: Arc<dyn State>,
    /// `None` before the state was read.
    view: ArcSwapOption<SilenceView>,
    /// Held while the state is read.
    reading: tokio::sync::Mutex<()>,
    /// A silence was written on this node.
    changed: Notify,
}

impl SilencesInForce {
    pub(crate) fn new(state: Arc<dyn State>) -> Self {
        Self {
            state,
            view: ArcSwapOption::empty(),
            reading: tokio::sync::Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// The silences by which to decide now. The state is asked if it was not read yet, or too long ago. If it does not
    /// answer, the last copy counts.
    pub(crate) async fn current(&self) -> Result<Arc<SilenceView>, StateError> {
        let Some(view) = self.view.load_full() else {
            return self.read().await;
        };
        if !self.is_shared() || view.read_at.elapsed() <= AGE_MAX {
            return Ok(view);
        }
        Ok(self.read().await.unwrap_or(view))
    }

    /// Reads the state.
    pub(crate) async fn read(&self) -> Result<Arc<SilenceView>, StateError> {
        let _reading = self.reading.lock().await;
        let before = self.view.load_full();
        let known = before.as_ref().map(|view| view.revision);
        let live = self.state.live_silences(known).await?;
        let set = match (live.silences, before) {
            (Some(silences), before) => {
                let before = before.map(|view| view.set.clone()).unwrap_or_default();
                let (set, broken) = before.renewed(silences, live.now);
                broken.iter().for_each(|id| events::silence_unreadable(id));
                events::silences_in_force(set.all().len());
                Arc::new(set)
            }
            (None, Some(before)) => before.set.clone(),
            (None, None) => Arc::default(),
        };
        let view = Arc::new(SilenceView {
            set,
            revision: live.revision,
            now: live.now,
            read_at: Instant::now(),
        });
        self.view.store(Some(view.clone()));
        Ok(view)
    }

    /// Whether other nodes write silences, too.
    pub(crate) fn is_shared(&self) -> bool {
        self.state.capabilities().shared
    }

    /// A silence was written on this node.
    pub(crate) fn written(&self) {
        self.changed.notify_one();
    }

    /// Returns after the next write on this node.
    pub(crate) async fn until_written(&self) {
        self.changed.notified().await;
    }
}

/// The silences at a certain time.
pub(crate) struct SilenceView {
    set: Arc<SilenceSet>,
    revision: u64,
    /// The time of the state's clock when it was read.
    now: Timestamp,
    read_at: Instant,
}

impl SilenceView {
    /// No silences, for decisions without the state.
    pub(crate) fn empty() -> Arc<Self> {
        Arc::new(Self {
            set: Arc::default(),
            revision: 0,
            now: Timestamp::default(),
            read_at: Instant::now(),
        })
    }

    /// The time of the state's clock now.
    pub(crate) fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.read_at.elapsed());
        self.now
            .saturating_add(passed.unwrap_or(SignedDuration::MAX))
            .unwrap_or(Timestamp::MAX)
    }

    /// All that are not finished.
    pub(crate) fn all(&self) -> &[Arc<StoredSilence>] {
        self.set.all()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// The id of the silence that withholds this.
    pub(crate) fn find(&self, subject: &SilenceSubject<'_>) -> Option<CompactString> {
        if self.is_empty() {
            return None;
        }
        let found = self.set.find(subject, self.now())?;
        Some(found.silence.id.clone())
    }

    /// The id of the silence that withholds the delivery of an action to this provider.
    pub(crate) fn find_for(&self, action: &Action, provider: &str) -> Option<CompactString> {
        if self.is_empty() {
            return None;
        }
        self.find(&SilenceSubject {
            namespace: &action.namespace,
            tenant: &action.tenant,
            provider,
            action_type: &action.action_type,
            labels: &action.labels,
        })
    }
}
