//! Which routes each listener serves.

use std::sync::Arc;

use acteon_admin_api::AdminApi;
use acteon_connect_http::ApiService;
use acteon_ingest_http::HttpSource;
use axum::Router;

/// The routes by listener.
pub(crate) struct ListenerRouters {
    api: AdminApi,
    dispatch: Router,
    body_bytes_max: usize,
}

impl ListenerRouters {
    pub(crate) fn new(api: AdminApi, http: &Arc<HttpSource>, body_bytes_max: usize) -> Self {
        Self {
            dispatch: http.routes().into(),
            api,
            body_bytes_max,
        }
    }

    /// Dispatch and health; also the admin API if both share one listener.
    pub(crate) fn of_server(&self, admin: AdminListener) -> ApiService {
        let routers = acteon_admin_api::routers(&self.api);
        let routes = self.dispatch.clone().merge(routers.health);
        self.service(match admin {
            AdminListener::Own => routes,
            AdminListener::Shared => routes.merge(routers.admin).merge(swagger()),
        })
    }

    /// The admin API and health.
    pub(crate) fn of_admin(&self) -> ApiService {
        let routers = acteon_admin_api::routers(&self.api);
        self.service(routers.health.merge(routers.admin).merge(swagger()))
    }

    /// The use cases behind the routes.
    pub(crate) fn api(&self) -> &AdminApi {
        &self.api
    }

    /// Waits for administrative changes in progress.
    pub(crate) async fn drain(&self) {
        self.api.drain().await;
    }

    fn service(&self, router: Router) -> ApiService {
        ApiService::new(router, self.body_bytes_max)
    }
}

/// Whether the admin API has its own listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdminListener {
    Own,
    Shared,
}

fn swagger() -> Router {
    acteon_admin_api::swagger(acteon_admin_api::openapi(acteon_ingest_http::openapi()))
}
