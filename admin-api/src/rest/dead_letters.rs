//! `/v1/dead-letters`: lists, shows, replays and deletes what could not be delivered or decoded.

use acteon_connect_http::responses::{InternalError, InvalidAction, InvalidQuery, NotAdmitted};
use acteon_connect_http::{ApiError, ErrorBody, Json, NoQuery, Path, Query};
use acteon_core::state::{DeadLetterPage, DeadLetterQuery};
use acteon_core::{ActionOutcome, AttemptRecord, DeadLetter, DeadLetterKind, LetterFilter};
use axum::extract::State;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, IntoResponses, ToSchema};

use super::errors::BackendUnavailable;
use super::{filter, paging};
use crate::service::{
    Access, AdminApi, DEAD_LETTER_LIMIT_MAX, RedactedBytes, RedactedLetter, ReplayResult,
};

/// The default limit of a page and of a bulk request.
pub(super) const LIMIT: usize = 100;

/// Which dead letters to list. All given conditions must match.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    /// `poison` (could not be decoded) or `exhausted` (could not be delivered).
    #[serde(default, deserialize_with = "filter::value")]
    #[param(value_type = Option<DeadLetterKindSchema>, inline, example = "exhausted")]
    kind: Option<DeadLetterKind>,
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    namespace: Option<CompactString>,
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    tenant: Option<CompactString>,
    /// The provider called last.
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    provider: Option<CompactString>,
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    action_type: Option<CompactString>,
    /// The reason, as a code.
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1, example = "TIMEOUT")]
    code: Option<CompactString>,
    /// Created at this time or later.
    #[serde(default, deserialize_with = "filter::time")]
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Created before this time.
    #[serde(default, deserialize_with = "filter::time")]
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// The most letters on the page. It has fewer if they are more than 8 MiB of JSON.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

impl Filters {
    fn query(self, access: &Access) -> Result<DeadLetterQuery, ApiError> {
        let filter = LetterFilter {
            kind: self.kind,
            namespace: self.namespace,
            tenant: self.tenant,
            provider: self.provider,
            action_type: self.action_type,
            code: self.code,
            from: self.from,
            to: self.to,
        };
        let limit = paging::page_limit(self.limit, LIMIT, DEAD_LETTER_LIMIT_MAX);
        let after = self.cursor.as_deref().map(paging::decode_letter);
        Ok(DeadLetterQuery {
            scope: access.scope.clone(),
            filter,
            limit: limit.map_err(ApiError::invalid_query)?,
            after: after.transpose()?,
        })
    }
}

/// The kind of a dead letter.
#[derive(ToSchema)]
#[schema(as = DeadLetterKind, rename_all = "snake_case")]
#[expect(dead_code, reason = "for the document only")]
pub(super) enum DeadLetterKindSchema {
    /// The message could not be decoded.
    Poison,
    /// The action could not be delivered.
    Exhausted,
}

