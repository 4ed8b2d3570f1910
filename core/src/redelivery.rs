//! What waits to be tried again, as far as this process knows: shown by the admin API.

use std::sync::Arc;

use compact_str::CompactString;
use jiff::Timestamp;

use crate::attempt::History;
use crate::scope::Scope;

/// An action that waits to be delivered later.
#[derive(Clone, Debug, PartialEq)]
pub struct Redelivering {
    /// The action.
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
    /// What was tried so far.
    pub history: History,
    /// When it is tried again, at the earliest.
    pub next_at: Timestamp,
}

/// Which of them to list. Every filter that is given must hold.
#[derive(Clone, Debug)]
pub struct RedeliveryQuery {
    /// What the caller may see.
    pub scope: Scope,
    /// Only this namespace.
    pub namespace: Option<CompactString>,
    /// Only this tenant.
    pub tenant: Option<CompactString>,
    /// Only this provider.
    pub provider: Option<CompactString>,
    /// Only this type.
    pub action_type: Option<CompactString>,
    /// Go on after this one: its time, and its place in the source.
    pub after: Option<(Timestamp, CompactString)>,
    /// At most so many.
    pub limit: usize,
}

/// One page of them.
#[derive(Clone, Debug, Default)]
pub struct RedeliveryPage {
    /// Those that are due soonest first.
    pub redeliveries: Vec<Arc<Redelivering>>,
    /// True when there are more after the last one.
    pub more: bool,
}

/// Whoever knows what waits to be tried again.
pub trait Redeliveries: Send + Sync {
    /// What waits inside the query's scope.
    fn list(&self, query: &RedeliveryQuery) -> RedeliveryPage;
}

impl RedeliveryQuery {
    /// True when an action is inside the scope and every filter holds.
    pub fn matches(&self, one: &Redelivering) -> bool {
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
