//! `/v1/dead-letters/replay` and `/v1/dead-letters/delete`: change many dead letters by filter.

use acteon_connect_http::responses::{InternalError, InvalidBody, InvalidBodyOrQuery};
use acteon_connect_http::{ApiError, Json, Query};
use acteon_core::state::DeadLetterQuery;
use acteon_core::{DeadLetterKind, LetterFilter};
use axum::extract::State;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::dead_letters::LIMIT;
use super::errors::BackendUnavailable;
use super::{filter, paging};
use crate::service::{Access, AdminApi, BulkChange, BulkResult, DEAD_LETTER_LIMIT_MAX};

/// Whether to change anything.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PreviewQuery {
    /// Counts the matching letters without changing anything.
    #[serde(default)]
    #[param(required = false, default = false)]
    preview: bool,
}

/// Which letters to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BulkRequest {
    filter: DeadLetterFilter,
    /// The most letters to change with this request.
    #[schema(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// `next_cursor` of the previous answer.
    cursor: Option<String>,
}

/// All given conditions must match. Without conditions, all letters match. A condition that is `null` or empty is
/// refused.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeadLetterFilter {
    /// `poison` (could not be decoded) or `exhausted` (could not be delivered).
    #[serde(default, deserialize_with = "filter::value")]
    #[schema(value_type = super::dead_letters::DeadLetterKindSchema, required = false)]
    kind: Option<DeadLetterKind>,
    #[serde(default, deserialize_with = "filter::text")]
    #[schema(value_type = String, min_length = 1, required = false)]
    namespace: Option<CompactString>,
    #[serde(default, deserialize_with = "filter::text")]
    #[schema(value_type = String, min_length = 1, required = false)]
    tenant: Option<CompactString>,
    /// The provider called last.
    #[serde(default, deserialize_with = "filter::text")]
    #[schema(value_type = String, min_length = 1, required = false)]
    provider: Option<CompactString>,
    #[serde(default, deserialize_with = "filter::text")]
    #[schema(value_type = String, min_length = 1, required = false)]
    action_type: Option<CompactString>,
    /// The reason, as a code.
    #[serde(default, deserialize_with = "filter::text")]
    #[schema(value_type = String, min_length = 1, required = false)]
    code: Option<CompactString>,
    /// Created at this time or later.
    #[serde(default, deserialize_with = "filter::time")]
    #[schema(value_type = String, format = DateTime, required = false)]
    from: Option<Timestamp>,
    /// Created before this time.
    #[serde(default, deserialize_with = "filter::time")]
    #[schema(value_type = String, format = DateTime, required = false)]
    to: Option<Timestamp>,
}

impl From<DeadLetterFilter> for LetterFilter {
    fn from(filter: DeadLetterFilter) -> Self {
        Self {
            kind: filter.kind,
            namespace: filter.namespace,
            tenant: filter.tenant,
            provider: filter.provider,
            action_type: filter.action_type,
            code: filter.code,
            from: filter.from,
            to: filter.to,
        }
    }
}

impl BulkRequest {
    fn query(self, access: &Access) -> Result<DeadLetterQuery, ApiError> {
        let limit = paging::page_limit(self.limit, LIMIT, DEAD_LETTER_LIMIT_MAX);
        let after = self.cursor.as_deref().map(paging::decode_letter);
        Ok(DeadLetterQuery {
            scope: access.scope.clone(),
            filter: self.filter.into(),
            limit: limit.map_err(ApiError::invalid_json)?,
            after: after
                .transpose()
                .map_err(|error| ApiError::invalid_json(error.message))?,
        })
    }
}

/// The result of a bulk change.
#[derive(Serialize, ToSchema)]
pub(super) struct BulkAnswer {
    /// How many letters matched at the start; `null` if the state backend would have to count them.
    #[schema(required)]
    matched: Option<u64>,
    /// How many letters this request removed.
    done: usize,
    /// How many letters could not be removed. The audit trail has a record with the reason for each. Letters that
    /// another request is replaying or has removed are in neither number.
    failed: usize,
    /// The `cursor` of the next request; `null` if no letters are left to visit.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl From<BulkResult> for BulkAnswer {
    fn from(result: BulkResult) -> Self {
        Self {
            matched: result.matched,
            done: result.done,
            failed: result.failed,
            next_cursor: result.next.map(paging::encode_letter),
        }
    }
}

fn example_request() -> Value {
    json!({
        "filter": {"kind": "exhausted", "provider": "email", "code": "TIMEOUT"},
        "limit": 100,
    })
}

fn example_answer() -> Value {
    json!({"matched": 120, "done": 97, "failed": 3, "next_cursor": "AAAAAAAAAAc"})
}

async fn change(
    api: &AdminApi,
    access: &Access,
    change: BulkChange,
    query: PreviewQuery,
    request: BulkRequest,
) -> Result<Json<BulkAnswer>, ApiError> {
    let letters = request.query(access)?;
    let result = match query.preview {
        true => api.count_dead_letters(&letters).await?,
        false => api.change_dead_letters(access, &letters, change).await?,
    };
    Ok(Json(result.into()))
}

/// Decides and delivers the actions of many dead letters again, each under its original id
///
/// Starts with the last letter stored and replays sixteen at a time. Each letter is deleted or remains as when it is
/// replayed alone. Skips the letters that another request is replaying. To continue after the remaining letters, use
/// `cursor`.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/replay",
    operation_id = "replay_dead_letters",
    tag = "dead letters",
    params(PreviewQuery),
    request_body(content = BulkRequest, example = json!(example_request())),
    responses(
        (status = 200, description = "The result.", body = BulkAnswer, example = json!(example_answer())),
        InvalidBody,
        InvalidBodyOrQuery,
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn replay(
    State(api): State<AdminApi>,
    access: Access,
    Query(query): Query<PreviewQuery>,
    Json(request): Json<BulkRequest>,
) -> Result<Json<BulkAnswer>, ApiError> {
    change(&api, &access, BulkChange::Replay, query, request).await
}

/// Deletes many dead letters permanently
#[utoipa::path(
    post,
    path = "/v1/dead-letters/delete",
    operation_id = "delete_dead_letters",
    tag = "dead letters",
    params(PreviewQuery),
    request_body(content = BulkRequest, example = json!(example_request())),
    responses(
        (status = 200, description = "The result.", body = BulkAnswer, example = json!(example_answer())),
        InvalidBody,
        InvalidBodyOrQuery,
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn delete(
    State(api): State<AdminApi>,
    access: Access,
    Query(query): Query<PreviewQuery>,
    Json(request): Json<BulkRequest>,
) -> Result<Json<BulkAnswer>, ApiError> {
    change(&api, &access, BulkChange::Delete, query, request).await
}