/// One dead letter, without its bytes.
#[derive(Serialize, ToSchema)]
pub(super) struct DeadLetterSummary {
    /// A UUID v7. The same position in the source always gets the same id.
    #[schema(value_type = String, format = "uuid")]
    id: CompactString,
    #[schema(value_type = DeadLetterKindSchema)]
    kind: DeadLetterKind,
    /// `null` for poison, like the other fields of an action.
    #[schema(required, value_type = Option<String>)]
    namespace: Option<CompactString>,
    #[schema(required, value_type = Option<String>)]
    tenant: Option<CompactString>,
    /// The provider called last.
    #[schema(required, value_type = Option<String>)]
    provider: Option<CompactString>,
    #[schema(required, value_type = Option<String>)]
    action_type: Option<CompactString>,
    #[schema(required, value_type = Option<String>)]
    action_id: Option<CompactString>,
    /// The reason: `INVALID_JSON`, `INVALID_ACTION`, `CIRCUIT_OPEN`, `THROTTLED`, or the code of a failure.
    #[schema(value_type = String)]
    code: CompactString,
    /// The reason, in one sentence.
    #[schema(value_type = String)]
    message: CompactString,
    /// The number of calls of providers.
    attempts: u32,
    /// The last attempts, oldest first; at most 16.
    history: Vec<AttemptRecord>,
    /// The position in the source.
    #[schema(value_type = String)]
    source: CompactString,
    /// The size of the message, in bytes.
    size_bytes: usize,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&DeadLetter> for DeadLetterSummary {
    fn from(letter: &DeadLetter) -> Self {
        let action = letter.action.as_ref();
        Self {
            id: letter.id.clone(),
            kind: letter.kind(),
            namespace: action.map(|action| action.namespace.clone()),
            tenant: action.map(|action| action.tenant.clone()),
            provider: action.map(|action| action.provider.clone()),
            action_type: action.map(|action| action.action_type.clone()),
            action_id: action.map(|action| action.id.clone()),
            code: letter.code.clone(),
            message: letter.message.clone(),
            attempts: letter.attempts,
            history: letter.history.clone(),
            source: letter.source.clone(),
            size_bytes: letter.raw.len(),
            created_at: letter.created_at,
        }
    }
}

/// One page of dead letters.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterPage)]
pub(super) struct Page {
    /// The last letter stored is first.
    dead_letters: Vec<DeadLetterSummary>,
    /// The number of matching letters on all pages; `null` if the state backend would have to count them.
    #[schema(required)]
    total: Option<u64>,
    /// The `cursor` of the next page; `null` on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

fn example() -> Value {
    json!({
        "id": "0198c0de-0000-7000-8000-000000000000",
        "kind": "exhausted",
        "namespace": "shop",
        "tenant": "acme",
        "provider": "email",
        "action_type": "order_placed",
        "action_id": "order-7",
        "code": "TIMEOUT",
        "message": "no answer within 30s",
        "attempts": 4,
        "history": [{
            "at": "2026-01-01T09:00:00Z",
            "provider": "email",
            "status": 503,
            "code": "EXECUTION_FAILED",
            "duration_ms": 21,
            "excerpt": "try later",
        }],
        "source": "kafka:orders/3@1042",
        "size_bytes": 180,
        "created_at": "2026-01-01T09:10:00Z",
    })
}

fn whole_example() -> Value {
    let mut example = example();
    example["raw"] = r#"{"id":"order-7","namespace":"shop","tenant":"acme"}"#.into();
    example["raw_base64"] = Value::Null;
    example
}

fn summaries(page: &DeadLetterPage) -> Vec<DeadLetterSummary> {
    let letters = page.letters.iter();
    paging::fill_page(letters.map(|letter| DeadLetterSummary::from(&**letter)))
}

/// Dead letters, the last one stored first
#[utoipa::path(
    get,
    path = "/v1/dead-letters",
    operation_id = "list_dead_letters",
    tag = "dead letters",
    params(Filters),
    responses(
        (status = 200, description = "One page, without the bytes of the letters.", body = Page, example = json!({
            "dead_letters": [example()], "total": 1, "next_cursor": null,
        })),
        InvalidQuery,
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn list(
    State(api): State<AdminApi>,
    access: Access,
    Query(filters): Query<Filters>,
) -> Result<Json<Page>, ApiError> {
    let mut query = filters.query(&access)?;
    let mut page = api.dead_letters(&query).await?;
    let mut dead_letters = summaries(&page);
    if dead_letters.len() < page.letters.len() {
        // Only the backend knows the position after a letter.
        query.limit = dead_letters.len();
        page = api.dead_letters(&query).await?;
        dead_letters = summaries(&page);
    }
    Ok(Json(Page {
        next_cursor: page.next.map(paging::encode_letter),
        dead_letters,
        total: page.total,
    }))
}

/// One dead letter with its bytes.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(super) struct DeadLetterJson {
    #[serde(flatten)]
    summary: DeadLetterSummary,
    /// The original message if it is JSON, redacted as in the audit trail; else `null`.
    #[schema(required)]
    raw: Option<String>,
    /// The original bytes if they are not JSON, so that there are no fields to redact; else `null`.
    #[schema(required)]
    raw_base64: Option<String>,
}

impl From<RedactedLetter> for DeadLetterJson {
    fn from(redacted: RedactedLetter) -> Self {
        let (raw, raw_base64) = match redacted.bytes {
            RedactedBytes::Json(text) => (Some(text), None),
            RedactedBytes::Opaque(bytes) => (None, Some(BASE64_STANDARD.encode(bytes))),
        };
        Self {
            summary: DeadLetterSummary::from(&*redacted.letter),
            raw,
            raw_base64,
        }
    }
}

/// There is no such dead letter.
#[derive(IntoResponses)]
#[response(status = 404, example = json!({
    "code": "NOT_FOUND",
    "message": "there is no dead letter \"0198c0de-0000-7000-8000-000000000000\"",
    "retryable": false,
}))]
#[expect(dead_code, reason = "for the document only")]
struct LetterNotFound(ErrorBody);

