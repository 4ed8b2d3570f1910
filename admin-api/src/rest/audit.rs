//! `/v1/audit`: pages of the audit trail, and the newest record of an action.

mod record;

use std::time::Duration;

use acteon_connect_http::{ApiError, ErrorBody, Json, Path, Query};
use acteon_core::Verdict;
use acteon_core::audit::{AuditFilter, AuditPage, AuditQuery, PageStart};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use compact_str::CompactString;
use jiff::Timestamp;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StringDeserializer};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use self::record::{Outcome, Record};
use super::cursor;
use super::refusals::{Any, Asking, Backend};
use crate::service::{AUDIT_LIMIT_MAX, AUDIT_OFFSET_MAX, AUDIT_WAIT_MAX, Access, AdminApi};

const LIMIT: usize = 50;

/// Which records to list. Every filter that is given must hold; a parameter that is not among these is refused, since
/// a filter that is misspelt would show what nobody asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    #[param(value_type = Option<String>)]
    namespace: Option<CompactString>,
    #[param(value_type = Option<String>)]
    tenant: Option<CompactString>,
    /// The provider that was used.
    #[param(value_type = Option<String>)]
    provider: Option<CompactString>,
    /// The action's type, or the name of an administrative change such as `acteon.rules.reload`.
    #[param(value_type = Option<String>)]
    action_type: Option<CompactString>,
    /// Compared without regard to case.
    #[param(value_type = Option<Outcome>, inline, example = "executed")]
    outcome: Option<CompactString>,
    /// Compared without regard to case.
    #[param(value_type = Option<Verdict>, inline, example = "allow")]
    verdict: Option<CompactString>,
    #[param(value_type = Option<String>)]
    matched_rule: Option<CompactString>,
    #[param(value_type = Option<String>)]
    caller_id: Option<CompactString>,
    /// Dispatched at this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Dispatched before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// At most so many records.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<usize>,
    /// Leaves out so many records. Not together with `cursor`, which goes on where this ends.
    #[param(minimum = 0, maximum = 10000, default = 0)]
    offset: Option<u64>,
    /// `next_cursor` of the page before. Records that came since do not shift the pages.
    cursor: Option<String>,
}

impl Filters {
    fn query(self, access: &Access) -> Result<AuditQuery, ApiError> {
        Ok(AuditQuery {
            scope: access.scope.clone(),
            start: start(self.offset, self.cursor.as_deref())?,
            limit: limit(self.limit)?,
            filter: AuditFilter {
                namespace: self.namespace,
                tenant: self.tenant,
                provider: self.provider,
                action_type: self.action_type,
                outcome: known::<Outcome>("outcome", self.outcome)?,
                verdict: known::<Verdict>("verdict", self.verdict)?,
                matched_rule: self.matched_rule,
                caller_id: self.caller_id,
                from: self.from,
                to: self.to,
            },
        })
    }
}

/// A value that `T` knows, in lower case. A filter by another would show nothing, and not say why.
fn known<'de, T: Deserialize<'de>>(
    parameter: &str,
    value: Option<CompactString>,
) -> Result<Option<CompactString>, ApiError> {
    let Some(value) = value else { return Ok(None) };
    let value = value.to_lowercase();
    let reader: StringDeserializer<ValueError> = value.to_string().into_deserializer();
    match T::deserialize(reader) {
        Ok(_) => Ok(Some(value)),
        Err(error) => Err(ApiError::invalid_query(format!("`{parameter}`: {error}"))),
    }
}

fn start(offset: Option<u64>, cursor: Option<&str>) -> Result<PageStart, ApiError> {
    match (offset, cursor) {
        (Some(_), Some(_)) => {
            let message = "`offset`, `cursor`: only one of them may be given";
            Err(ApiError::invalid_query(message))
        }
        (_, Some(text)) => cursor::to_record(text).map(PageStart::After),
        (Some(offset), _) if offset > AUDIT_OFFSET_MAX => {
            let message = format!(
                "`offset`: must be at most {AUDIT_OFFSET_MAX}; go on with `next_cursor` as `cursor`"
            );
            Err(ApiError::invalid_query(message))
        }
        (offset, None) => Ok(PageStart::Offset(offset.unwrap_or_default())),
    }
}

