use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use acteon_core::audit::Audit;
use acteon_core::state::{State, StateContext};
use acteon_testkit::contract::Pace;
use acteon_testkit::contract::audit::AuditHarness;
use acteon_testkit::contract::state::StateHarness;
use async_trait::async_trait;
use tokio::sync::OnceCell;

use crate::{MemoryAudit, MemoryState, StateConfig};

mod bounds;
mod counts;
mod leases;
mod letters;
mod remembered;
mod trail;

/// Built on first use, inside the runtime whose time it uses.
#[derive(Default)]
struct Memory {
    state: OnceCell<Arc<MemoryState>>,
    audit: OnceCell<Arc<MemoryAudit>>,
}

#[async_trait]
impl StateHarness for Memory {
    const PACE: Pace = Pace::Virtual;
    const UNIT: Duration = Duration::from_secs(1);

    async fn state(&self) -> Arc<dyn State> {
        self.state
            .get_or_init(async || Arc::default())
            .await
            .clone()
    }

    async fn keeping(&self, context: StateContext) -> Arc<dyn State> {
        Arc::new(MemoryState::new(&StateConfig::default(), &context))
    }

    async fn remembering(&self, outcomes_max: usize) -> Arc<dyn State> {
        let config = StateConfig {
            max_keys: NonZeroUsize::new(4 * outcomes_max).unwrap(),
            max_remembered: outcomes_max,
            ..StateConfig::default()
        };
        Arc::new(MemoryState::new(&config, &StateContext::default()))
    }
}

#[async_trait]
impl AuditHarness for Memory {
    const PACE: Pace = Pace::Virtual;

    async fn audit(&self) -> Arc<dyn Audit> {
        self.audit
            .get_or_init(async || Arc::default())
            .await
            .clone()
    }
}

mod state_contract {
    use super::Memory;

    acteon_testkit::state_contract!(Memory::default());
}

mod audit_contract {
    use super::Memory;

    acteon_testkit::audit_contract!(Memory::default());
}
