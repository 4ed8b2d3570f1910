//! Everything that the rules of a set share while their files are loaded.

use compact_str::CompactString;

use crate::path::PathTable;
use crate::pattern::PatternTable;
use crate::reads::ReadNumbers;

/// The tables that rule readers resolve names against and add to.
#[derive(Debug, Default)]
pub(crate) struct LoadTables {
    pub(crate) paths: PathTable,
    pub(crate) reads: ReadNumbers,
    pub(crate) patterns: PatternTable,
}

impl LoadTables {
    /// `environment` are the variables that rules may read, with their values.
    pub(crate) fn new(environment: &[(CompactString, CompactString)]) -> Self {
        Self {
            paths: PathTable::new(environment),
            ..Self::default()
        }
    }
}
