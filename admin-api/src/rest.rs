//! The use cases as JSON over HTTP, and their OpenAPI document. The server that mounts the routers applies the
//! conventions of the API: request ids, and JSON for the framework's refusals.

mod audit;
mod bulk;
mod dead_letters;
mod document;
mod errors;
mod evaluate;
mod event_explanation;
mod event_states;
mod filter;
mod groups;
mod paging;
mod providers;
mod redeliveries;
mod rules;
mod silences;
mod status;

use std::convert::Infallible;

use acteon_core::{Caller, Scope};
use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::service::{Access, AdminApi};

pub use document::{openapi, swagger};
pub use evaluate::read_evaluation;

/// The endpoints, ready to mount.
pub struct Routers {
    /// `/health`, `/ready` and `/metrics`, for every listener.
    pub health: Router,
    /// Everything below `/v1`, for the listener of the admin API.
    pub admin: Router,
}

/// The endpoints of `api`, without the document and its pages: see [`openapi`] and [`swagger`].
pub fn routers(api: &AdminApi) -> Routers {
    let mount = |routes: OpenApiRouter<AdminApi>| routes.with_state(api.clone()).into();
    Routers {
        health: mount(health()),
        admin: mount(admin()),
    }
}

fn health() -> OpenApiRouter<AdminApi> {
    OpenApiRouter::default()
        .routes(routes!(status::health))
        .routes(routes!(status::ready))
        .routes(routes!(status::metrics))
}

fn admin() -> OpenApiRouter<AdminApi> {
    OpenApiRouter::default()
        .routes(routes!(rules::list))
        .routes(routes!(rules::last_load, rules::reload))
        .routes(routes!(rules::toggle))
        .routes(routes!(evaluate::evaluate))
        .routes(routes!(audit::list))
        .routes(routes!(audit::newest))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::get, dead_letters::delete))
        .routes(routes!(dead_letters::replay))
        .routes(routes!(bulk::replay))
        .routes(routes!(bulk::delete))
        .routes(routes!(redeliveries::list))
        .routes(routes!(groups::list))
        .routes(routes!(groups::get, groups::flush))
        .routes(routes!(event_states::list))
        .routes(routes!(event_states::get))
        .routes(routes!(event_explanation::explain))
        .routes(routes!(event_states::transition))
        .routes(routes!(silences::list, silences::create::create))
        .routes(routes!(silences::get, silences::change, silences::end))
        .routes(routes!(providers::health))
        .routes(routes!(providers::set_breaker))
        .routes(routes!(providers::test))
}

impl<S: Send + Sync> FromRequestParts<S> for Access {
    type Rejection = Infallible;

    /// There is no authentication, so every caller is anonymous and may do everything.
    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            scope: Scope::everything(),
            caller: Caller::anonymous(),
        })
    }
}
