//! `/v1/rules`: the rules in force, the last load, reloads and toggles. The playground is in `evaluate`.

use std::path::PathBuf;

use acteon_connect_http::responses::{InternalError, InvalidBody, InvalidQuery};
use acteon_connect_http::{ApiError, ErrorBody, Json, NoQuery, Path};
use acteon_core::rules::{RuleProblem, RuleSummary, RulesInForce};
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::errors::BackendUnavailable;
use crate::service::{Access, AdminApi};

const GENERATION: HeaderName = HeaderName::from_static("x-rules-generation");
const HASH: HeaderName = HeaderName::from_static("x-rules-hash");
const ERRORS: HeaderName = HeaderName::from_static("x-rules-errors");

/// The rules in the order of evaluation
///
/// The headers identify the rule set. If the last load was refused, `x-rules-errors` is not 0, and
/// `GET /v1/rules/reload` lists the errors.
#[utoipa::path(
    get,
    path = "/v1/rules",
    operation_id = "list_rules",
    tag = "rules",
    responses(
        (status = 200, description = "The rules in force.", body = Vec<RuleSummary>, headers(
            ("x-rules-generation" = u64,
                description = "The number of sets that this process has loaded, including this one."),
            ("x-rules-hash" = String, description = "The SHA-256 of the files, in hex."),
            ("x-rules-errors" = u64, description = "The number of errors in the last load; 0 if it succeeded."),
        ), example = json!([{
            "name": "mute-tests",
            "priority": 10,
            "enabled": true,
            "description": "Mutes test traffic",
            "action_type": "suppress",
            "source": "10-mute.yaml",
        }])),
        InvalidQuery,
        InternalError,
    )
)]
pub(super) async fn list(
    State(api): State<AdminApi>,
    access: Access,
    _: NoQuery,
) -> impl IntoResponse {
    let set = api.rules(&access);
    let hash = HeaderValue::from_str(&set.content_hash);
    let headers = [
        (GENERATION, HeaderValue::from(set.generation)),
        (HASH, hash.unwrap_or(HeaderValue::from_static(""))),
        (ERRORS, HeaderValue::from(set.last_errors.len())),
    ];
    (headers, Json(set.rules))
}

/// The result of the last load.
#[derive(Serialize, ToSchema)]
pub(super) struct LastLoad {
    /// The generation of the set in force: the number of sets that this process has loaded, including this one.
    generation: u64,
    /// The SHA-256 of the files of the set in force, in hex.
    content_hash: String,
    /// The number of rules in force.
    loaded: usize,
    /// The errors of the last load; empty if it succeeded.
    errors: Vec<RuleProblem>,
}

impl From<RulesInForce> for LastLoad {
    fn from(set: RulesInForce) -> Self {
        Self {
            generation: set.generation,
            content_hash: set.content_hash.into(),
            loaded: set.rules.len(),
            errors: set.last_errors,
        }
    }
}

/// The result of the last load
///
/// A change of the files may start a load as well, so a load may have failed although no client requested one.
#[utoipa::path(
    get,
    path = "/v1/rules/reload",
    operation_id = "get_last_load",
    tag = "rules",
    responses(
        (status = 200, description = "The set in force, and the errors of the last load.",
            body = LastLoad, example = json!({
            "generation": 3,
            "content_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "loaded": 10,
            "errors": [{
                "file": "20-routes.yaml",
                "line": 4,
                "column": 7,
                "message": "unknown operator `start_with`: did you mean `starts_with`?",
            }],
        })),
        InvalidQuery,
        InternalError,
    )
)]
pub(super) async fn last_load(
    State(api): State<AdminApi>,
    access: Access,
    _: NoQuery,
) -> Json<LastLoad> {
    Json(api.rules(&access).into())
}

/// The directory to load.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReloadRequest {
    /// A directory below the configured one; the configured one if absent.
    #[serde(default)]
    #[schema(example = "/etc/acteon/rules/canary")]
    directory: Option<String>,
}

