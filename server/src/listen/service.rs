//! Passes the requests of one connection to the router. Marks the connection as busy meanwhile, and refuses a request
//! that is cut off.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use acteon_connect_http::{ApiError, ApiFuture, ApiService};
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::Service;
use pin_project_lite::pin_project;

use super::state::{ConnectionState, Phase};

pub(super) struct RequestService {
    router: ApiService,
    state: Arc<ConnectionState>,
}

impl RequestService {
    pub(super) fn new(router: ApiService, state: Arc<ConnectionState>) -> Self {
        Self { router, state }
    }
}

impl Service<Request<Incoming>> for RequestService {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = PendingResponse;

    fn call(&self, request: Request<Incoming>) -> PendingResponse {
        self.state.enter(Phase::Busy);
        let busy = Busy(self.state.clone());
        let mut router = self.router.clone();
        PendingResponse {
            answer: tower::Service::call(&mut router, request),
            busy: Some(busy),
        }
    }
}

/// Keeps the connection busy until it is dropped.
struct Busy(Arc<ConnectionState>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.enter(Phase::Idle);
    }
}

pin_project! {
    /// The response to a request, not available yet.
    pub(super) struct PendingResponse {
        #[pin]
        answer: ApiFuture,
        busy: Option<Busy>,
    }
}

impl Future for PendingResponse {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let cut_off = match &this.busy {
            Some(Busy(state)) => {
                state.register(cx.waker());
                state.is_cut_off()
            }
            None => false,
        };
        let response = match cut_off {
            true => this.answer.abort(ApiError::shutting_down()),
            false => ready!(this.answer.poll(cx))?,
        };
        let busy = this.busy.take();
        Poll::Ready(Ok(response.map(|body| ResponseBody { body, busy })))
    }
}

pin_project! {
    /// The body of a response. At its end the connection becomes idle.
    pub(super) struct ResponseBody {
        #[pin]
        body: Body,
        busy: Option<Busy>,
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