fn limit(asked: Option<usize>) -> Result<usize, ApiError> {
    let limit = asked.unwrap_or(LIMIT);
    if (1..=AUDIT_LIMIT_MAX).contains(&limit) {
        return Ok(limit);
    }
    let message = format!("`limit`: must be from 1 to {AUDIT_LIMIT_MAX}");
    Err(ApiError::invalid_query(message))
}

/// One page of records.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditPage)]
pub(super) struct Page<'a> {
    /// Newest first, ties broken by id.
    records: Vec<Record<'a>>,
    /// How many match in all.
    total: u64,
    /// How many a page holds at most.
    limit: usize,
    /// How many were left out by number; 0 for a page that a cursor began.
    offset: u64,
    /// The `cursor` of the next page; `null` on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl<'a> Page<'a> {
    fn of(page: &'a AuditPage, query: &AuditQuery) -> Self {
        Self {
            records: page
                .records
                .iter()
                .map(|record| Record::of(record))
                .collect(),
            total: page.total,
            limit: query.limit,
            offset: match query.start {
                PageStart::Offset(offset) => offset,
                PageStart::After(_) => 0,
            },
            next_cursor: page.next.map(cursor::of_record),
        }
    }
}

/// Records of the audit trail, newest first
///
/// Every dispatch that is not a dry run, and every administrative change.
#[utoipa::path(
    get,
    path = "/v1/audit",
    operation_id = "list_audit_records",
    tag = "audit",
    params(Filters),
    responses(
        (status = 200, description = "One page.", body = Page<'_>, example = json!({
            "records": [record::example()],
            "total": 120,
            "limit": 1,
            "offset": 0,
            "next_cursor": "AAAAAAAAAAAYhotT8hgVABmNHA3gAHAAgAAAAAAAAAA",
        })),
        Asking,
        (status = 404, description = "There is no audit trail.", body = ErrorBody, example = json!({
            "code": "AUDIT_DISABLED", "message": "the audit trail is disabled", "retryable": false,
        })),
        Backend,
        Any,
    )
)]
pub(super) async fn list(
    State(api): State<AdminApi>,
    access: Access,
    Query(filters): Query<Filters>,
) -> Result<Response, ApiError> {
    let query = filters.query(&access)?;
    let page = api.audit(&query).await?;
    Ok(Json(Page::of(&page, &query)).into_response())
}

/// Whether to wait for the record.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Waiting {
    /// Waits for so many milliseconds at most when there is no record yet. It is answered as soon as there is one.
    #[param(minimum = 0, maximum = 10000, default = 0, example = 2000)]
    wait_ms: Option<u64>,
}

impl Waiting {
    fn patience(&self) -> Result<Duration, ApiError> {
        let patience = Duration::from_millis(self.wait_ms.unwrap_or_default());
        if patience <= AUDIT_WAIT_MAX {
            return Ok(patience);
        }
        let message = format!(
            "`wait_ms`: must be from 0 to {}",
            AUDIT_WAIT_MAX.as_millis()
        );
        Err(ApiError::invalid_query(message))
    }
}

/// The newest record of an action
///
/// With `audit.delivery = "buffered"` a record is written shortly after its action has been answered: a question that
/// follows the answer at once may be 404. Give `wait_ms` to wait for the record.
#[utoipa::path(
    get,
    path = "/v1/audit/{action_id}",
    operation_id = "get_audit_record",
    tag = "audit",
    params(
        ("action_id" = String, Path, description = "The action's id, or that of an administrative change."),
        Waiting,
    ),
    responses(
        (status = 200, description = "The record.", body = Record<'_>, example = json!(record::example())),
        Asking,
        (status = 404, description = "There is no such record, or not yet, or no audit trail (`AUDIT_DISABLED`).",
            body = ErrorBody, example = json!({
            "code": "AUDIT_RECORD_NOT_FOUND",
            "message": "there is no audit record of the action \"order-7\"",
            "retryable": false,
        })),
        Backend,
        Any,
    )
)]
pub(super) async fn newest(
    State(api): State<AdminApi>,
    access: Access,
    Path(action_id): Path<String>,
    Query(waiting): Query<Waiting>,
) -> Result<Response, ApiError> {
    let patience = waiting.patience()?;
    let record = api.audit_record(&access, &action_id, patience).await?;
    Ok(Json(Record::of(&record)).into_response())
}