/// A loaded set.
#[derive(Serialize, ToSchema)]
pub(super) struct ReloadAnswer {
    /// The number of rules now in force.
    loaded: usize,
    /// The same number as `loaded`.
    reloaded: usize,
    /// The loaded directory.
    #[schema(example = "/etc/acteon/rules")]
    directory: String,
    /// Always empty, because a set with errors is refused as a whole.
    errors: Vec<RuleProblem>,
}

/// Reloads the rules, as a whole or not at all
///
/// Loads the configured directory if there is no body. A set with any error is refused, and the old one stays in force.
#[utoipa::path(
    post,
    path = "/v1/rules/reload",
    operation_id = "reload_rules",
    tag = "rules",
    request_body(content = Option<ReloadRequest>, description = "Optional.", example = json!({
        "directory": "/etc/acteon/rules/canary",
    })),
    responses(
        (status = 200, description = "The new set is in force.", body = ReloadAnswer, example = json!({
            "loaded": 10, "reloaded": 10, "directory": "/etc/acteon/rules", "errors": [],
        })),
        InvalidBody,
        (status = 400, description = "The body is not JSON or does not match the schema (`INVALID_JSON`), or the rules \
            have errors or cannot be loaded from there (`RULES_INVALID`); the old ones stay in force.",
            body = ErrorBody, example = json!({
            "code": "RULES_INVALID",
            "message": "the rules have 1 errors: 20-routes.yaml:4:7: unknown operator `start_with`",
            "retryable": false,
        })),
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn reload(
    State(api): State<AdminApi>,
    access: Access,
    _: NoQuery,
    request: Option<Json<ReloadRequest>>,
) -> Result<Json<ReloadAnswer>, ApiError> {
    let directory = request.and_then(|Json(request)| request.directory.map(PathBuf::from));
    let reloaded = api.reload(&access, directory).await?;
    Ok(Json(ReloadAnswer {
        loaded: reloaded.rules,
        reloaded: reloaded.rules,
        directory: reloaded.directory.display().to_string(),
        errors: Vec::new(),
    }))
}

/// The requested state of a rule.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ToggleRequest {
    #[schema(example = false)]
    enabled: bool,
}

/// A rule that was enabled or disabled.
#[derive(Serialize, ToSchema)]
pub(super) struct ToggleAnswer {
    #[schema(example = "mute-tests")]
    name: String,
    #[schema(example = false)]
    enabled: bool,
    /// `enabled` or `disabled`.
    #[schema(example = "disabled")]
    status: &'static str,
}

/// Enables or disables a rule on every node, across restarts and reloads
#[utoipa::path(
    put,
    path = "/v1/rules/{name}/enabled",
    operation_id = "set_rule_enabled",
    tag = "rules",
    params(("name" = String, Path, description = "The rule's name, percent-encoded.", example = "mute-tests")),
    request_body(content = ToggleRequest, example = json!({"enabled": false})),
    responses(
        (status = 200, description = "The rule is enabled or disabled.", body = ToggleAnswer, example = json!({
            "name": "mute-tests", "enabled": false, "status": "disabled",
        })),
        InvalidBody,
        (status = 404, description = "There is no such rule.", body = ErrorBody, example = json!({
            "code": "RULE_NOT_FOUND", "message": "no rule is named \"mute-tests\"", "retryable": false,
        })),
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn toggle(
    State(api): State<AdminApi>,
    access: Access,
    Path(name): Path<String>,
    _: NoQuery,
    Json(ToggleRequest { enabled }): Json<ToggleRequest>,
) -> Result<Json<ToggleAnswer>, ApiError> {
    api.set_rule_enabled(&access, &name, enabled).await?;
    let status = if enabled { "enabled" } else { "disabled" };
    Ok(Json(ToggleAnswer {
        name,
        enabled,
        status,
    }))
}
