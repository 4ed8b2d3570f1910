//! A silence: what its author wrote, and whether it is in force. Matching is in `pipeline/silences`.

use compact_str::{CompactString, format_compact};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::action::Labels;

/// Every namespace or tenant.
pub const EVERY_NAME: &str = "*";
/// The name of a matcher that compares the type of an action.
pub const ACTION_TYPE: &str = "action_type";
/// The name of a matcher that compares the provider of an action.
pub const PROVIDER: &str = "provider";
/// The name under which an event carries the silence that withholds its notice, so that it is found by it.
pub const WITHHELD_BY: &str = "__withheld_by";
/// The rule that a silenced action names, before the id of the silence.
pub const SILENCE_RULE_PREFIX: &str = "silence:";

/// Withholds deliveries for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// A UUID v7.
    pub id: CompactString,
    /// The namespace of the actions that it withholds, or [`EVERY_NAME`].
    pub namespace: CompactString,
    /// The tenant of these actions, or [`EVERY_NAME`].
    pub tenant: CompactString,
    /// All of them must hold of an action.
    pub matchers: Vec<SilenceMatcher>,
    /// When it begins, by the clock of the state.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Why there is a silence.
    pub comment: CompactString,
    /// The caller who created it.
    pub created_by: CompactString,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Whether the notices that it withheld were delivered after its end.
    #[serde(default)]
    pub is_finished: bool,
}

/// A condition on one name of an action.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SilenceMatcher {
    /// A label, `provider` or `action_type`. An absent label is the empty text.
    pub name: CompactString,
    /// How the value is compared.
    pub op: MatchOp,
    /// The text or the regular expression.
    pub value: CompactString,
}

/// What a silence compares of an action.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct SilenceSubject<'a> {
    pub namespace: &'a str,
    pub tenant: &'a str,
    /// The provider that the rules chose.
    pub provider: &'a str,
    pub action_type: &'a str,
    pub labels: &'a Labels,
}

/// How a matcher compares. Regular expressions are anchored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum MatchOp {
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
    #[serde(rename = "=~")]
    Matches,
    #[serde(rename = "!~")]
    MatchesNot,
}

/// Whether a silence is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SilencePhase {
    Pending,
    Active,
    Expired,
}

impl SilencePhase {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
        }
    }
}

impl Silence {
    /// Whether it is in force at this time of the state's clock.
    pub fn phase(&self, now: Timestamp) -> SilencePhase {
        if now >= self.ends_at {
            SilencePhase::Expired
        } else if now >= self.starts_at {
            SilencePhase::Active
        } else {
            SilencePhase::Pending
        }
    }

    /// The only action type that it withholds, if a matcher names one.
    pub fn action_type(&self) -> Option<&str> {
        only_action_type(&self.matchers)
    }

    /// The name that an outcome has for it where others have a rule: `silence:<id>`.
    pub fn rule(&self) -> CompactString {
        silence_rule(&self.id)
    }
}

/// The only action type for which all of these can hold, if one of them names it.
pub fn only_action_type(matchers: &[SilenceMatcher]) -> Option<&str> {
    let mut matchers = matchers.iter();
    let exact = matchers.find(|one| one.name == ACTION_TYPE && one.op == MatchOp::Equal);
    exact.map(|one| one.value.as_str())
}

/// The name that a silence of this id has in the place of a rule.
pub fn silence_rule(id: &str) -> CompactString {
    format_compact!("{SILENCE_RULE_PREFIX}{id}")
}
