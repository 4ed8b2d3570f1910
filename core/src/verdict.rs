//! What the rules decided about an action, before anything has happened.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The kind of decision, as the audit trail and a dry run name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Verdict {
    Allow,
    Deny,
    Suppress,
    Deduplicate,
    Throttle,
    Reroute,
    Modify,
    Group,
    StateMachine,
}

impl Verdict {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Suppress => "suppress",
            Self::Deduplicate => "deduplicate",
            Self::Throttle => "throttle",
            Self::Reroute => "reroute",
            Self::Modify => "modify",
            Self::Group => "group",
            Self::StateMachine => "state_machine",
        }
    }
}
