//! One action in a group, as the state keeps it.

use acteon_core::decode::{Defaults, decode};
use acteon_core::{Action, Caller};
use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::encoding::{GroupEncodingError, decoded, encoded};

/// How a caller can have been identified.
const AUTH_METHODS: [&str; 4] = ["jwt", "api_key", "anonymous", "source"];

/// An action that joined a group, with the provenance that its audit record needs if the flush leaves it out.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The action, with the payload as the rules left it.
    pub action: Action,
    /// When it was read.
    pub received_at: Timestamp,
    /// Its place in the source, such as `kafka:orders/3@1042`.
    pub source: CompactString,
    /// Who sent it.
    pub caller: Caller,
}

#[derive(Serialize)]
struct Written<'m> {
    action: &'m Action,
    received_at: Timestamp,
    source: &'m str,
    caller_id: Option<&'m str>,
    auth_method: &'m str,
}

#[derive(Deserialize)]
struct Read<'b> {
    #[serde(borrow)]
    action: &'b RawValue,
    received_at: Timestamp,
    source: CompactString,
    caller_id: Option<Box<str>>,
    auth_method: CompactString,
}

impl Member {
    /// Its stored form.
    pub fn encode(&self) -> Vec<u8> {
        encoded(&Written {
            action: &self.action,
            received_at: self.received_at,
            source: &self.source,
            caller_id: self.caller.id.as_deref(),
            auth_method: self.caller.auth_method,
        })
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// If a later version wrote it, or it is damaged.
    pub fn decode(stored: &[u8]) -> Result<Self, GroupEncodingError> {
        let read: Read<'_> = decoded(stored)?;
        let json = read.action.get().as_bytes().to_vec();
        let draft = decode(&json.into()).map_err(GroupEncodingError::Action)?;
        let action = draft.complete(
            &Defaults::default(),
            CompactString::default,
            read.received_at,
        );
        let mut known = AUTH_METHODS.into_iter();
        let auth_method = known.find(|method| *method == read.auth_method);
        Ok(Self {
            action: action.map_err(GroupEncodingError::Action)?,
            received_at: read.received_at,
            source: read.source,
            caller: Caller {
                id: read.caller_id.map(Into::into),
                auth_method: auth_method.unwrap_or("anonymous"),
            },
        })
    }
}
