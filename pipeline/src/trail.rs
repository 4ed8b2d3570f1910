//! Carries records to the audit backend: a bounded queue, written in batches, retried until it works. The pipeline
//! waits while the queue is full. Records lost at the end of the process are counted and logged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use acteon_core::audit::AuditError;
use acteon_core::{Audit, AuditRecord, Backoff, Clock, Trail, WrittenRecords, seconds};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;

use crate::events;

/// The maximum number of records per write.
const WRITE_MAX: usize = 1000;
/// The maximum number of expired records deleted per step of the cleanup.
const PURGE_MAX: usize = 1000;
/// The waits between two tries of a failing write.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// When an action may be acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrailDelivery {
    /// Once its record is in the queue.
    #[default]
    Buffered,
    /// Once its record is durable.
    Confirmed,
}

/// How records are kept. These keys of `[audit]` belong to the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TrailOptions {
    /// How long to keep a record; 0, read as `None`: forever.
    #[serde(rename = "ttl_seconds", with = "seconds_or_forever")]
    #[schemars(with = "u64", range(max = 3_153_600_000_u64))]
    pub ttl: Option<Duration>,
    /// How often expired records are deleted.
    #[serde(rename = "cleanup_interval_seconds", with = "seconds")]
    #[schemars(with = "u64", range(min = 1, max = 31_536_000))]
    pub cleanup_interval: Duration,
    /// When an action may be acknowledged.
    pub delivery: TrailDelivery,
    /// The maximum number of queued records. At the maximum, the pipeline waits.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub buffer_records: u32,
}

impl Default for TrailOptions {
    fn default() -> Self {
        Self {
            ttl: Some(Duration::from_secs(2_592_000)),
            cleanup_interval: Duration::from_secs(3600),
            delivery: TrailDelivery::Buffered,
            buffer_records: 10_000,
        }
    }
}

/// The queue in front of the audit backend.
pub struct AuditTrail {
    audit: Arc<dyn Audit>,
    options: TrailOptions,
    clock: Clock,
    room: Semaphore,
    sender: mpsc::Sender<Entry>,
    receiver: Mutex<Option<mpsc::Receiver<Entry>>>,
    written: WrittenRecords,
    lost: AtomicU64,
}

struct Entry {
    records: Vec<Arc<AuditRecord>>,
    written: Option<oneshot::Sender<()>>,
}

/// The trail ended before it could write.
#[derive(Debug, thiserror::Error)]
#[error("the process is stopping")]
struct TrailStopped;

impl AuditTrail {
    /// A trail to this backend. It writes nothing before [`AuditTrail::run`].
    pub fn new(audit: Arc<dyn Audit>, options: TrailOptions, clock: Clock) -> Arc<Self> {
        let room = options.buffer_records.max(1) as usize;
        let (sender, receiver) = mpsc::channel(room);
        Arc::new(Self {
            audit,
            options,
            clock,
            room: Semaphore::new(room),
            sender,
            receiver: Mutex::new(Some(receiver)),
            written: WrittenRecords::default(),
            lost: AtomicU64::new(0),
        })
    }

    /// Where one can wait for a record to be written.
    pub fn written(&self) -> WrittenRecords {
        self.written.clone()
    }

    /// The number of records lost at the end of the process.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// True while records are queued or being written.
    pub fn has_unwritten(&self) -> bool {
        self.room.available_permits() < self.options.buffer_records.max(1) as usize
    }

    /// Writes until `closing`, then writes the queued rest until `abandon`. Meanwhile deletes expired records. Callers
    /// still waiting for room or confirmation after `abandon` get an error.
    pub async fn run(self: Arc<Self>, closing: CancellationToken, abandon: CancellationToken) {
        let Some(mut receiver) = self.receiver.lock().take() else {
            return;
        };
        let mut batch = Vec::new();
        tokio::select! {
            () = self.purge_forever() => {}
            () = self.write_forever(&mut receiver, &mut batch) => {}
            () = closing.cancelled() => {}
            () = abandon.cancelled() => {}
        }
        receiver.close();
        tokio::select! {
            () = self.write_rest(&mut receiver, &mut batch) => {}
            () = abandon.cancelled() => {}
        }
        while let Ok(entry) = receiver.try_recv() {
            batch.push(entry);
        }
        self.room.close();
        self.lose(batch.iter().map(|entry: &Entry| entry.records.len()).sum());
    }

