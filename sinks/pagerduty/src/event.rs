//! The events of the Events API v2, within its limits.

use acteon_core::{Action, FailureCode, Secret, SinkError};
use acteon_sinks_kit::cut;
use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::config::Severity;
use crate::payload::{EventPayload, Scalar};

const SUMMARY_MAX: usize = 1024;
/// PagerDuty documents no limit of the other texts.
const TEXT_MAX: usize = 1024;
const DEDUP_KEY_MAX: usize = 255;
const EVENT_BYTES_MAX: usize = 512 << 10;

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// An event about an alert: `trigger`, `acknowledge` or `resolve`.
    Alert(&'static str),
    /// A change, such as a deployment. It has no key and alerts no one.
    Change,
}

impl EventKind {
    /// The kind that the payload names, or else the one that follows from the state that the action asks for.
    ///
    /// # Errors
    /// A permanent error for an `event_action` that PagerDuty does not know.
    pub(crate) fn of(action: &Action, payload: &EventPayload) -> Result<Self, SinkError> {
        match payload.event_action.as_deref() {
            Some("trigger") => Ok(Self::Alert("trigger")),
            Some("acknowledge") => Ok(Self::Alert("acknowledge")),
            Some("resolve") => Ok(Self::Alert("resolve")),
            Some("change") => Ok(Self::Change),
            Some(_) => {
                let message =
                    "`event_action` must be `trigger`, `acknowledge`, `resolve` or `change`";
                Err(SinkError::permanent(FailureCode::Serialization, message))
            }
            None => Ok(Self::Alert(match action.status.as_deref() {
                Some("acknowledged") => "acknowledge",
                Some("resolved") => "resolve",
                _ => "trigger",
            })),
        }
    }
}

/// Values for payloads without their own.
pub(crate) struct EventDefaults {
    pub(crate) severity: Severity,
    pub(crate) source: Option<String>,
}

/// An event as PagerDuty reads it.
#[derive(Serialize)]
pub(crate) struct PagerDutyEvent<'a> {
    #[serde(serialize_with = "exposed")]
    routing_key: &'a Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_action: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dedup_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<EventBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_url: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Map<String, Value>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Map<String, Value>>,
}

#[derive(Serialize)]
struct EventBody {
    summary: String,
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<Severity>,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    custom_details: Map<String, Value>,
}

fn exposed<S: Serializer>(key: &&Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(key.expose())
}

impl<'a> PagerDutyEvent<'a> {
    /// The event for `action`, within the limits of PagerDuty but for its length.
    pub(crate) fn new(
        action: &Action,
        mut payload: EventPayload,
        kind: EventKind,
        routing_key: &'a Secret,
        defaults: &EventDefaults,
    ) -> Self {
        let (event_action, dedup_key) = match kind {
            EventKind::Alert(event_action) => {
                let key = dedup_key(action, payload.dedup_key.take());
                (Some(event_action), Some(key))
            }
            EventKind::Change => (None, None),
        };
        Self {
            routing_key,
            event_action,
            dedup_key,
            client: Some(payload.client.take().unwrap_or_else(|| "Acteon".to_owned())),
            client_url: payload.client_url.take(),
            images: payload.images.take().unwrap_or_default(),
            links: payload.links.take().unwrap_or_default(),
            payload: match kind {
                EventKind::Alert("acknowledge" | "resolve") => None,
                EventKind::Alert(_) | EventKind::Change => {
                    Some(body(action, payload, kind, defaults))
                }
            },
        }
    }

    /// The body of the request. An event that is too long loses its details, then its images and links.
    pub(crate) fn into_json(mut self) -> Result<Bytes, SinkError> {
        let whole = self.json()?;
        if whole.len() <= EVENT_BYTES_MAX {
            return Ok(whole);
        }
        let note = format!(
            "cut: the event had {} bytes, and PagerDuty accepts 512 KiB",
            whole.len()
        );
        if let Some(payload) = &mut self.payload {
            payload.custom_details = Map::from_iter([("note".to_owned(), note.into())]);
        }
        let short = self.json()?;
        if short.len() <= EVENT_BYTES_MAX {
            return Ok(short);
        }
        self.images.clear();
        self.links.clear();
        self.client_url = None;
        self.json()
    }

    fn json(&self) -> Result<Bytes, SinkError> {
        let json = serde_json::to_vec(self).map_err(|error| {
            let message = "the event could not be serialized as JSON";
            SinkError::permanent(FailureCode::Serialization, message).with_source(error)
        })?;
        Ok(json.into())
    }
}

/// The same for all events about one thing, so that one resolves what another triggered: the key of the payload, the
/// fingerprint, the dedup key, or the id.
pub(crate) fn dedup_key(action: &Action, given: Option<Scalar>) -> String {
    let given = given.and_then(Scalar::into_text);
    let key = given
        .or_else(|| action.fingerprint.as_deref().map(str::to_owned))
        .or_else(|| action.dedup_key.as_deref().map(str::to_owned))
        .unwrap_or_else(|| action.id.to_string());
    match key.chars().count() > DEDUP_KEY_MAX {
        true => hex(&Sha256::digest(&key)),
        false => key,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn body(
    action: &Action,
    payload: EventPayload,
    kind: EventKind,
    defaults: &EventDefaults,
) -> EventBody {
    let summary = payload.summary.filter(|text| !text.trim().is_empty());
    let details = match (payload.custom_details, &summary) {
        (Some(details), _) => object(details),
        // The payload is no event: whoever is called sees it whole.
        (None, None) => action.payload.parse().map(object).unwrap_or_default(),
        (None, Some(_)) => Map::new(),
    };
    let text = |value: Option<Scalar>| value.and_then(Scalar::into_text).map(|text| within(&text));
    let severity = payload.severity.as_ref().and_then(Value::as_str);
    let severity = severity.and_then(Severity::named);
    let at = action.starts_at.unwrap_or(action.created_at);
    EventBody {
        summary: cut(
            summary.as_deref().unwrap_or(&action.action_type),
            SUMMARY_MAX,
            |_| 1,
        )
        .into_owned(),
        source: text(payload.source)
            .or_else(|| defaults.source.clone())
            .unwrap_or_else(|| format!("{}/{}", action.namespace, action.tenant)),
        severity: match kind {
            EventKind::Alert(_) => Some(severity.unwrap_or(defaults.severity)),
            EventKind::Change => None,
        },
        timestamp: payload.timestamp.unwrap_or_else(|| at.to_string()),
        component: text(payload.component),
        group: text(payload.group),
        class: text(payload.class),
        custom_details: details,
    }
}

fn within(text: &str) -> String {
    cut(text, TEXT_MAX, |_| 1).into_owned()
}

/// PagerDuty accepts only objects as details.
fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        Value::Null => Map::new(),
        other => match json!({ "details": other }) {
            Value::Object(object) => object,
            _ => Map::new(),
        },
    }
}
