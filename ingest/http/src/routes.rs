//! The routes of the HTTP source, with their OpenAPI document.

use std::sync::Arc;

use utoipa::openapi::{Info, OpenApi, Paths};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::source::HttpSource;
use crate::{batch, dispatch};

/// The document of this source's endpoints alone.
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

impl HttpSource {
    /// The routes with their documentation, to be merged into the router of an `ApiService`.
    pub fn routes(self: &Arc<Self>) -> OpenApiRouter {
        routes().with_state(self.clone())
    }
}

fn routes() -> OpenApiRouter<Arc<HttpSource>> {
    let info = Info::new("Acteon: dispatch", env!("CARGO_PKG_VERSION"));
    OpenApiRouter::with_openapi(OpenApi::new(info, Paths::new()))
        .routes(routes!(dispatch::dispatch))
        .routes(routes!(batch::dispatch_batch))
}
