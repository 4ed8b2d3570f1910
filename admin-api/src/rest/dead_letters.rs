//! `/v1/dead-letters`: what could not be delivered or decoded, kept to be looked at, replayed and deleted.

use acteon_connect_http::{ApiError, ErrorBody, Json, NoQuery, Path, Query};
use acteon_core::state::DeadLetterQuery;
use acteon_core::{ActionOutcome, AttemptRecord, DeadLetter, DeadLetterKind, LetterFilter};
use axum::extract::State;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::cursor;
use super::refusals::{Any, Asking, Backend, OneLetter};
use crate::service::{Access, AdminApi, DEAD_LETTER_LIMIT_MAX, Replayed, ShownBytes, ShownLetter};

const LIMIT: usize = 100;

/// Which dead letters to list. Every filter that is given must hold.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    /// `poison` (could not be decoded) or `exhausted` (could not be delivered).
    #[param(value_type = Option<Kind>, inline, example = "exhausted")]
    kind: Option<DeadLetterKind>,
    #[param(value_type = Option<String>)]
    namespace: Option<CompactString>,
    #[param(value_type = Option<String>)]
    tenant: Option<CompactString>,
    /// The provider that was asked last.
    #[param(value_type = Option<String>)]
    provider: Option<CompactString>,
    #[param(value_type = Option<String>)]
    action_type: Option<CompactString>,
    /// Why it is a dead letter.
    #[param(value_type = Option<String>, example = "TIMEOUT")]
    code: Option<CompactString>,
    /// Became a dead letter at this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Became a dead letter before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
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
        Ok(DeadLetterQuery {
            scope: access.scope.clone(),
            filter,
            limit: limit(self.limit).map_err(ApiError::invalid_query)?,
            after: self.cursor.as_deref().map(cursor::to_letter).transpose()?,
        })
    }
}

/// How many letters are asked for.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, String> {
    let limit = asked.unwrap_or(LIMIT);
    match (1..=DEAD_LETTER_LIMIT_MAX).contains(&limit) {
        true => Ok(limit),
        false => Err(format!(
            "`limit`: must be from 1 to {DEAD_LETTER_LIMIT_MAX}"
        )),
    }
}

/// Why a message is a dead letter.
#[derive(ToSchema)]
#[schema(as = DeadLetterKind, rename_all = "snake_case")]
#[expect(dead_code, reason = "for the document only")]
pub(super) enum Kind {
    /// It could not be decoded.
    Poison,
    /// It could not be delivered.
    Exhausted,
}

/// One dead letter, without its bytes.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterSummary)]
pub(super) struct Summary {
    /// UUID v7; the same for the same place in the source.
    #[schema(value_type = String, format = "uuid")]
    id: CompactString,
    #[schema(value_type = Kind)]
    kind: DeadLetterKind,
    /// `null` for poison, as are the other fields of an action.
    #[schema(required, value_type = Option<String>)]
    namespace: Option<CompactString>,
    #[schema(required, value_type = Option<String>)]
    tenant: Option<CompactString>,
    /// The provider that was asked last.
    #[schema(required, value_type = Option<String>)]
    provider: Option<CompactString>,
    #[schema(required, value_type = Option<String>)]
    action_type: Option<CompactString>,
    #[schema(required, value_type = Option<String>)]
    action_id: Option<CompactString>,
    /// Why: `INVALID_JSON`, `INVALID_ACTION`, `CIRCUIT_OPEN`, `THROTTLED`, or the code of a failure.
    #[schema(value_type = String)]
    code: CompactString,
    /// Why, in one sentence.
    #[schema(value_type = String)]
    message: CompactString,
    /// How often providers were asked.
    attempts: u32,
    /// The last attempts, oldest first: at most 16.
    history: Vec<AttemptRecord>,
    /// The place in the source.
    #[schema(value_type = String)]
    source: CompactString,
    /// How many bytes the message has.
    size_bytes: usize,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&DeadLetter> for Summary {
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
    /// The last one stored first.
    dead_letters: Vec<Summary>,
    /// How many match in all.
    total: u64,
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

/// What could not be delivered or decoded, the last one stored first
#[utoipa::path(
    get,
    path = "/v1/dead-letters",
    operation_id = "list_dead_letters",
    tag = "dead letters",
    params(Filters),
    responses(
        (status = 200, description = "One page, without the bytes.", body = Page, example = json!({
            "dead_letters": [example()], "total": 1, "next_cursor": null,
        })),
        Asking,
        Backend,
        Any,
    )
)]
pub(super) async fn list(
    State(api): State<AdminApi>,
    access: Access,
    Query(filters): Query<Filters>,
) -> Result<Json<Page>, ApiError> {
    let page = api.dead_letters(&filters.query(&access)?).await?;
    Ok(Json(Page {
        next_cursor: page.next.map(cursor::of_letter),
        dead_letters: page
            .letters
            .iter()
            .map(|letter| Summary::from(&**letter))
            .collect(),
        total: page.total,
    }))
}

