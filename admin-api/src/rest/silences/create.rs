//! `POST /v1/silences`: creates a silence, or counts what it would have withheld.

use acteon_connect_http::responses::{InternalError, InvalidBody, InvalidBodyOrQuery, NotAdmitted};
use acteon_connect_http::{
    ApiError, BodyPermit, ErrorBody, Json, Query, parse_json, read_json_within,
};
use acteon_core::Time;
use acteon_core::silence_admin::NewSilence;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{InvalidSilence, MatcherJson, NotCovered, SilenceJson, example};
use crate::rest::filter;
use crate::service::{ADMISSION_TIMEOUT, Access, AdminApi, PreviewResult};

/// Whether to create anything.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PreviewParameter {
    /// Counts what the silence would have withheld in the last day, and creates nothing.
    #[serde(default)]
    #[param(required = false, default = false)]
    preview: bool,
}

/// The silence to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SilenceRequest {
    /// The namespace of the actions to withhold. `*` if your grants cover every namespace.
    #[schema(value_type = String, min_length = 1)]
    namespace: CompactString,
    /// The tenant of these actions. `*` if your grants cover every tenant.
    #[schema(value_type = String, min_length = 1)]
    tenant: CompactString,
    /// All of them must hold of an action, and one of them must refuse the empty text.
    #[schema(min_items = 1, max_items = 32)]
    matchers: Vec<MatcherJson>,
    /// When it begins. Now, if it is absent or at most 60 seconds ahead.
    #[serde(default, deserialize_with = "filter::time")]
    #[schema(value_type = String, format = DateTime, required = false)]
    starts_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    ends_at: Time,
    #[schema(value_type = String)]
    comment: CompactString,
}

impl From<SilenceRequest> for NewSilence {
    fn from(request: SilenceRequest) -> Self {
        let matchers = request.matchers.into_iter();
        Self {
            namespace: request.namespace,
            tenant: request.tenant,
            matchers: matchers.map(Into::into).collect(),
            starts_at: request.starts_at,
            ends_at: request.ends_at.timestamp(),
            comment: request.comment,
        }
    }
}

/// What a silence would have withheld.
#[derive(Serialize, ToSchema)]
#[schema(as = SilencePreview)]
pub(crate) struct SilencePreviewJson {
    /// How many actions it would have withheld.
    matched: u64,
    /// How many actions of the last day were examined.
    examined: u64,
    /// Whether only the newest 10,000 records were examined.
    truncated: bool,
    /// The ids of up to five actions that it would have withheld, the newest first.
    #[schema(value_type = Vec<String>, max_items = 5)]
    examples: Vec<CompactString>,
}

impl From<PreviewResult> for SilencePreviewJson {
    fn from(result: PreviewResult) -> Self {
        let PreviewResult {
            matched,
            examined,
            truncated,
            examples,
        } = result;
        Self {
            matched,
            examined,
            truncated,
            examples,
        }
    }
}

/// Creates a silence
///
/// While it is active, deliveries of the actions that it matches are withheld. Their outcome is `Suppressed` with the
/// rule `silence:<id>`. With `?preview=true` nothing is created, and the answer is what the silence would have withheld
/// in the last day, by the audit trail.
#[utoipa::path(
    post,
    path = "/v1/silences",
    operation_id = "create_silence",
    tag = "silences",
    params(PreviewParameter),
    request_body(content = SilenceRequest, example = json!({
        "namespace": "shop",
        "tenant": "acme",
        "matchers": [{"name": "cluster", "op": "=", "value": "eu-1"}],
        "ends_at": "2026-01-01T11:00:00Z",
        "comment": "the database is moved",
    })),
    responses(
        (status = 200, description = "The preview.", body = SilencePreviewJson, example = json!({
            "matched": 12, "examined": 3400, "truncated": false, "examples": ["order-7"],
        })),
        (status = 201, description = "The silence.", body = SilenceJson, example = json!(example())),
        InvalidBody,
        InvalidBodyOrQuery,
        NotCovered,
        (status = 404, description = "A preview, and the audit trail is disabled.", body = ErrorBody, example = json!({
            "code": "AUDIT_DISABLED", "message": "the audit trail is disabled", "retryable": false,
        })),
        (status = 409, description = "The namespace and tenant have as many silences as they may have.",
            body = ErrorBody, example = json!({
            "code": "SILENCES_FULL",
            "message": "the namespace and tenant have 1000 silences already, which is the most they may have",
            "retryable": false,
        })),
        InvalidSilence,
        NotAdmitted,
        InternalError,
    )
)]
pub(crate) async fn create(
    State(api): State<AdminApi>,
    access: Access,
    Query(PreviewParameter { preview }): Query<PreviewParameter>,
    request: Request,
) -> Result<Response, ApiError> {
    let mut permit = BodyPermit::new(api.admission(), ADMISSION_TIMEOUT);
    let body = read_json_within(request, &mut permit).await?;
    let _permit = permit.admit(0, body.len() as u64).await?;
    let asked: SilenceRequest = parse_json(&body)?;
    if preview {
        let result = api.preview_silence(&access, &asked.into()).await?;
        return Ok(Json(SilencePreviewJson::from(result)).into_response());
    }
    let created = api.create_silence(&access, asked.into()).await?;
    let json = Json(SilenceJson::from(created));
    Ok((StatusCode::CREATED, json).into_response())
}
