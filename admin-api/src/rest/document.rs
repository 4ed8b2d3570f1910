//! The OpenAPI document, made from the endpoints' own lines, and the pages that show it. Their assets are compiled in:
//! nothing is fetched from elsewhere.

use axum::Router;
use utoipa::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

/// Where the document is.
const DOCUMENT: &str = "/api-doc/openapi.json";
/// Where its pages are.
const PAGES: &str = "/swagger-ui";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Acteon",
        description = "An action gateway: actions go through rules to providers.\n\n\
            Times are RFC 3339 in UTC. Every answer that is not 2xx is `{code, message, retryable}`; 429 and 503 add \
            `retry_after` in seconds and the header `Retry-After`. Every answer has an `x-request-id`, the request's own \
            if it brought one.\n\nA query parameter, or a key of a body other than an action's, that an endpoint does not know \
            is refused with 400. Bodies may be gzip (`Content-Encoding`). Besides what each endpoint lists, there are 404 \
            `NOT_FOUND`, 405 `METHOD_NOT_ALLOWED`, 414 `URI_TOO_LONG`, 431 `HEADERS_TOO_LARGE` and 400 `INVALID_REQUEST`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "dispatch", description = "Actions in, outcomes out"),
        (name = "status", description = "Health, readiness, metrics"),
        (name = "rules", description = "The rules in force, and the playground"),
        (name = "audit", description = "What was decided and changed, and by whom"),
        (name = "dead letters", description = "What could not be delivered or decoded"),
        (name = "redeliveries", description = "What waits to be tried again"),
        (name = "providers", description = "How those who deliver are"),
    )
)]
struct Api;

/// The document of this crate's endpoints together with `extra`, that of the endpoints mounted beside them.
pub fn openapi(extra: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let mut whole = Api::openapi();
    // Why most readers have come.
    whole.merge(extra);
    whole.merge(super::admin().into_openapi());
    whole.merge(super::health().into_openapi());
    whole
}

/// The document at `/api-doc/openapi.json` and its pages at `/swagger-ui/`.
pub fn swagger(document: utoipa::openapi::OpenApi) -> Router {
    SwaggerUi::new(PAGES).url(DOCUMENT, document).into()
}