    fn lose(&self, records: usize) {
        self.lost.fetch_add(records as u64, Relaxed);
        events::records_lost(records);
    }

    async fn write_forever(&self, receiver: &mut mpsc::Receiver<Entry>, batch: &mut Vec<Entry>) {
        while receiver.recv_many(batch, WRITE_MAX).await > 0 {
            self.write(batch).await;
        }
    }

    async fn write_rest(&self, receiver: &mut mpsc::Receiver<Entry>, batch: &mut Vec<Entry>) {
        self.write(batch).await;
        self.write_forever(receiver, batch).await;
    }

    /// Writes the batch and empties it, retrying until it works. If cancelled, the batch stays whole. Writing it again
    /// is safe, because the backend recognizes records by their ids.
    async fn write(&self, batch: &mut Vec<Entry>) {
        let records: Vec<_> = batch
            .iter()
            .flat_map(|entry| &entry.records)
            .cloned()
            .collect();
        for slice in records.chunks(WRITE_MAX) {
            let mut backoff = BACKOFF;
            while let Err(error) = self.audit.append(slice).await {
                events::audit_unavailable(&error, records.len());
                sleep(backoff.next_wait()).await;
            }
            self.written.announce(slice);
        }
        self.room
            .add_permits(records.len().min(Semaphore::MAX_PERMITS));
        for entry in batch.drain(..) {
            if let Some(written) = entry.written {
                // Fails if the caller is gone. The record is written anyway.
                let _ = written.send(());
            }
        }
    }

    async fn purge_forever(&self) {
        let mut ticks = interval(self.options.cleanup_interval.max(Duration::from_secs(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = self.clock.now();
            loop {
                match self.audit.purge(now, PURGE_MAX).await {
                    Ok(PURGE_MAX..) => tokio::task::yield_now().await,
                    Ok(_) => break,
                    Err(error) => {
                        events::purge_failed(&error);
                        break;
                    }
                }
            }
        }
    }

    async fn enter(&self, records: Vec<Arc<AuditRecord>>) -> Result<Option<Written>, TrailStopped> {
        let places = u32::try_from(records.len()).unwrap_or(u32::MAX);
        self.room
            .acquire_many(places)
            .await
            .map_err(|_| TrailStopped)?
            .forget();
        let (written, confirmation) = match self.options.delivery {
            TrailDelivery::Buffered => (None, None),
            TrailDelivery::Confirmed => {
                let (sender, receiver) = oneshot::channel();
                (Some(sender), Some(receiver))
            }
        };
        self.sender
            .send(Entry { records, written })
            .await
            .map_err(|_| TrailStopped)?;
        Ok(confirmation)
    }

    /// Handles a stopping process: a caller waiting for confirmation gets an error, otherwise the loss is counted.
    fn cut_off(&self, ended: TrailStopped, records: usize) -> Result<(), AuditError> {
        match self.options.delivery {
            TrailDelivery::Confirmed => Err(AuditError::Unavailable(Box::new(ended))),
            TrailDelivery::Buffered => {
                self.lose(records);
                Ok(())
            }
        }
    }

    fn expiry(&self, record: &AuditRecord) -> Option<Timestamp> {
        let ttl = SignedDuration::try_from(self.options.ttl?).ok()?;
        record.completed_at.checked_add(ttl).ok()
    }
}

type Written = oneshot::Receiver<()>;

#[async_trait]
impl Trail for AuditTrail {
    async fn record(&self, mut records: Vec<AuditRecord>) -> Result<(), AuditError> {
        let most = self.options.buffer_records.max(1) as usize;
        for record in &mut records {
            record.expires_at = self.expiry(record);
        }
        let mut confirmations = Vec::new();
        while !records.is_empty() {
            let rest = records.split_off(most.min(records.len()));
            let part = std::mem::replace(&mut records, rest);
            let unwritten = part.len() + records.len();
            match self.enter(part.into_iter().map(Arc::new).collect()).await {
                Ok(confirmation) => confirmations.extend(confirmation),
                Err(ended) => return self.cut_off(ended, unwritten),
            }
        }
        for confirmation in confirmations {
            confirmation
                .await
                .map_err(|_| AuditError::Unavailable(Box::new(TrailStopped)))?;
        }
        Ok(())
    }
}

/// Whole seconds of which 0 means forever and is read as `None`.
mod seconds_or_forever {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(duration.map_or(0, |duration| duration.as_secs()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let seconds = u64::deserialize(deserializer)?;
        Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
    }
}
