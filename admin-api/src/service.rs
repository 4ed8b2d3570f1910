//! The use cases of the admin API, free of HTTP: what an operator may see and change. REST and the pages are siblings
//! over it. It sees ports only, and each question carries the scope of who asks.

mod audit;
mod bulk;
pub(crate) mod change;
mod changes;
mod dead_letters;
mod error;
mod redeliveries;
mod replay;
mod rules;
mod status;

use std::sync::Arc;

use acteon_core::health::{ProviderAdmin, Readiness};
use acteon_core::redelivery::Redeliveries;
use acteon_core::rules::Rulebook;
use acteon_core::{
    Admission, Audit, Caller, Clock, Counters, Intake, Redactor, Scope, State, Trail,
    WrittenRecords,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::events;

pub use audit::{AUDIT_LIMIT_MAX, AUDIT_OFFSET_MAX, AUDIT_WAIT_MAX};
pub use bulk::{Bulk, BulkChange};
pub use dead_letters::{DEAD_LETTER_LIMIT_MAX, ShownBytes, ShownLetter};
pub use error::AdminError;
pub use redeliveries::REDELIVERY_LIMIT_MAX;
pub use replay::Replayed;
pub use rules::read_action;
pub use status::Ready;

/// What the admin API is made of.
pub struct Ports {
    /// The rules in force.
    pub rulebook: Arc<dyn Rulebook>,
    /// Where records are read; `None`: there is no audit trail.
    pub audit: Option<Arc<dyn Audit>>,
    /// Where administrative changes are recorded; `None`: there is no audit trail.
    pub trail: Option<Arc<dyn Trail>>,
    /// Tells when the record of an action has been written.
    pub written: WrittenRecords,
    /// Where dead letters are.
    pub state: Arc<dyn State>,
    /// Where replayed actions go.
    pub intake: Arc<dyn Intake>,
    /// Where replayed actions ask for room.
    pub admission: Arc<Admission>,
    /// Who knows whether the process is ready.
    pub readiness: Arc<dyn Readiness>,
    /// Who knows how the providers are.
    pub providers: Arc<dyn ProviderAdmin>,
    /// Who knows what waits to be tried again.
    pub redeliveries: Arc<dyn Redeliveries>,
    /// What became of actions since the start.
    pub counters: Arc<Counters>,
    /// What is shown of payloads.
    pub redactor: Redactor,
    /// The time.
    pub clock: Clock,
    /// Writes all metrics in the text form of Prometheus.
    pub prometheus: Arc<dyn Fn() -> String + Send + Sync>,
    /// Cancelled when the process stops: from then on nothing is waited for.
    pub stop: CancellationToken,
}

/// The use cases. Cloning shares them.
#[derive(Clone)]
pub struct AdminApi {
    ports: Arc<Ports>,
    changes: TaskTracker,
}

/// Who asks, and what they may see and touch.
#[derive(Clone, Debug)]
pub struct Access {
    /// What they may see and touch.
    pub scope: Scope,
    /// Who they are, for the audit trail.
    pub caller: Caller,
}

impl AdminApi {
    /// The use cases over these ports.
    pub fn new(ports: Ports) -> Self {
        events::begin();
        Self {
            ports: Arc::new(ports),
            changes: TaskTracker::new(),
        }
    }

    /// Waits for the changes that are being made: one once begun goes to its end, its record included, whether or not
    /// its caller waits. To be called when no more requests come in.
    pub async fn drain(&self) {
        self.changes.close();
        self.changes.wait().await;
    }
}
