//! What a group keeps of the rule that opened it, so that a change or removal of the rule does not touch it.

use acteon_core::Labels;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::encoding::{GroupEncodingError, decoded, encoded};
use crate::template::SummaryTemplate;

/// The settings that are frozen into a group when it opens. The state keeps the times and the size itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupSettings {
    /// The provider that delivers the summary.
    pub provider: CompactString,
    /// The fields that the members have in common, with their values.
    pub labels: Labels,
    /// The template of the summary's payload. `None`: the default payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<SummaryTemplate>,
}

impl GroupSettings {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        encoded(self)
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// If a later version wrote it, or it is damaged.
    pub fn decode(stored: &[u8]) -> Result<Self, GroupEncodingError> {
        decoded(stored)
    }
}
