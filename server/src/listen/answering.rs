//! The requests of one connection on their way through the router. Tells the connection when it is busy, and answers
//! in the router's place when it is not waited for any longer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use acteon_connect_http::{Answer, ApiError, Mannered};
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::service::Service;
use pin_project_lite::pin_project;

use super::life::{Life, Phase};

pub(super) struct Answering {
    router: Mannered,
    life: Arc<Life>,
}

impl Answering {
    pub(super) fn new(router: Mannered, life: Arc<Life>) -> Self {
        Self { router, life }
    }
}

impl Service<Request<Incoming>> for Answering {
    type Response = Response<Answered>;
    type Error = Infallible;
    type Future = Waiting;

    fn call(&self, request: Request<Incoming>) -> Waiting {
        self.life.enter(Phase::Busy);
        let busy = Busy(self.life.clone());
        let mut router = self.router.clone();
        Waiting {
            answer: tower::Service::call(&mut router, request),
            busy: Some(busy),
        }
    }
}

/// The connection is busy until this is dropped.
struct Busy(Arc<Life>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.enter(Phase::Idle);
    }
}

pin_project! {
    /// A request without an answer yet.
    pub(super) struct Waiting {
        #[pin]
        answer: Answer,
        busy: Option<Busy>,
    }
}

impl Future for Waiting {
    type Output = Result<Response<Answered>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let cut_off = match &this.busy {
            Some(Busy(life)) => {
                life.register(cx.waker());
                life.is_cut_off()
            }
            None => false,
        };
        let response = match cut_off {
            true => this.answer.refused(ApiError::shutting_down()),
            false => ready!(this.answer.poll(cx))?,
        };
        let busy = this.busy.take();
        Poll::Ready(Ok(response.map(|body| Answered { body, busy })))
    }
}

pin_project! {
    /// The body of an answer. With its end the connection is idle again.
    pub(super) struct Answered {
        #[pin]
        body: Body,
        busy: Option<Busy>,
    }
}

impl HttpBody for Answered {
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
