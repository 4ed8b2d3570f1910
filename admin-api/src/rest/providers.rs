//! `/v1/providers`: how those who deliver are.

use acteon_connect_http::{Json, NoQuery};
use acteon_core::health::ProviderHealth;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::refusals::Any;
use crate::service::{Access, AdminApi};

/// All providers.
#[derive(Serialize, ToSchema)]
pub(super) struct ProviderList {
    /// Sorted by name.
    providers: Vec<ProviderHealth>,
}

/// Each provider's breaker, queue, success rate, latencies and last error
#[utoipa::path(
    get,
    path = "/v1/providers/health",
    operation_id = "get_provider_health",
    tag = "providers",
    responses((status = 200, description = "All providers.", body = ProviderList), Any)
)]
pub(super) async fn health(
    State(api): State<AdminApi>,
    access: Access,
    _: NoQuery,
) -> Json<ProviderList> {
    Json(ProviderList {
        providers: api.providers(&access),
    })
}
