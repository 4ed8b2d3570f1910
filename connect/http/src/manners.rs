//! What wraps every endpoint: the request id, the bound on bodies, JSON for every refusal, an answer even to a
//! panic. One hand-written service around the router instead of layers on its routes, because each level costs every
//! request some allocations.

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
use percent_encoding::percent_decode_str;
use pin_project_lite::pin_project;
use tower::Service;

use crate::body::{Bound, Cap};
use crate::error::{ApiError, Cause, URI_BYTES_MAX};
use crate::request_id::{REQUEST_ID, assign};
use crate::{code, events};

/// What the manners depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// The largest body of a request, in bytes.
    pub body_bytes_max: usize,
}

/// Gives every route of `router` and every path without one the manners of the API. Replaces the router's fallback.
pub fn with_manners(router: Router, manners: Manners) -> Mannered {
    events::begin();
    Mannered {
        router: router
            .method_not_allowed_fallback(method_not_allowed)
            .fallback(not_found),
        body_bytes_max: manners.body_bytes_max as u64,
    }
}

async fn not_found(uri: Uri) -> ApiError {
    ApiError::not_found(code::NOT_FOUND, format!("no such path: {}", uri.path()))
}

async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    ApiError::method_not_allowed(format!("{} does not take {method}", uri.path()))
}

/// A router with manners.
#[derive(Clone, Debug)]
pub struct Mannered {
    router: Router,
    body_bytes_max: u64,
}

impl<B> Service<http::Request<B>> for Mannered
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router always is.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Answer {
        let mut request = request.map(Body::new);
        let id = assign(request.headers_mut());
        if let Err(error) = check_target(request.uri()) {
            let answer = Either::Right(ready(Ok(error.into_response())));
            return Answer { answer, id };
        }
        // A body that declares its size cannot have more: the server holds it to that.
        let size = request.body().size_hint().upper();
        if size.is_none_or(|bytes| bytes > self.body_bytes_max) {
            request.extensions_mut().insert(Cap(self.body_bytes_max));
        }
        if request.headers().contains_key(CONTENT_ENCODING) {
            request.extensions_mut().insert(Bound(self.body_bytes_max));
        }
        Answer {
            answer: Either::Left(self.router.call(request)),
            id,
        }
    }
}

/// Frameworks put a sign of their own in the place of what is not UTF-8: a filter by `%ff` would find something else.
fn check_target(uri: &Uri) -> Result<(), ApiError> {
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    if target.len() > URI_BYTES_MAX {
        return Err(ApiError::uri_too_long());
    }
    if !target.contains('%') || percent_decode_str(target).decode_utf8().is_ok() {
        return Ok(());
    }
    let part = match percent_decode_str(uri.path()).decode_utf8() {
        Ok(_) => "query",
        Err(_) => "path",
    };
    let message = format!("the percent-encoding of the {part} is not UTF-8");
    Err(ApiError::invalid_query(message))
}

pin_project! {
    /// What becomes of a request.
    pub struct Answer {
        #[pin]
        answer: Either<RouteFuture<Infallible>, Ready<Result<Response, Infallible>>>,
        id: HeaderValue,
    }
}

impl Answer {
    /// The answer when the request is not waited for any longer.
    pub fn refused(self: Pin<&mut Self>, error: ApiError) -> Response {
        finish(error.into_response(), &self.id)
    }
}

impl Future for Answer {
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
    ApiError::internal_of(id).into_response()
}

fn finish(mut response: Response, id: &HeaderValue) -> Response {
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        complete(&mut response, id);
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.clone());
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Logs an internal error, which has waited for the request id, and turns refusals of other making into JSON.
fn complete(response: &mut Response, id: &HeaderValue) {
    let id = id.to_str().unwrap_or_default();
    let error = if let Some(Cause(cause)) = response.extensions_mut().remove() {
        events::failed(id, &cause);
        ApiError::internal_of(id)
    } else if has_no_shape(response) {
        ApiError::of_status(response.status())
    } else {
        return;
    };
    let (parts, body) = error.into_response().into_parts();
    response.headers_mut().remove(CONTENT_LENGTH);
    response.headers_mut().extend(parts.headers);
    *response.body_mut() = body;
}

/// True for what frameworks answer: plain text, or nothing. JSON, and pages for people, are somebody's intention.
fn has_no_shape(response: &Response<Body>) -> bool {
    match response.headers().get(CONTENT_TYPE) {
        None => true,
        Some(kind) => kind.as_bytes().starts_with(b"text/plain"),
    }
}
