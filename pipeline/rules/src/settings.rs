//! The input of a rule set: files, and the names they may refer to.

use std::collections::BTreeSet;

use compact_str::CompactString;
use jiff::tz::TimeZone;

/// One rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFile {
    /// The name in problems and listings; files are ordered by it.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl RuleFile {
    /// The largest file, in bytes.
    pub const BYTES_MAX: usize = 1024 * 1024;
}

/// What rules may refer to besides the action.
#[derive(Clone, Debug)]
pub struct CompileSettings {
    /// The zone of `time.*` in rules without a zone.
    pub default_timezone: TimeZone,
    /// The environment variables that rules may see, with their values.
    pub environment: Vec<(CompactString, CompactString)>,
    /// The providers that rules may name.
    pub providers: KnownProviders,
    /// The state machines that rules may name.
    pub state_machines: BTreeSet<CompactString>,
}

impl Default for CompileSettings {
    /// UTC, no environment, any provider, no state machine.
    fn default() -> Self {
        Self {
            default_timezone: TimeZone::UTC,
            environment: Vec::new(),
            providers: KnownProviders::Any,
            state_machines: BTreeSet::new(),
        }
    }
}

/// Which provider names are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownProviders {
    /// All names.
    Any,
    /// These names.
    Only(BTreeSet<CompactString>),
}
