//! `/v1/silences`: lists, shows, changes and ends what withholds deliveries for a time. Creating is in `create`.

pub(super) mod create;

use acteon_connect_http::responses::{InternalError, InvalidBody, InvalidQuery};
use acteon_connect_http::{ApiError, ErrorBody, Json, NoQuery, Path, Query};
use acteon_core::silence::{MatchOp, Silence, SilenceMatcher, SilencePhase};
use acteon_core::silence_admin::SilenceChange;
use acteon_core::state::SilenceQuery;
use axum::extract::State;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, IntoResponses, ToSchema};

use super::errors::BackendUnavailable;
use super::{filter, paging};
use crate::service::{Access, AdminApi, DatedSilence, SILENCE_LIMIT_MAX};

/// The default limit of a page.
const LIMIT: usize = 100;

/// Which silences to list. All given conditions must match.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    /// Silences of this namespace, and those of every namespace.
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    namespace: Option<CompactString>,
    /// Silences of this tenant, and those of every tenant.
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    tenant: Option<CompactString>,
    /// `pending` (not begun), `active` or `expired` (ended in the last seven days).
    #[serde(default, deserialize_with = "filter::value")]
    #[param(value_type = Option<SilenceState>, inline, example = "active")]
    state: Option<SilenceState>,
    /// The most silences on the page. It has fewer if they are more than 8 MiB of JSON.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

impl Filters {
    fn query(self, access: &Access) -> Result<SilenceQuery, ApiError> {
        let limit = paging::page_limit(self.limit, LIMIT, SILENCE_LIMIT_MAX);
        let after = self.cursor.as_deref().map(paging::decode_id);
        Ok(SilenceQuery {
            scope: access.scope.clone(),
            namespace: self.namespace,
            tenant: self.tenant,
            phase: self.state.map(Into::into),
            after: after.transpose()?,
            limit: limit.map_err(ApiError::invalid_query)?,
        })
    }
}

/// Whether a silence is in force.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SilenceState {
    /// It has not begun.
    Pending,
    /// It withholds deliveries.
    Active,
    /// It has ended.
    Expired,
}

impl From<SilencePhase> for SilenceState {
    fn from(phase: SilencePhase) -> Self {
        match phase {
            SilencePhase::Pending => Self::Pending,
            SilencePhase::Active => Self::Active,
            SilencePhase::Expired => Self::Expired,
        }
    }
}

impl From<SilenceState> for SilencePhase {
    fn from(state: SilenceState) -> Self {
        match state {
            SilenceState::Pending => Self::Pending,
            SilenceState::Active => Self::Active,
            SilenceState::Expired => Self::Expired,
        }
    }
}

/// A condition on an action.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SilenceMatcher)]
struct MatcherJson {
    /// The name of a label, or `provider` or `action_type`. A label that an action does not have is the empty text.
    #[schema(value_type = String, example = "cluster")]
    name: CompactString,
    #[schema(value_type = MatchOpSchema)]
    op: MatchOp,
    #[schema(value_type = String, example = "eu-1")]
    value: CompactString,
}

/// `=` and `!=` compare the text. `=~` and `!~` compare with a regular expression, which must match the whole text.
#[derive(Serialize, ToSchema)]
#[schema(as = MatchOp)]
#[expect(dead_code, reason = "for the document only")]
enum MatchOpSchema {
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
    #[serde(rename = "=~")]
    Matches,
    #[serde(rename = "!~")]
    MatchesNot,
}

impl From<&SilenceMatcher> for MatcherJson {
    fn from(matcher: &SilenceMatcher) -> Self {
        let SilenceMatcher { name, op, value } = matcher.clone();
        Self { name, op, value }
    }
}

impl From<MatcherJson> for SilenceMatcher {
    fn from(matcher: MatcherJson) -> Self {
        let MatcherJson { name, op, value } = matcher;
        Self { name, op, value }
    }
}

/// A silence.
#[derive(Serialize, ToSchema)]
#[schema(as = Silence)]
pub(super) struct SilenceJson {
    #[schema(value_type = String, format = "uuid")]
    id: CompactString,
    /// The namespace of the actions that it withholds, or `*`.
    #[schema(value_type = String)]
    namespace: CompactString,
    /// The tenant of these actions, or `*`.
    #[schema(value_type = String)]
    tenant: CompactString,
    /// All of them must hold of an action.
    matchers: Vec<MatcherJson>,
    #[schema(value_type = String, format = DateTime)]
    starts_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    ends_at: Timestamp,
    state: SilenceState,
    #[schema(value_type = String)]
    comment: CompactString,
    /// The caller who created it.
    #[schema(value_type = String)]
    created_by: CompactString,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl SilenceJson {
    fn of(silence: &Silence, now: Timestamp) -> Self {
        Self {
            id: silence.id.clone(),
            namespace: silence.namespace.clone(),
            tenant: silence.tenant.clone(),
            matchers: silence.matchers.iter().map(MatcherJson::from).collect(),
            starts_at: silence.starts_at,
            ends_at: silence.ends_at,
            state: silence.phase(now).into(),
            comment: silence.comment.clone(),
            created_by: silence.created_by.clone(),
            created_at: silence.created_at,
            updated_at: silence.updated_at,
        }
    }
}

impl From<DatedSilence> for SilenceJson {
    fn from(dated: DatedSilence) -> Self {
        Self::of(&dated.stored.silence, dated.now)
    }
}

/// One page of silences.
#[derive(Serialize, ToSchema)]
#[schema(as = SilencePage)]
pub(super) struct Page {
    /// The one created last is first.
    silences: Vec<SilenceJson>,
    /// The `cursor` of the next page; `null` on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

fn example() -> Value {
    json!({
        "id": "0198c0de-0000-7000-8000-000000000000",
        "namespace": "shop",
        "tenant": "acme",
        "matchers": [{"name": "cluster", "op": "=", "value": "eu-1"}],
        "starts_at": "2026-01-01T09:00:00Z",
        "ends_at": "2026-01-01T11:00:00Z",
        "state": "active",
        "comment": "the database is moved",
        "created_by": "anna",
        "created_at": "2026-01-01T09:00:00Z",
        "updated_at": "2026-01-01T09:00:00Z",
    })
}

/// There is no such silence.
#[derive(IntoResponses)]
#[response(status = 404, example = json!({
    "code": "SILENCE_NOT_FOUND",
    "message": "there is no silence \"0198c0de-0000-7000-8000-000000000000\"",
    "retryable": false,
}))]
#[expect(dead_code, reason = "for the document only")]
struct SilenceNotFound(ErrorBody);

