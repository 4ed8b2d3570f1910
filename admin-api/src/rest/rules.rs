//! `/v1/rules`: the rules in force, how they were loaded, and the toggles. The playground stands in `evaluate`.

use std::path::PathBuf;

use acteon_connect_http::{ApiError, ErrorBody, Json, NoQuery, Path};
use acteon_core::rules::{RuleProblem, RuleSummary, RulesInForce};
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::refusals::{Any, Asking, Backend, Body};
use crate::service::{Access, AdminApi};

const GENERATION: HeaderName = HeaderName::from_static("x-rules-generation");
const HASH: HeaderName = HeaderName::from_static("x-rules-hash");
const ERRORS: HeaderName = HeaderName::from_static("x-rules-errors");

/// The rules in the order of evaluation
///
/// Which set this is stands in the headers. When the set that was tried last was refused, `x-rules-errors` is not 0,
/// and `GET /v1/rules/reload` says what was wrong.
#[utoipa::path(
    get,
    path = "/v1/rules",
    operation_id = "list_rules",
    tag = "rules",
    responses(
        (status = 200, description = "The rules in force.", body = Vec<RuleSummary>, headers(
            ("x-rules-generation" = u64, description = "Counts the sets loaded by this process, from 1."),
            ("x-rules-hash" = String, description = "SHA-256 over the files, hex."),
            ("x-rules-errors" = u64, description = "How many errors the set had that was tried last; 0: it is in force."),
        ), example = json!([{
            "name": "mute-tests",
            "priority": 10,
            "enabled": true,
            "description": "Nobody wants to see these",
            "action_type": "suppress",
            "source": "10-mute.yaml",
        }])),
        Asking,
        Any,
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

/// How the last load went.
#[derive(Serialize, ToSchema)]
pub(super) struct LastLoad {
    /// Of the set in force; counts the sets loaded by this process, from 1.
    generation: u64,
    /// SHA-256 over the files of the set in force, hex.
    content_hash: String,
    /// How many rules are in force.
    loaded: usize,
    /// What was wrong with the set that was tried last; empty when it is in force.
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

/// How the last load went, whoever asked for it
///
/// Files are watched, so a set may have been refused although nobody asked for a reload.
#[utoipa::path(
    get,
    path = "/v1/rules/reload",
    operation_id = "get_last_load",
    tag = "rules",
    responses(
        (status = 200, description = "The set in force, and what was wrong with the last one tried.",
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
        Asking,
        Any,
    )
)]
pub(super) async fn last_load(
    State(api): State<AdminApi>,
    access: Access,
    _: NoQuery,
) -> Json<LastLoad> {
    Json(api.rules(&access).into())
}

/// What to load.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReloadRequest {
    /// A directory below the configured one; without it, the configured one.
    #[serde(default)]
    #[schema(example = "/etc/acteon/rules/canary")]
    directory: Option<String>,
}

/// A set that was loaded.
#[derive(Serialize, ToSchema)]
pub(super) struct ReloadAnswer {
    /// How many rules are in force now.
    loaded: usize,
    /// The same number.
    reloaded: usize,
    /// Where they come from.
    #[schema(example = "/etc/acteon/rules")]
    directory: String,
    /// Always empty: a set with errors is refused whole.
    errors: Vec<RuleProblem>,
}

/// Loads the rules anew, as a whole or not at all
///
/// Without a body: the configured directory. A set with any error is refused and the old one stays in force.
#[utoipa::path(
    post,
    path = "/v1/rules/reload",
    operation_id = "reload_rules",
    tag = "rules",
    request_body(content = Option<ReloadRequest>, description = "May be left out.", example = json!({
        "directory": "/etc/acteon/rules/canary",
    })),
    responses(
        (status = 200, description = "The new set is in force.", body = ReloadAnswer, example = json!({
            "loaded": 10, "reloaded": 10, "directory": "/etc/acteon/rules", "errors": [],
        })),
        Body,
        (status = 400, description = "The body is not of this shape (`INVALID_JSON`), or the rules have errors or \
            cannot be loaded from there (`RULES_INVALID`): the old ones stay in force.",
            body = ErrorBody, example = json!({
            "code": "RULES_INVALID",
            "message": "the rules have 1 errors: 20-routes.yaml:4:7: unknown operator `start_with`",
            "retryable": false,
        })),
        Backend,
        Any,
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

/// Whether a rule shall take part.
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
        (status = 200, description = "It holds.", body = ToggleAnswer, example = json!({
            "name": "mute-tests", "enabled": false, "status": "disabled",
        })),
        Body,
        (status = 404, description = "There is no such rule.", body = ErrorBody, example = json!({
            "code": "RULE_NOT_FOUND", "message": "no rule is named \"mute-tests\"", "retryable": false,
        })),
        Backend,
        Any,
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
