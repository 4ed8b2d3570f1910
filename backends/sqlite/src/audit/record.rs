//! A record as a row: what is filtered by in columns, the payload as it is, and the rest as one JSON object.

use std::sync::Arc;

use acteon_core::attempt::AttemptRecord;
use acteon_core::audit::{AuditDecision, AuditRecord, AuditSubject, AuditedOutcome};
use acteon_core::rules::RulesHash;
use acteon_core::verdict::VerdictDetails;
use acteon_core::{Caller, Labels, Payload};
use compact_str::{CompactString, ToCompactString};
use jiff::Timestamp;
use rusqlite::{Connection, Row, params, params_from_iter};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::conditions::Statement;
use crate::error::Error;
use crate::page::{RowPage, read_page};
use crate::time::{nanos_of, time_of};
use crate::values::{PayloadText, StoredJson, StoredText, Word};

/// The columns that a record is read from.
pub(super) const COLUMNS: &str = "id, dispatched_at, expires_at, action_id, namespace, tenant, provider, action_type, \
                                  outcome, verdict, matched_rule, caller_id, body, payload";

const INSERT: &str = "INSERT INTO audit (id, dispatched_at, expires_at, action_id, namespace, tenant, provider, \
                      action_type, outcome, verdict, matched_rule, caller_id, body, payload) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
                      ON CONFLICT (id) DO NOTHING";

/// The version of [`Body`].
const VERSION: u32 = 1;

/// The fields of a record that are not columns.
#[derive(Serialize, Deserialize)]
struct Body<O> {
    #[serde(rename = "v")]
    version: u32,
    completed_at: Timestamp,
    trace_id: Option<CompactString>,
    details: Option<Box<VerdictDetails>>,
    rules_generation: u64,
    rules_hash: CompactString,
    outcome: O,
    metadata: Labels,
    auth_method: CompactString,
    source: CompactString,
    attempts: Vec<AttemptRecord>,
}

/// Stores the records whose ids are new.
pub(super) fn insert(connection: &Connection, records: &[Arc<AuditRecord>]) -> Result<(), Error> {
    let mut insert = connection.prepare_cached(INSERT)?;
    for record in records {
        let AuditRecord {
            subject, decision, ..
        } = &**record;
        insert.execute(params![
            record.id.as_bytes(),
            nanos_of(record.dispatched_at),
            record.expires_at.map(nanos_of),
            subject.action_id.as_str(),
            subject.namespace.as_str(),
            subject.tenant.as_str(),
            subject.provider.as_str(),
            subject.action_type.as_str(),
            record.outcome.name(),
            decision.verdict.as_str(),
            decision.matched_rule.as_deref(),
            record.caller.id.as_deref(),
            body_of(record)?,
            record.payload.as_ref().map(PayloadText),
        ])?;
    }
    Ok(())
}

/// Reads at most `limit` records of a statement over [`COLUMNS`].
pub(super) fn select(
    connection: &Connection,
    statement: &Statement,
    limit: usize,
) -> Result<RowPage<Arc<AuditRecord>>, Error> {
    let mut select = connection.prepare_cached(&statement.sql)?;
    let rows = select.query(params_from_iter(&statement.values))?;
    read_page(rows, limit, |row| {
        let record = record_of(row)?;
        let payload = record.payload.as_ref().map_or(0, Payload::len);
        let body = row.get_ref("body")?.as_bytes()?.len();
        Ok((Arc::new(record), payload + body))
    })
}

fn body_of(record: &AuditRecord) -> Result<String, Error> {
    let decision = &record.decision;
    let body = Body {
        version: VERSION,
        completed_at: record.completed_at,
        trace_id: record.subject.trace_id.clone(),
        details: decision.details.clone(),
        rules_generation: decision.rules_generation,
        rules_hash: decision.rules_hash.to_compact_string(),
        outcome: &record.outcome,
        metadata: record.metadata.clone(),
        auth_method: record.caller.auth_method.into(),
        source: record.source.to_compact_string(),
        attempts: record.attempts.clone(),
    };
    serde_json::to_string(&body).map_err(|error| Error::corrupt("an audit record", &error))
}

fn record_of(row: &Row<'_>) -> Result<AuditRecord, Error> {
    let id: [u8; 16] = row.get("id")?;
    let text = |column: &str| row.get(column).map(|StoredText(text)| text);
    let maybe = |column: &str| -> rusqlite::Result<_> {
        Ok(row
            .get::<_, Option<StoredText>>(column)?
            .map(|StoredText(text)| text))
    };
    let StoredJson(body): StoredJson<Body<Box<RawValue>>> = row.get("body")?;
    let payload: Option<StoredJson<Box<RawValue>>> = row.get("payload")?;
    let payload = payload.and_then(|StoredJson(json)| Payload::from_value(&json).ok());
    let auth_method = Caller::auth_method_named(&body.auth_method);
    Ok(AuditRecord {
        id: Uuid::from_bytes(id),
        subject: AuditSubject {
            action_id: text("action_id")?,
            namespace: text("namespace")?,
            tenant: text("tenant")?,
            provider: text("provider")?,
            action_type: text("action_type")?,
            trace_id: body.trace_id,
        },
        decision: AuditDecision {
            verdict: row.get("verdict").map(|Word(verdict)| verdict)?,
            matched_rule: maybe("matched_rule")?,
            details: body.details,
            rules_generation: body.rules_generation,
            rules_hash: RulesHash::of(&body.rules_hash),
        },
        outcome: AuditedOutcome::Other(text("outcome")?, body.outcome.into()),
        payload,
        metadata: body.metadata,
        dispatched_at: time_of(row.get("dispatched_at")?),
        completed_at: body.completed_at,
        expires_at: row.get::<_, Option<i64>>("expires_at")?.map(time_of),
        caller: Caller {
            id: maybe("caller_id")?.map(|id| id.as_str().into()),
            auth_method: auth_method.unwrap_or("unknown"),
        },
        source: body.source.as_str().into(),
        attempts: body.attempts,
    })
}
