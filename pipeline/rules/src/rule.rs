//! A rule in its native form: a condition and an action. `rule/read.rs` and `rule/action.rs` read it from a file.

pub(crate) mod action;
pub(crate) mod group;
mod read;

pub(crate) use read::{KEYS, ON_ERROR, RuleReader};

use std::collections::BTreeMap;
use std::time::Duration;

use acteon_core::Verdict;
use acteon_core::rules::RuleSummary;
use acteon_groups::{DigestTimes, SummaryTemplate};
use compact_str::CompactString;

use crate::condition::Condition;
use crate::fingerprint::FingerprintFields;
use crate::key::KeySpec;
use crate::modify::Patch;
use crate::path::FactPath;

/// The longest name of a rule, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 256;

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: CompactString,
    pub(crate) priority: i64,
    pub(crate) description: Option<String>,
    /// As in the file; a toggle overrides it.
    pub(crate) enabled: bool,
    pub(crate) condition: Condition,
    pub(crate) action: RuleAction,
    /// The numbers of its reads of the state.
    pub(crate) reads: Box<[u32]>,
    pub(crate) after_match: AfterMatch,
    pub(crate) on_error: OnError,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) source: String,
}

/// Whether later rules are tried after a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterMatch {
    Stop,
    Continue,
}

/// What to do with the action on a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    Skip,
    Deny,
    Fail,
}

#[derive(Debug)]
pub(crate) enum RuleAction {
    Allow,
    Deny(Option<String>),
    Suppress(Option<String>),
    Deduplicate {
        ttl: Duration,
        key: KeySpec,
    },
    Throttle {
        max_count: u32,
        window: Duration,
        key: KeySpec,
        /// The target of `on_exceeded: reroute`.
        on_full: Option<CompactString>,
    },
    Reroute(Targets),
    Modify(Patch),
    Group(Box<GroupRule>),
    StateMachine(EventRule),
}

/// The parameters of a group rule.
#[derive(Debug)]
pub(crate) struct GroupRule {
    pub(crate) by: Box<[FactPath]>,
    pub(crate) times: GroupTimes,
    /// How many members a summary lists.
    pub(crate) size_max: u32,
    pub(crate) unless: Option<UnlessCondition>,
    /// Delivers the summary; `None`: the provider of the member that opens the group.
    pub(crate) provider: Option<CompactString>,
    pub(crate) template: Option<SummaryTemplate>,
}

/// When the summary of a group is due.
#[derive(Debug)]
pub(crate) enum GroupTimes {
    Waits { wait: Duration, interval: Duration },
    Digest(DigestTimes),
}

/// A condition that is asked again for each member when its group is flushed.
#[derive(Debug)]
pub(crate) struct UnlessCondition {
    pub(crate) condition: Condition,
    /// The numbers of its reads of the state.
    pub(crate) reads: Box<[u32]>,
}

/// The parameters of a `state_machine` rule.
#[derive(Debug)]
pub(crate) struct EventRule {
    pub(crate) machine: CompactString,
    pub(crate) fields: FingerprintFields,
    /// The number of its read of the event.
    pub(crate) read: u32,
}

/// The target providers of a reroute.
#[derive(Debug)]
pub(crate) enum Targets {
    One(CompactString),
    /// Each with the sum of all weights up to and including its own.
    Weighted(Box<[(u64, CompactString)]>),
}

impl Rule {
    pub(crate) fn summary(&self, enabled: bool) -> RuleSummary {
        RuleSummary {
            name: self.name.clone(),
            priority: self.priority,
            enabled,
            description: self.description.clone(),
            action_type: self.action.verdict().as_str(),
            source: self.source.clone(),
        }
    }
}

impl RuleAction {
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Allow => Verdict::Allow,
            Self::Deny(_) => Verdict::Deny,
            Self::Suppress(_) => Verdict::Suppress,
            Self::Deduplicate { .. } => Verdict::Deduplicate,
            Self::Throttle { .. } => Verdict::Throttle,
            Self::Reroute(_) => Verdict::Reroute,
            Self::Modify(_) => Verdict::Modify,
            Self::Group(_) => Verdict::Group,
            Self::StateMachine(_) => Verdict::StateMachine,
        }
    }

    /// The providers it names.
    pub(crate) fn providers(&self) -> Vec<&CompactString> {
        match self {
            Self::Throttle { on_full, .. } => on_full.iter().collect(),
            Self::Reroute(Targets::One(provider)) => vec![provider],
            Self::Reroute(Targets::Weighted(targets)) => {
                targets.iter().map(|(_, provider)| provider).collect()
            }
            Self::Group(group) => group.provider.iter().collect(),
            _ => Vec::new(),
        }
    }

    /// The `reason` of a refusal.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Deny(reason) | Self::Suppress(reason) => reason.as_deref(),
            _ => None,
        }
    }
}
