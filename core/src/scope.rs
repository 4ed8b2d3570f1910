//! What a caller may see and touch. Every query of a store takes one; there is no "none means all".

use std::sync::Arc;

/// A set of grants. Something is inside when any grant covers it.
#[derive(Clone, Debug)]
pub struct Scope {
    grants: Arc<[Grant]>,
}

/// Tenants times namespaces times action types.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Which tenants.
    pub tenants: Vec<Pattern>,
    /// Which namespaces.
    pub namespaces: Vec<Pattern>,
    /// Which action types.
    pub action_types: Vec<Pattern>,
}

/// An exact name, `*`, or a prefix ending in `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// `*`: any name, the empty one included.
    Any,
    /// Exactly this name.
    Exact(String),
    /// Names that begin so.
    Prefix(String),
}

impl Scope {
    /// The scope that covers all there is: the server's own work, and callers when authentication is off.
    pub fn everything() -> Self {
        let any = || vec![Pattern::Any];
        Self::new([Grant {
            tenants: any(),
            namespaces: any(),
            action_types: any(),
        }])
    }

    /// The scope of these grants; without any it covers nothing.
    pub fn new(grants: impl IntoIterator<Item = Grant>) -> Self {
        Self {
            grants: grants.into_iter().collect(),
        }
    }

    /// True when a grant covers this action's place.
    pub fn covers(&self, namespace: &str, tenant: &str, action_type: &str) -> bool {
        let any = |patterns: &[Pattern], name| patterns.iter().any(|p| p.matches(name));
        self.grants.iter().any(|grant| {
            any(&grant.namespaces, namespace)
                && any(&grant.tenants, tenant)
                && any(&grant.action_types, action_type)
        })
    }

    /// The grants, for a backend that turns them into a query.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }
}

impl Pattern {
    /// True when `name` is meant.
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
