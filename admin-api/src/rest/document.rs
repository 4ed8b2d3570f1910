//! The OpenAPI document, generated from the endpoints, and the pages that show it. The assets of the pages are compiled
//! in, so nothing is fetched from other servers.

use axum::Router;
use utoipa::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

/// The path of the document.
const DOCUMENT: &str = "/api-doc/openapi.json";
/// The path of the pages.
const PAGES: &str = "/swagger-ui";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Acteon",
        description = "An action gateway: actions pass through rules to providers.\n\n\
            Times are RFC 3339 in UTC. Every answer that is not 2xx is `{code, message, retryable}`; 429 and 503 add \
            `retry_after` in seconds and the header `Retry-After`. Every answer has an `x-request-id`: the request's \
            own if it has a valid one.\n\nEndpoints refuse unknown query parameters and unknown keys of bodies with \
            400, except unknown keys of an action. Bodies may be gzip (`Content-Encoding`). In addition to the errors \
            listed for an endpoint, there are 404 `NOT_FOUND`, 405 `METHOD_NOT_ALLOWED`, 414 `URI_TOO_LONG`, 431 \
            `HEADERS_TOO_LARGE` and 400 `INVALID_REQUEST`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "dispatch", description = "Dispatch actions and get their outcomes"),
        (name = "status", description = "Health, readiness and metrics"),
        (name = "rules", description = "The rules in force, and the playground"),
        (name = "audit", description = "Records of decisions and administrative changes"),
        (name = "dead letters", description = "Undeliverable actions and undecodable messages"),
        (name = "redeliveries", description = "Actions that wait for redelivery"),
        (name = "groups", description = "Groups of actions that wait for their summary"),
        (name = "events", description = "Events, their states and transitions"),
        (name = "silences", description = "What withholds deliveries for a time"),
        (name = "providers", description = "The health of the providers, and their breakers"),
    )
)]
struct Api;

/// The document of this crate's endpoints and of `extra`, the endpoints mounted next to them.
pub fn openapi(extra: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let mut whole = Api::openapi();
    // First, because most readers look for the endpoints of `extra`.
    whole.merge(extra);
    whole.merge(super::admin().into_openapi());
    whole.merge(super::health().into_openapi());
    whole
}

/// The document at `/api-doc/openapi.json` and its pages at `/swagger-ui/`.
pub fn swagger(document: utoipa::openapi::OpenApi) -> Router {
    SwaggerUi::new(PAGES).url(DOCUMENT, document).into()
}
