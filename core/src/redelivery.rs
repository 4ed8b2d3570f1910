//! The actions waiting for redelivery, as far as this process knows. Shown by the admin API.

use std::sync::Arc;

use compact_str::CompactString;
use jiff::Timestamp;

use crate::attempt::History;
use crate::scope::Scope;

/// An action waiting for redelivery.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingRedelivery {
    /// The action's id.
    pub action_id: CompactString,
    /// Its namespace.
    pub namespace: CompactString,
    /// Its tenant.
    pub tenant: CompactString,
    /// The provider that could not deliver it.
    pub provider: CompactString,
    /// Its type.
    pub action_type: CompactString,
    /// The place in the source, such as `kafka:orders/3@1042`.
    pub source: CompactString,
    /// The attempts so far.
    pub history: History,
    /// The earliest time of the next attempt.
    pub next_at: Timestamp,
}

/// Selects the redeliveries to list. Every filter that is set must match.
#[derive(Clone, Debug)]
pub struct RedeliveryQuery {
    /// The scope of the caller.
    pub scope: Scope,
    /// Only this namespace.
    pub namespace: Option<CompactString>,
    /// Only this tenant.
    pub tenant: Option<CompactString>,
    /// Only this provider.
    pub provider: Option<CompactString>,
    /// Only this type.
    pub action_type: Option<CompactString>,
    /// Continues after this entry: its time and its place in the source.
    pub after: Option<(Timestamp, CompactString)>,
    /// The maximum page length.
    pub limit: usize,
}

/// One page of redeliveries.
#[derive(Clone, Debug, Default)]
pub struct RedeliveryPage {
    /// Soonest due first.
    pub redeliveries: Vec<Arc<PendingRedelivery>>,
    /// True if more follow the last one.
    pub more: bool,
}

/// Knows the actions that wait for redelivery.
pub trait Redeliveries: Send + Sync {
    /// Lists those inside the query's scope.
    fn list(&self, query: &RedeliveryQuery) -> RedeliveryPage;
}

impl RedeliveryQuery {
    /// True if an action is inside the scope and every filter matches.
    pub fn matches(&self, one: &PendingRedelivery) -> bool {
        let is = |filter: &Option<CompactString>, value: &CompactString| {
            filter.as_ref().is_none_or(|wanted| wanted == value)
        };
        is(&self.namespace, &one.namespace)
            && is(&self.tenant, &one.tenant)
            && is(&self.provider, &one.provider)
            && is(&self.action_type, &one.action_type)
            && self
                .scope
                .covers(&one.namespace, &one.tenant, &one.action_type)
    }
}
