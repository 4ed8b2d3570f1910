//! `POST /v1/dispatch`: one action in, its outcome out.

use std::sync::Arc;

use acteon_connect_http::{ApiError, Query};
use acteon_core::counters::CountersSnapshot;
use acteon_core::decode::decode;
use acteon_core::delivery::Receipt;
use acteon_core::{ActionOutcome, Delivery, Envelope, Memory};
use axum::extract::{Request, State};
use axum::response::Response;

use crate::answer::{Unanswered, json};
use crate::events;
use crate::openapi;
use crate::request::{Asked, refusal_of};
use crate::source::HttpSource;

/// A body that is longer was put together from pieces, in memory of its own. A shorter one may be a part of what was
/// read from its connection at once.
const READ_BYTES_MAX: usize = 64 << 10;

/// Dispatch one action
///
/// The answer is the outcome, whatever it is. Work goes on when the client hangs up; the same `id` again does not
/// deliver twice.
#[utoipa::path(
    post,
    path = "/v1/dispatch",
    operation_id = "dispatch",
    tag = "dispatch",
    params(openapi::Asked),
    request_body(content = openapi::Action, example = json!(openapi::example_action())),
    responses(
        (status = 200, description = "What became of the action, whatever that is",
            body = openapi::ActionOutcome, headers(
            ("Idempotent-Replayed" = bool, description = "`true` when this was answered to the same id before."),
        ), example = json!(openapi::example_outcome())),
        openapi::Refused,
    )
)]
pub(crate) async fn dispatch(
    State(source): State<Arc<HttpSource>>,
    asked: Result<Query<Asked>, ApiError>,
    request: Request,
) -> Result<Response, ApiError> {
    let answer = async { source.dispatch(asked?.0, request).await };
    answer
        .await
        .inspect_err(|error| events::refused(error.code))
}

impl HttpSource {
    async fn dispatch(&self, asked: Asked, request: Request) -> Result<Response, ApiError> {
        let mut from = self.read(request).await?;
        let _work = self.begin()?;
        let draft = decode(&from.body).map_err(|error| refusal_of(&error))?;
        let mut envelope = self.envelope(draft, &mut from)?;
        if asked.dry_run {
            let would_be = self.dry_run(std::slice::from_ref(&envelope)).await?;
            let first = would_be.into_iter().next();
            return json(first.ok_or_else(|| ApiError::internal(&Unanswered)).into());
        }
        let permit = from.room.admit(1, from.body.len() as u64).await?;
        if from.body.len() > READ_BYTES_MAX {
            envelope.memory = Memory::Own;
        }
        envelope.raw = from.body;
        let (origin, ended) = self.loans.lend(1);
        let delivery = Delivery::of(envelope, Receipt::new(origin, 0), permit);
        self.gather.push(delivery).await;
        let ended = ended.await.map_err(|_| ApiError::internal(&Unanswered))?;
        let ended = ended.into_iter().next();
        json(ended.ok_or_else(|| ApiError::internal(&Unanswered))?)
    }

    /// What dispatching would do.
    pub(crate) async fn dry_run(
        &self,
        envelopes: &[Box<Envelope>],
    ) -> Result<Vec<ActionOutcome>, ApiError> {
        let actions: Vec<_> = envelopes.iter().map(|envelope| &envelope.action).collect();
        let outcomes = self.context.rulebook.dry_run(&actions).await;
        let outcomes = outcomes.map_err(|error| {
            events::state_away(&error);
            ApiError::state_unavailable()
        })?;
        let mut counted = CountersSnapshot::default();
        outcomes.iter().for_each(|outcome| counted.count(outcome));
        self.context.counters.add(&counted);
        Ok(outcomes)
    }

    /// From here on the shutdown waits for this request, unless it has begun already.
    pub(crate) fn begin(&self) -> Result<impl Sized + use<>, ApiError> {
        let work = self.work.token();
        if self.context.stop.is_cancelled() {
            return Err(ApiError::shutting_down());
        }
        Ok(work)
    }
}
