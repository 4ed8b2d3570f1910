//! `/v1/audit`: lists the records of the audit trail, and shows the newest record of an action.

mod record;

use std::time::Duration;

use acteon_connect_http::responses::{InternalError, InvalidQuery};
use acteon_connect_http::{ApiError, ErrorBody, Json, Path, Query};
use acteon_core::Verdict;
use acteon_core::audit::{AuditCursor, AuditFilter, AuditPage, AuditQuery, PageStart};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use compact_str::CompactString;
use jiff::Timestamp;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StringDeserializer};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use self::record::{AuditRecordJson, OutcomeName};
use super::errors::BackendUnavailable;
use super::{filter, paging};
use crate::service::{AUDIT_LIMIT_MAX, AUDIT_OFFSET_MAX, AUDIT_WAIT_MAX, Access, AdminApi};

const LIMIT: usize = 50;

/// Which records to list. All given conditions must match. Unknown parameters are refused, because a misspelt filter
/// would show unwanted records.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    namespace: Option<CompactString>,
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    tenant: Option<CompactString>,
    /// The provider that handled the action.
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    provider: Option<CompactString>,
    /// The action's type, or the name of an administrative change such as `acteon.rules.reload`.
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    action_type: Option<CompactString>,
    /// Case-insensitive.
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<OutcomeName>, inline, example = "executed")]
    outcome: Option<CompactString>,
    /// Case-insensitive.
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<Verdict>, inline, example = "allow")]
    verdict: Option<CompactString>,
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    matched_rule: Option<CompactString>,
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    caller_id: Option<CompactString>,
    /// Dispatched at this time or later.
    #[serde(default, deserialize_with = "filter::time")]
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Dispatched before this time.
    #[serde(default, deserialize_with = "filter::time")]
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// The most records on the page. It has fewer if they are more than 8 MiB of JSON.
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<usize>,
    /// The number of records to skip. Cannot be combined with `cursor`, which continues where this page ends.
    #[param(minimum = 0, maximum = 10000, default = 0)]
    offset: Option<u64>,
    /// `next_cursor` of the previous page. New records do not shift the pages.
    cursor: Option<String>,
}

impl Filters {
    fn query(self, access: &Access) -> Result<AuditQuery, ApiError> {
        let limit = paging::page_limit(self.limit, LIMIT, AUDIT_LIMIT_MAX);
        Ok(AuditQuery {
            scope: access.scope.clone(),
            start: start(self.offset, self.cursor.as_deref())?,
            limit: limit.map_err(ApiError::invalid_query)?,
            filter: AuditFilter {
                namespace: self.namespace,
                tenant: self.tenant,
                provider: self.provider,
                action_type: self.action_type,
                outcome: lowercase::<OutcomeName>("outcome", self.outcome)?,
                verdict: lowercase::<Verdict>("verdict", self.verdict)?,
                matched_rule: self.matched_rule,
                caller_id: self.caller_id,
                from: self.from,
                to: self.to,
            },
        })
    }
}

/// The value in lower case, if it is one of `T`. A filter by any other value would show nothing, without the reason.
fn lowercase<'de, T: Deserialize<'de>>(
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
            let message = "`offset`, `cursor`: only one of them is allowed";
            Err(ApiError::invalid_query(message))
        }
        (_, Some(text)) => paging::decode_record(text).map(PageStart::After),
        (Some(offset), _) if offset > AUDIT_OFFSET_MAX => {
            let message = format!(
                "`offset`: must be at most {AUDIT_OFFSET_MAX}; use `next_cursor` as `cursor` to continue"
            );
            Err(ApiError::invalid_query(message))
        }
        (offset, None) => Ok(PageStart::Offset(offset.unwrap_or_default())),
    }
}

/// One page of records.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditPage)]
pub(super) struct Page<'a> {
    /// Newest first, ties broken by id.
    records: Vec<AuditRecordJson<'a>>,
    /// The number of matching records on all pages.
    total: u64,
    /// The requested limit.
    limit: usize,
    /// The number of skipped records; 0 for a page that starts at a cursor.
    offset: u64,
    /// The `cursor` of the next page; `null` on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl<'a> Page<'a> {
    fn of(page: &'a AuditPage, query: &AuditQuery) -> Self {
        let all = page
            .records
            .iter()
            .map(|record| AuditRecordJson::of(record));
        let records = paging::fill_page(all);
        let last = page.records.get(records.len().saturating_sub(1));
        let next = match records.len() < page.records.len() {
            true => last.map(|last| AuditCursor::of(last)),
            false => page.next,
        };
        Self {
            records,
            total: page.total,
            limit: query.limit,
            offset: match query.start {
                PageStart::Offset(offset) => offset,
                PageStart::After(_) => 0,
            },
            next_cursor: next.map(paging::encode_record),
        }
    }
}

/// Records of the audit trail, newest first
///
/// There is a record for every dispatch, except dry runs, and for every administrative change.
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
        InvalidQuery,
        (status = 404, description = "The audit trail is disabled.", body = ErrorBody, example = json!({
            "code": "AUDIT_DISABLED", "message": "the audit trail is disabled", "retryable": false,
        })),
        BackendUnavailable,
        InternalError,
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

/// How long to wait for the record.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WaitQuery {
    /// How many milliseconds to wait at most if there is no record yet. The answer is sent as soon as there is one.
    #[param(minimum = 0, maximum = 10000, default = 0, example = 2000)]
    wait_ms: Option<u64>,
}

impl WaitQuery {
    fn timeout(&self) -> Result<Duration, ApiError> {
        let timeout = Duration::from_millis(self.wait_ms.unwrap_or_default());
        if timeout <= AUDIT_WAIT_MAX {
            return Ok(timeout);
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
/// With `audit.delivery = "buffered"` a record is written shortly after its action is answered, so a query right after
/// the answer may get 404. Use `wait_ms` to wait for the record.
#[utoipa::path(
    get,
    path = "/v1/audit/{action_id}",
    operation_id = "get_audit_record",
    tag = "audit",
    params(
        ("action_id" = String, Path, description = "The id of the action or of the administrative change."),
        WaitQuery,
    ),
    responses(
        (status = 200, description = "The record.", body = AuditRecordJson<'_>, example = json!(record::example())),
        InvalidQuery,
        (status = 404, description = "There is no such record, or not yet (`AUDIT_RECORD_NOT_FOUND`), or the audit \
            trail is disabled (`AUDIT_DISABLED`).",
            body = ErrorBody, example = json!({
            "code": "AUDIT_RECORD_NOT_FOUND",
            "message": "there is no audit record of the action \"order-7\"",
            "retryable": false,
        })),
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn newest(
    State(api): State<AdminApi>,
    access: Access,
    Path(action_id): Path<String>,
    Query(query): Query<WaitQuery>,
) -> Result<Response, ApiError> {
    let timeout = query.timeout()?;
    let record = api.audit_record(&access, &action_id, timeout).await?;
    Ok(Json(AuditRecordJson::of(&record)).into_response())
}