/// Another request is replaying the dead letter. If that replay fails, the letter can be replayed again.
#[derive(IntoResponses)]
#[response(status = 409, example = json!({
    "code": "REPLAY_IN_PROGRESS",
    "message": "the dead letter \"0198c0de-0000-7000-8000-000000000000\" is being replayed",
    "retryable": true,
}))]
#[expect(dead_code, reason = "for the document only")]
struct LetterBeingReplayed(ErrorBody);

/// One dead letter with its bytes
#[utoipa::path(
    get,
    path = "/v1/dead-letters/{id}",
    operation_id = "get_dead_letter",
    tag = "dead letters",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The letter.", body = DeadLetterJson, example = json!(whole_example())),
        InvalidQuery,
        LetterNotFound,
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn get(
    State(api): State<AdminApi>,
    access: Access,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Json<DeadLetterJson>, ApiError> {
    let letter = api.dead_letter(&access, &id).await?;
    Ok(Json(letter.into()))
}

/// A deleted dead letter.
#[derive(Serialize, ToSchema)]
pub(super) struct DeletedDeadLetter {
    #[schema(format = "uuid")]
    id: String,
    #[schema(example = "deleted")]
    status: &'static str,
}

/// Deletes a dead letter permanently
#[utoipa::path(
    delete,
    path = "/v1/dead-letters/{id}",
    operation_id = "delete_dead_letter",
    tag = "dead letters",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The letter is deleted.", body = DeletedDeadLetter, example = json!({
            "id": "0198c0de-0000-7000-8000-000000000000", "status": "deleted",
        })),
        InvalidQuery,
        LetterNotFound,
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn delete(
    State(api): State<AdminApi>,
    access: Access,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Json<DeletedDeadLetter>, ApiError> {
    api.delete_dead_letter(&access, &id).await?;
    let status = "deleted";
    Ok(Json(DeletedDeadLetter { id, status }))
}

/// The result of a replay.
#[derive(Serialize, ToSchema)]
pub(super) struct ReplayAnswer {
    #[schema(value_type = String, format = "uuid")]
    id: CompactString,
    /// An object whose only key is the name of the outcome, as for a dispatch.
    #[schema(value_type = Object)]
    outcome: ActionOutcome,
    /// False if the letter remains, because its action was not delivered or must wait.
    deleted: bool,
}

impl From<ReplayResult> for ReplayAnswer {
    fn from(result: ReplayResult) -> Self {
        Self {
            id: result.id,
            outcome: result.outcome,
            deleted: result.deleted,
        }
    }
}

/// Decides and delivers a dead letter's action again, under its original id
///
/// The letter is deleted if the outcome is final. After `Failed`, `CircuitOpen` and `Throttled` it remains, and it can
/// be replayed again. While a letter is being replayed, other replays of it are refused with 409.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/{id}/replay",
    operation_id = "replay_dead_letter",
    tag = "dead letters",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The outcome, even if the action was not delivered.",
            body = ReplayAnswer, example = json!({
            "id": "0198c0de-0000-7000-8000-000000000000",
            "outcome": {"Executed": {"status": "success", "body": {"logged": true}, "headers": {}}},
            "deleted": true,
        })),
        InvalidQuery,
        LetterNotFound,
        LetterBeingReplayed,
        InvalidAction,
        NotAdmitted,
        InternalError,
    )
)]
pub(super) async fn replay(
    State(api): State<AdminApi>,
    access: Access,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Json<ReplayAnswer>, ApiError> {
    let result = api.replay(&access, &id).await?;
    Ok(Json(result.into()))
}
