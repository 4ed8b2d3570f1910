//! The use cases as JSON over HTTP, with the OpenAPI document that is made from the same lines. The manners of every
//! answer (request ids, JSON for the framework's refusals) come from whoever mounts the routers.

mod access;
mod audit;
mod bulk;
mod cursor;
mod dead_letters;
mod document;
mod errors;
mod evaluate;
mod providers;
mod redeliveries;
mod refusals;
mod rules;
mod status;

use axum::Router;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::service::AdminApi;

pub use document::{openapi, swagger};
pub use evaluate::read_evaluation;

/// The endpoints, ready to be mounted.
pub struct Routers {
    /// `/health`, `/ready` and `/metrics`: on every listener.
    pub health: Router,
    /// All below `/v1`: on the listener of the admin API.
    pub admin: Router,
}

/// The endpoints over `api`. Neither the document nor its pages are among them: see [`openapi`] and [`swagger`].
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
        .routes(routes!(providers::health))
        .routes(routes!(providers::set_breaker))
}
