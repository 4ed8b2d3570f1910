//! When a silence ends, the events whose present state it withheld are announced once, by the nodes that
//! see the end; the version of each event lets one of them through.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::silence::{EVERY_NAME, WITHHELD_BY};
use acteon_core::state::{
    EventFilter, EventQuery, EventValue, SilenceWrite, StoredEvent, StoredSilence,
};
use acteon_core::{Scope, StateError};
use compact_str::CompactString;
use jiff::{SignedDuration, Timestamp};
use tokio::time::sleep;

use crate::events;
use crate::process::Pipeline;

/// How long after the end its events are announced. By then every node knows of the end, and what was decided before it is
/// written.
const SETTLE: Duration = Duration::from_secs(10);
/// How often a shared state is read.
const SHARED_WAIT: Duration = Duration::from_secs(1);
/// How soon a failed call is repeated.
const AGAIN: Duration = Duration::from_secs(1);
/// How many events one call lists.
const PAGE: usize = 256;

/// The values under which an event is found, with the silence that withholds its notice.
pub(crate) fn findable(
    values: &[EventValue],
    withheld_by: Option<&CompactString>,
) -> Vec<EventValue> {
    let own = values.iter().filter(|value| value.name != WITHHELD_BY);
    let withheld = withheld_by.map(withheld_value);
    own.cloned().chain(withheld).collect()
}

fn withheld_value(id: &CompactString) -> EventValue {
    EventValue {
        name: WITHHELD_BY.into(),
        value: id.clone(),
    }
}

impl Pipeline {
    /// Follows the silences of all nodes, and tells what they withheld after their end. Never returns.
    pub(crate) async fn follow_silences(self: &Arc<Self>) {
        let silences = self.parts.rules.silences();
        loop {
            let wait = match self.finish_silences().await {
                Ok(wait) => wait,
                Err(error) => {
                    events::silences_unknown(&error);
                    Some(AGAIN)
                }
            };
            tokio::select! {
                () = sleep(wait.unwrap_or_default()), if wait.is_some() => {}
                () = silences.until_written() => {}
            }
        }
    }

    /// Finishes the silences that have ended. Returns when to look again; `None`: after the next write.
    async fn finish_silences(self: &Arc<Self>) -> Result<Option<Duration>, StateError> {
        let silences = self.parts.rules.silences();
        let view = silences.read().await?;
        let now = view.now();
        let mut next = silences.is_shared().then_some(SHARED_WAIT);
        for stored in view.all() {
            match wait_until(due_at(stored.silence.ends_at), now) {
                Duration::ZERO => self.finish_silence(stored, now).await?,
                wait => next = Some(next.map_or(wait, |next| next.min(wait))),
            }
        }
        Ok(next)
    }

    /// Reads silences that were written into the state by something else.
    ///
    /// # Errors
    /// The state does not answer.
    pub async fn read_silences(&self) -> Result<(), StateError> {
        let silences = self.parts.rules.silences();
        silences.read().await?;
        silences.written();
        Ok(())
    }

    async fn finish_silence(
        self: &Arc<Self>,
        stored: &StoredSilence,
        now: Timestamp,
    ) -> Result<(), StateError> {
        let mut after = None;
        loop {
            let query = EventQuery {
                scope: Scope::everything(),
                filter: withheld_events(stored),
                after,
                limit: PAGE,
            };
            let page = self.parts.state.events(&query).await?;
            self.time_out(page.events, now).await?;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        // An event that was written meanwhile has been withheld again, and is announced next time.
        if !self.withheld_by(stored).await?.is_empty() {
            return Err(StateError::Unavailable(
                "events of an ended silence were written by others".into(),
            ));
        }
        let mut silence = stored.silence.clone();
        silence.is_finished = true;
        let write = SilenceWrite {
            silence,
            expected: stored.version,
            live_max: self.parts.options.silences.live_max,
        };
        // After a conflict, another node has finished it.
        self.parts.state.write_silence(&write).await?;
        self.parts.rules.silences().written();
        Ok(())
    }

    async fn withheld_by(
        &self,
        stored: &StoredSilence,
    ) -> Result<Vec<Arc<StoredEvent>>, StateError> {
        let query = EventQuery {
            scope: Scope::everything(),
            filter: withheld_events(stored),
            after: None,
            limit: 1,
        };
        Ok(self.parts.state.events(&query).await?.events)
    }
}

fn withheld_events(stored: &StoredSilence) -> EventFilter {
    let silence = &stored.silence;
    let exact = |name: &CompactString| (name != EVERY_NAME).then(|| name.clone());
    EventFilter {
        namespace: exact(&silence.namespace),
        tenant: exact(&silence.tenant),
        values: vec![withheld_value(&silence.id)],
        ..EventFilter::default()
    }
}

fn due_at(ends_at: Timestamp) -> Timestamp {
    crate::event_body::later(ends_at, SETTLE)
}

fn wait_until(due: Timestamp, now: Timestamp) -> Duration {
    let wait: SignedDuration = due.duration_since(now);
    Duration::try_from(wait).unwrap_or_default()
}
