//! The decision of the rules about an action, before anything has happened.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The kind of decision, as shown in the audit trail and in dry runs.
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

/// A short explanation of the verdict, kept with the audit record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerdictDetails {
    /// All matching rules in order, if there was more than one.
    #[schema(value_type = Vec<String>)]
    pub matched: Vec<CompactString>,
    /// The `reason` of a refusing rule.
    pub reason: Option<String>,
    /// The first sixteen rules that could not be evaluated or applied.
    pub errors: Vec<RuleFailure>,
}

/// A rule that could not be applied to an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleFailure {
    /// The name of the rule.
    #[schema(value_type = String)]
    pub rule: CompactString,
    /// The reason, without content of the payload.
    pub message: String,
}
