//! `/v1/dead-letters/replay` and `/v1/dead-letters/delete`: many dead letters at once, by filter.

use acteon_connect_http::{ApiError, Json, Query};
use acteon_core::state::DeadLetterQuery;
use acteon_core::{DeadLetterKind, LetterFilter};
use axum::extract::State;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::refusals::{Any, Asking, Backend, Body};
use super::{cursor, dead_letters};
use crate::service::{Access, AdminApi, Bulk, BulkChange};

/// Whether anything is changed.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// True: say how many match, and change nothing.
    #[serde(default)]
    #[param(required = false, default = false)]
    preview: bool,
}

/// Which letters are meant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkRequest)]
pub(super) struct Request {
    filter: Filter,
    /// At most so many are looked at.
    #[schema(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// `next_cursor` of the answer before.
    cursor: Option<String>,
}

/// All that is given must hold; without anything, all letters are meant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DeadLetterFilter)]
struct Filter {
    /// `poison` (could not be decoded) or `exhausted` (could not be delivered).
    #[schema(value_type = Option<super::dead_letters::Kind>)]
    kind: Option<DeadLetterKind>,
    #[schema(value_type = Option<String>)]
    namespace: Option<CompactString>,
    #[schema(value_type = Option<String>)]
    tenant: Option<CompactString>,
    /// The provider that was asked last.
    #[schema(value_type = Option<String>)]
    provider: Option<CompactString>,
    #[schema(value_type = Option<String>)]
    action_type: Option<CompactString>,
    /// Why they are dead letters.
    #[schema(value_type = Option<String>)]
    code: Option<CompactString>,
    /// Became dead letters at this time or later.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Became dead letters before this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

impl Request {
    fn query(self, access: &Access) -> Result<DeadLetterQuery, ApiError> {
        let filter = LetterFilter {
            kind: self.filter.kind,
            namespace: self.filter.namespace,
            tenant: self.filter.tenant,
            provider: self.filter.provider,
            action_type: self.filter.action_type,
            code: self.filter.code,
            from: self.filter.from,
            to: self.filter.to,
        };
        let after = self.cursor.as_deref().map(cursor::to_letter).transpose();
        Ok(DeadLetterQuery {
            scope: access.scope.clone(),
            filter,
            limit: dead_letters::limit(self.limit).map_err(ApiError::invalid_json)?,
            after: after.map_err(|error| ApiError::invalid_json(error.message))?,
        })
    }
}

/// What became of many letters.
#[derive(Serialize, ToSchema)]
#[schema(as = BulkAnswer)]
pub(super) struct Answer {
    /// How many matched at the beginning.
    matched: u64,
    /// How many are gone now.
    done: usize,
    /// How many are still there, though they were to go: each has a record in the audit trail that says why.
    failed: usize,
    /// The `cursor` by which to go on; `null` when none is left to look at.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl From<Bulk> for Answer {
    fn from(bulk: Bulk) -> Self {
        Self {
            matched: bulk.matched,
            done: bulk.done,
            failed: bulk.failed,
            next_cursor: bulk.next.map(cursor::of_letter),
        }
    }
}

async fn change(
    api: &AdminApi,
    access: &Access,
    (asked, request): (Asked, Request),
    change: BulkChange,
) -> Result<Json<Answer>, ApiError> {
    let query = request.query(access)?;
    let bulk = match asked.preview {
        true => api.count_dead_letters(&query).await?,
        false => api.change_dead_letters(access, &query, change).await?,
    };
    Ok(Json(bulk.into()))
}

/// Decides and delivers the actions of many dead letters again, each under its original id
///
/// The last one stored is replayed first, sixteen side by side. Letters are deleted or stay as when they are replayed one by
/// one; go on behind those that stay with `cursor`.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/replay",
    operation_id = "replay_dead_letters",
    tag = "dead letters",
    params(Asked),
    request_body(content = Request, example = json!({
        "filter": {"kind": "exhausted", "provider": "email", "code": "TIMEOUT"},
        "limit": 100,
    })),
    responses(
        (status = 200, description = "What became of them.", body = Answer, example = json!({
            "matched": 120, "done": 97, "failed": 3, "next_cursor": "AAAAAAAAAAc",
        })),
        Body,
        Asking,
        Backend,
        Any,
    )
)]
pub(super) async fn replay(
    State(api): State<AdminApi>,
    access: Access,
    Query(asked): Query<Asked>,
    Json(request): Json<Request>,
) -> Result<Json<Answer>, ApiError> {
    change(&api, &access, (asked, request), BulkChange::Replay).await
}

/// Deletes many dead letters for good
#[utoipa::path(
    post,
    path = "/v1/dead-letters/delete",
    operation_id = "delete_dead_letters",
    tag = "dead letters",
    params(Asked),
    request_body(content = Request, example = json!({
        "filter": {"kind": "exhausted", "provider": "email", "code": "TIMEOUT"},
        "limit": 100,
    })),
    responses(
        (status = 200, description = "What became of them.", body = Answer, example = json!({
            "matched": 120, "done": 100, "failed": 0, "next_cursor": "AAAAAAAAAAc",
        })),
        Body,
        Asking,
        Backend,
        Any,
    )
)]
pub(super) async fn delete(
    State(api): State<AdminApi>,
    access: Access,
    Query(asked): Query<Asked>,
    Json(request): Json<Request>,
) -> Result<Json<Answer>, ApiError> {
    change(&api, &access, (asked, request), BulkChange::Delete).await
}
