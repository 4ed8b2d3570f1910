//! The use cases of the admin API, without HTTP: what operators may see and change. It uses only ports, and every query
//! carries the scope of its caller.

mod audit;
mod bulk;
mod changes;
mod dead_letters;
mod error;
mod event_explanation;
mod event_states;
mod groups;
mod letter_claim;
mod replay;
mod rules;
mod silence_preview;
mod silences;
mod status;

use std::sync::Arc;
use std::time::Duration;

use acteon_core::event_admin::EventAdmin;
use acteon_core::grouping::GroupAdmin;
use acteon_core::health::{ProviderAdmin, Readiness};
use acteon_core::redelivery::Redeliveries;
use acteon_core::rules::Rulebook;
use acteon_core::silence_admin::SilenceAdmin;
use acteon_core::{
    Admission, Audit, Caller, Clock, Counters, Intake, Redactor, Scope, State, Trail,
    WrittenRecords,
};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::events;

pub use audit::{AUDIT_LIMIT_MAX, AUDIT_OFFSET_MAX, AUDIT_WAIT_MAX};
pub use bulk::{BulkChange, BulkResult};
pub use dead_letters::{
    DEAD_LETTER_LIMIT_MAX, REDELIVERY_LIMIT_MAX, RedactedBytes, RedactedLetter,
};
pub use error::AdminError;
pub use event_explanation::EventExplanation;
pub use event_states::{EVENT_LIMIT_MAX, NOTE_BYTES_MAX};
pub use groups::{GROUP_LIMIT_MAX, GroupWithEvents};
pub use replay::ReplayResult;
pub use rules::read_action;
pub use silence_preview::PreviewResult;
pub use silences::{DatedSilence, SILENCE_LIMIT_MAX};
pub use status::{ProviderTest, ReadinessReport};

/// How long a request waits for admission.
pub(crate) const ADMISSION_TIMEOUT: Duration = Duration::from_millis(100);

/// The parts of the server that the admin API uses.
pub struct Ports {
    /// The rules in force.
    pub rulebook: Arc<dyn Rulebook>,
    /// The audit trail; `None` if it is disabled.
    pub audit: Option<AuditPorts>,
    /// Stores the dead letters, the events and the silences.
    pub state: Arc<dyn State>,
    /// Shows and flushes groups.
    pub groups: Arc<dyn GroupAdmin>,
    /// Reads events and makes transitions by their state machines.
    pub events: Arc<dyn EventAdmin>,
    /// Creates, changes and ends silences.
    pub silences: Arc<dyn SilenceAdmin>,
    /// The pipeline, which takes replayed actions.
    pub intake: Arc<dyn Intake>,
    /// Grants permits for replayed actions and large bodies.
    pub admission: Arc<Admission>,
    /// The status of the process.
    pub status: StatusPorts,
    /// Redacts payloads.
    pub redactor: Redactor,
    /// The clock.
    pub clock: Clock,
    /// Cancelled when the process stops. Requests stop waiting then.
    pub stop: CancellationToken,
}

/// The parts of the audit trail.
pub struct AuditPorts {
    /// Reads records.
    pub backend: Arc<dyn Audit>,
    /// Records administrative changes.
    pub trail: Arc<dyn Trail>,
    /// Reports when the record of an action is written.
    pub written: WrittenRecords,
}

/// The parts that report the status of the process.
pub struct StatusPorts {
    /// Reports whether the process is ready.
    pub readiness: Arc<dyn Readiness>,
    /// Reports the health of the providers and sets their breakers.
    pub providers: Arc<dyn ProviderAdmin>,
    /// Lists the actions that wait for redelivery.
    pub redeliveries: Arc<dyn Redeliveries>,
    /// Counts actions by outcome since the start.
    pub counters: Arc<Counters>,
    /// Renders all metrics in the text format of Prometheus.
    pub prometheus: Arc<dyn Fn() -> String + Send + Sync>,
}

/// The use cases. Cloning shares them.
#[derive(Clone)]
pub struct AdminApi {
    ports: Arc<Ports>,
    changes: TaskTracker,
}

/// A caller, and what they may see and change.
#[derive(Clone, Debug)]
pub struct Access {
    /// What the caller may see and change.
    pub scope: Scope,
    /// The caller's identity, for the audit trail.
    pub caller: Caller,
}

impl AdminApi {
    /// The use cases over these ports.
    pub fn new(ports: Ports) -> Self {
        events::describe(&changes::CHANGE_NAMES);
        Self {
            ports: Arc::new(ports),
            changes: TaskTracker::new(),
        }
    }

    /// Grants permits for large bodies.
    pub(crate) fn admission(&self) -> Arc<Admission> {
        self.ports.admission.clone()
    }

    /// Waits for running changes. A change that has begun is finished and recorded even if its caller hangs up. Call
    /// this when no more requests arrive.
    pub async fn drain(&self) {
        self.changes.close();
        self.changes.wait().await;
    }
}