/// Your grants do not cover everything that the silence withholds.
#[derive(IntoResponses)]
#[response(status = 403, example = json!({
    "code": "FORBIDDEN",
    "message": "your grants do not cover everything that this silence withholds",
    "retryable": false,
}))]
#[expect(dead_code, reason = "for the document only")]
pub(super) struct NotCovered(ErrorBody);

/// It is not a silence; the message names the field.
#[derive(IntoResponses)]
#[response(status = 422, example = json!({
    "code": "INVALID_SILENCE", "message": "`ends_at`: must be in the future", "retryable": false,
}))]
#[expect(dead_code, reason = "for the document only")]
pub(super) struct InvalidSilence(ErrorBody);

/// Silences, the one created last first
///
/// Silences that have not ended, and silences that ended in the last seven days.
#[utoipa::path(
    get,
    path = "/v1/silences",
    operation_id = "list_silences",
    tag = "silences",
    params(Filters),
    responses(
        (status = 200, description = "One page.", body = Page, example = json!({
            "silences": [example()], "next_cursor": null,
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
    let page = api.silences(&filters.query(&access)?).await?;
    let shown = page.silences.iter();
    let shown = shown.map(|stored| SilenceJson::of(&stored.silence, page.now));
    let silences = paging::fill_page(shown);
    let next = match silences.len() < page.silences.len() {
        true => silences.last().map(|last| last.id.clone()),
        false => page.next,
    };
    Ok(Json(Page {
        silences,
        next_cursor: next.as_deref().map(paging::encode_id),
    }))
}

/// One silence
#[utoipa::path(
    get,
    path = "/v1/silences/{id}",
    operation_id = "get_silence",
    tag = "silences",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The silence.", body = SilenceJson, example = json!(example())),
        InvalidQuery,
        SilenceNotFound,
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn get(
    State(api): State<AdminApi>,
    access: Access,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Json<SilenceJson>, ApiError> {
    Ok(Json(api.silence(&access, &id).await?.into()))
}

/// The change of a silence. At least one of both.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1)]
pub(super) struct SilenceChangeRequest {
    /// When it ends.
    #[serde(default, deserialize_with = "filter::time")]
    #[schema(value_type = String, format = DateTime, required = false)]
    ends_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "filter::value")]
    #[schema(value_type = String, required = false)]
    comment: Option<CompactString>,
}

impl SilenceChangeRequest {
    fn change(self) -> Result<SilenceChange, ApiError> {
        let Self { ends_at, comment } = self;
        if ends_at.is_none() && comment.is_none() {
            let message = "nothing to change: give `ends_at`, `comment` or both";
            return Err(ApiError::invalid_json(message));
        }
        Ok(SilenceChange { ends_at, comment })
    }
}

/// Changes the end or the comment of a silence
///
/// It stays in force meanwhile. One that has ended cannot be changed.
#[utoipa::path(
    put,
    path = "/v1/silences/{id}",
    operation_id = "change_silence",
    tag = "silences",
    params(("id" = String, Path)),
    request_body(content = SilenceChangeRequest, example = json!({
        "ends_at": "2026-01-01T12:00:00Z", "comment": "it takes longer",
    })),
    responses(
        (status = 200, description = "The silence.", body = SilenceJson, example = json!(example())),
        InvalidBody,
        NotCovered,
        SilenceNotFound,
        (status = 409, description = "The silence has ended.", body = ErrorBody, example = json!({
            "code": "SILENCE_ENDED", "message": "the silence has ended; create a new one", "retryable": false,
        })),
        InvalidSilence,
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn change(
    State(api): State<AdminApi>,
    access: Access,
    Path(id): Path<String>,
    _: NoQuery,
    Json(asked): Json<SilenceChangeRequest>,
) -> Result<Json<SilenceJson>, ApiError> {
    let changed = api.change_silence(&access, &id, asked.change()?).await?;
    Ok(Json(changed.into()))
}

/// Ends a silence now
///
/// It is listed for seven days. One that has ended is left as it is.
#[utoipa::path(
    delete,
    path = "/v1/silences/{id}",
    operation_id = "end_silence",
    tag = "silences",
    params(("id" = String, Path)),
    responses(
        (status = 200, description = "The silence, which has ended.", body = SilenceJson, example = json!(example())),
        InvalidQuery,
        NotCovered,
        SilenceNotFound,
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn end(
    State(api): State<AdminApi>,
    access: Access,
    Path(id): Path<String>,
    _: NoQuery,
) -> Result<Json<SilenceJson>, ApiError> {
    Ok(Json(api.end_silence(&access, &id).await?.into()))
}
