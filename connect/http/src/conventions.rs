//! The conventions around every endpoint: a request id, a size limit on bodies, JSON for every error, an answer even
//! after a panic. This is one hand-written service around the router instead of layers on its routes, because each
//! layer costs every request some allocations.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{self, Context, Poll};

use axum::body::HttpBody;
use axum::response::{IntoResponse, Response};
use axum::routing::future::RouteFuture;
use axum::{BoxError, Router, body::Body};
use bytes::Bytes;
use futures_util::future::{Either, Ready, ready};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Uri};
use pin_project_lite::pin_project;
use tower::Service;

use crate::body::{BodyBytesMax, DecodedBytesMax};
use crate::error::{ApiError, Cause, URI_BYTES_MAX};
use crate::extract::check_encoding;
use crate::request_id::{REQUEST_ID, assign};
use crate::{code, events};

/// A router that follows the conventions of the API.
#[derive(Clone, Debug)]
pub struct ApiService {
    router: Router,
    body_bytes_max: u64,
}

impl ApiService {
    /// Applies the conventions to every route of `router` and to every path without a route. Replaces the router's
    /// fallback. Bodies of more than `body_bytes_max` bytes are refused.
    pub fn new(router: Router, body_bytes_max: usize) -> Self {
        events::describe();
        Self {
            router: router
                .method_not_allowed_fallback(method_not_allowed)
                .fallback(not_found),
            body_bytes_max: body_bytes_max as u64,
        }
    }
}

async fn not_found(uri: Uri) -> ApiError {
    ApiError::not_found(code::NOT_FOUND, format!("no such path: {}", uri.path()))
}

async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    ApiError::method_not_allowed(format!("{} does not support {method}", uri.path()))
}

impl<B> Service<http::Request<B>> for ApiService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = ApiFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> ApiFuture {
        let mut request = request.map(Body::new);
        let id = assign(request.headers_mut());
        if let Err(error) = check_target(request.uri()) {
            let answer = Either::Right(ready(Ok(error.into_response())));
            return ApiFuture { answer, id };
        }
        // The server holds a body to the size it declares, so a small declared size needs no check while reading.
        let size = request.body().size_hint().upper();
        if size.is_none_or(|bytes| bytes > self.body_bytes_max) {
            let max = BodyBytesMax(self.body_bytes_max);
            request.extensions_mut().insert(max);
        }
        if request.headers().contains_key(CONTENT_ENCODING) {
            let max = DecodedBytesMax(self.body_bytes_max);
            request.extensions_mut().insert(max);
        }
        ApiFuture {
            answer: Either::Left(self.router.call(request)),
            id,
        }
    }
}

/// Refuses targets that are too long, and paths that are not UTF-8. The extractors check the query, because some
/// endpoints ignore it.
fn check_target(uri: &Uri) -> Result<(), ApiError> {
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() > URI_BYTES_MAX {
        return Err(ApiError::uri_too_long());
    }
    check_encoding("path", uri.path())
}

pin_project! {
    /// The answer to a request, in the making.
    pub struct ApiFuture {
        #[pin]
        answer: Either<RouteFuture<Infallible>, Ready<Result<Response, Infallible>>>,
        id: HeaderValue,
    }
}

impl ApiFuture {
    /// Answers with `error` instead of waiting for the endpoint any longer.
    pub fn abort(self: Pin<&mut Self>, error: ApiError) -> Response {
        finish(error.into_response(), &self.id)
    }
}

impl Future for ApiFuture {
    type Output = Result<Response, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let id = &*this.id;
        let response = match catch_unwind(AssertUnwindSafe(|| this.answer.poll(cx))) {
            Ok(poll) => task::ready!(poll)?,
            Err(panic) => after_panic(panic.as_ref(), id),
        };
        Poll::Ready(Ok(finish(response, id)))
    }
}

fn after_panic(panic: &(dyn Any + Send), id: &HeaderValue) -> Response {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let id = id.to_str().unwrap_or_default();
    events::panicked(id, text.unwrap_or("no message"));
    ApiError::internal_with_id(id).into_response()
}

fn finish(mut response: Response, id: &HeaderValue) -> Response {
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        complete_error(&mut response, id);
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Logs an internal error, now that the request id is known, and turns the framework's refusals into JSON.
fn complete_error(response: &mut Response, id: &HeaderValue) {
    let id = id.to_str().unwrap_or_default();
    let error = if let Some(Cause(cause)) = response.extensions_mut().remove() {
        events::failed(id, &cause);
        ApiError::internal_with_id(id)
    } else if is_from_framework(response) {
        ApiError::of_status(response.status())
    } else {
        return;
    };
    let (parts, body) = error.into_response().into_parts();
    response.headers_mut().remove(CONTENT_LENGTH);
    response.headers_mut().extend(parts.headers);
    *response.body_mut() = body;
}

/// Frameworks answer in plain text or without a body. Endpoints answer in JSON, and pages in HTML.
fn is_from_framework(response: &Response<Body>) -> bool {
    match response.headers().get(CONTENT_TYPE) {
        None => true,
        Some(kind) => kind.as_bytes().starts_with(b"text/plain"),
    }
}