/// One dead letter with its bytes.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(super) struct Letter {
    #[serde(flatten)]
    summary: Summary,
    /// The original message, redacted as in the audit trail, when it is JSON; else `null`.
    #[schema(required)]
    raw: Option<String>,
    /// The original bytes when they are not JSON, so that there are no fields to redact; else `null`.
    #[schema(required)]
    raw_base64: Option<String>,
}

impl From<ShownLetter> for Letter {
    fn from(shown: ShownLetter) -> Self {
        let (raw, raw_base64) = match shown.bytes {
            ShownBytes::Json(text) => (Some(text), None),
            ShownBytes::Opaque(bytes) => (None, Some(BASE64_STANDARD.encode(bytes))),
        };
        Self {
            summary: Summary::from(&*shown.letter),
            raw,
            raw_base64,
        }
    }
}

/// One dead letter with its bytes
#[utoipa::path(
    get,
    path = "/v1/dead-letters/{id}",
    operation_id = "get_dead_letter",
    tag = "dead letters",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The letter.", body = Letter, example = json!(whole_example())),
        Asking,
        OneLetter,
        Backend,
        Any,
    )
)]
pub(super) async fn get(
    State(api): State<AdminApi>,
    access: Access,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Json<Letter>, ApiError> {
    let shown = api.dead_letter(&access, &id).await?;
    Ok(Json(shown.into()))
}

/// A dead letter that is gone.
#[derive(Serialize, ToSchema)]
#[schema(as = DeletedDeadLetter)]
pub(super) struct Deleted {
    #[schema(format = "uuid")]
    id: String,
    #[schema(example = "deleted")]
    status: &'static str,
}

/// Deletes a dead letter for good
#[utoipa::path(
    delete,
    path = "/v1/dead-letters/{id}",
    operation_id = "delete_dead_letter",
    tag = "dead letters",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "It is gone.", body = Deleted, example = json!({
            "id": "0198c0de-0000-7000-8000-000000000000", "status": "deleted",
        })),
        Asking,
        OneLetter,
        Backend,
        Any,
    )
)]
pub(super) async fn delete(
    State(api): State<AdminApi>,
    access: Access,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Json<Deleted>, ApiError> {
    api.delete_dead_letter(&access, &id).await?;
    let status = "deleted";
    Ok(Json(Deleted { id, status }))
}

/// What became of a replayed dead letter.
#[derive(Serialize, ToSchema)]
pub(super) struct ReplayAnswer {
    #[schema(value_type = String, format = "uuid")]
    id: CompactString,
    /// As for a dispatch: an object whose only key is the outcome's name.
    #[schema(value_type = Object)]
    outcome: ActionOutcome,
    /// False when the letter is still there, because its action was not delivered or is told to wait.
    deleted: bool,
}

impl From<Replayed> for ReplayAnswer {
    fn from(replayed: Replayed) -> Self {
        Self {
            id: replayed.id,
            outcome: replayed.outcome,
            deleted: replayed.deleted,
        }
    }
}

/// Decides and delivers a dead letter's action again, under its original id
///
/// The letter is deleted when that brought the action to its end. It stays after `Failed`, `CircuitOpen` and
/// `Throttled`, to be replayed again. Two who replay it at once deliver it once.
#[utoipa::path(
    post,
    path = "/v1/dead-letters/{id}/replay",
    operation_id = "replay_dead_letter",
    tag = "dead letters",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "What became of it, whatever the outcome.", body = ReplayAnswer, example = json!({
            "id": "0198c0de-0000-7000-8000-000000000000",
            "outcome": {"Executed": {"status": "success", "body": {"logged": true}, "headers": {}}},
            "deleted": true,
        })),
        Asking,
        OneLetter,
        (status = 422, description = "It still cannot be decoded.", body = ErrorBody, example = json!({
            "code": "INVALID_ACTION",
            "message": "its bytes are not an action: `tenant`: is missing",
            "retryable": false,
        })),
        Backend,
        (status = 503, description = "A backend cannot be reached (`STATE_UNAVAILABLE`), there is no room or the same \
            action is under way (`OVERLOADED`), it is full (`STATE_FULL`), or the process is stopping (`SHUTTING_DOWN`).",
            headers(("Retry-After" = u64, description = "Seconds to wait.")),
            body = ErrorBody, example = json!({
            "code": "OVERLOADED",
            "message": "too much is in flight: try again later",
            "retryable": true,
            "retry_after": 1,
        })),
        Any,
    )
)]
pub(super) async fn replay(
    State(api): State<AdminApi>,
    access: Access,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Json<ReplayAnswer>, ApiError> {
    let replayed = api.replay(&access, &id).await?;
    Ok(Json(replayed.into()))
}
