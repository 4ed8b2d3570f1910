//! What a rule set is compiled from.

use std::collections::BTreeSet;

use compact_str::CompactString;
use jiff::tz::TimeZone;

/// One rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFile {
    /// The name that problems and listings show; files are ordered by it.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

impl RuleFile {
    /// The largest file, in bytes.
    pub const BYTES_MAX: usize = 1024 * 1024;
}

/// What rules may refer to beside the action.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The zone of `time.*` in rules that name none.
    pub default_timezone: TimeZone,
    /// The environment variables that rules may see, with their values.
    pub environment: Vec<(CompactString, CompactString)>,
    /// The providers that rules may name.
    pub providers: KnownProviders,
}

impl Default for Settings {
    /// UTC, no environment, any provider.
    fn default() -> Self {
        Self {
            default_timezone: TimeZone::UTC,
            environment: Vec::new(),
            providers: KnownProviders::Any,
        }
    }
}

/// Which provider names are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownProviders {
    /// Every name has a provider.
    Any,
    /// These have one.
    Only(BTreeSet<CompactString>),
}
