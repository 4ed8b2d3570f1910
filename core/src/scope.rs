//! What a caller may see and change. Every query of a store requires a scope. An absent scope never means full access.

use std::sync::Arc;

/// A set of grants. An entry is inside the scope if any grant covers it.
#[derive(Clone, Debug)]
pub struct Scope {
    grants: Arc<[ScopeGrant]>,
}

/// Covers the combinations of tenants, namespaces and action types.
#[derive(Clone, Debug)]
pub struct ScopeGrant {
    /// The tenants it covers.
    pub tenants: Vec<Pattern>,
    /// The namespaces it covers.
    pub namespaces: Vec<Pattern>,
    /// The action types it covers.
    pub action_types: Vec<Pattern>,
}

/// An exact name, `*`, or a prefix ending in `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// `*`: any name, including the empty one.
    Any,
    /// Exactly this name.
    Exact(String),
    /// Names with this prefix.
    Prefix(String),
}

impl Scope {
    /// The scope that covers everything: for the server itself, and for callers when authentication is off.
    pub fn everything() -> Self {
        let any = || vec![Pattern::Any];
        Self::new([ScopeGrant {
            tenants: any(),
            namespaces: any(),
            action_types: any(),
        }])
    }

    /// A scope of these grants. An empty list covers nothing.
    pub fn new(grants: impl IntoIterator<Item = ScopeGrant>) -> Self {
        Self {
            grants: grants.into_iter().collect(),
        }
    }

    /// True if a grant covers this combination.
    pub fn covers(&self, namespace: &str, tenant: &str, action_type: &str) -> bool {
        let any = |patterns: &[Pattern], name| patterns.iter().any(|p| p.matches(name));
        self.grants.iter().any(|grant| {
            any(&grant.namespaces, namespace)
                && any(&grant.tenants, tenant)
                && any(&grant.action_types, action_type)
        })
    }

    /// The grants, for a backend that turns them into a query.
    pub fn grants(&self) -> &[ScopeGrant] {
        &self.grants
    }
}

impl Pattern {
    /// True if `name` matches.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact == name,
            Self::Prefix(prefix) => name.starts_with(prefix.as_str()),
        }
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some("") => Self::Any,
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }
}
