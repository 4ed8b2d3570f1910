//! What waits to be tried again. An action that went to its source's delayed path is known to the process that sent it
//! there; what another process sent is listed by that one.

use acteon_core::redelivery::{RedeliveryPage, RedeliveryQuery};

use super::AdminApi;

/// How many actions one page holds at most.
pub const REDELIVERY_LIMIT_MAX: usize = 1000;

impl AdminApi {
    /// What waits inside the query's scope, that which is due soonest first.
    pub fn redeliveries(&self, query: &RedeliveryQuery) -> RedeliveryPage {
        self.ports.redeliveries.list(query)
    }
}
