//! `POST /v1/dispatch`: dispatches one action and answers with its outcome.

use std::sync::Arc;

use acteon_connect_http::responses::{
    InternalError, InvalidAction, InvalidBody, InvalidBodyOrQuery, NotAdmitted,
};
use acteon_connect_http::{ApiError, Query};
use acteon_core::counters::CountersSnapshot;
use acteon_core::decode::decode;
use acteon_core::delivery::Receipt;
use acteon_core::{ActionOutcome, Delivery, Envelope, Memory};
use axum::extract::{Request, State};
use axum::response::Response;

use crate::answer::single;
use crate::events;
use crate::loans::NoOutcome;
use crate::openapi;
use crate::request::DispatchQuery;
use crate::source::HttpSource;

/// A longer body was assembled from pieces and owns its memory. A shorter one may be a slice of its connection's read
/// buffer.
const CONNECTION_READ_BYTES_MAX: usize = 64 << 10;

/// Dispatch one action
///
/// Answers with the outcome, even if the action was not delivered. The work continues if the client hangs up. Sending
/// the same `id` again does not deliver twice.
#[utoipa::path(
    post,
    path = "/v1/dispatch",
    operation_id = "dispatch",
    tag = "dispatch",
    params(DispatchQuery),
    request_body(content = openapi::ActionSchema, example = json!(openapi::example_action())),
    responses(
        (status = 200, description = "The outcome of the action",
            body = openapi::OutcomeSchema, headers(
            ("Idempotent-Replayed" = bool,
                description = "`true` if this repeats the answer to an earlier request with the same id."),
        ), example = json!(openapi::example_outcome())),
        InvalidBody,
        InvalidBodyOrQuery,
        InvalidAction,
        InternalError,
        NotAdmitted,
    )
)]
pub(crate) async fn dispatch(
    State(source): State<Arc<HttpSource>>,
    query: Result<Query<DispatchQuery>, ApiError>,
    request: Request,
) -> Result<Response, ApiError> {
    let answer = async { source.dispatch(query?.0, request).await };
    answer
        .await
        .inspect_err(|error| events::refused(error.code))
}

impl HttpSource {
    async fn dispatch(&self, query: DispatchQuery, request: Request) -> Result<Response, ApiError> {
        let mut received = self.read(request).await?;
        let _work = self.begin_work()?;
        let draft = decode(&received.body).map_err(|error| ApiError::from(&error))?;
        let mut envelope = self.envelope(draft, &mut received)?;
        if query.dry_run {
            let outcomes = self.dry_run(std::slice::from_ref(&envelope)).await?;
            let first = outcomes.into_iter().next();
            return single(first.ok_or_else(|| ApiError::internal(&NoOutcome)).into());
        }
        let bytes = received.body.len() as u64;
        let permit = received.permit.admit(1, bytes).await?;
        if received.body.len() > CONNECTION_READ_BYTES_MAX {
            envelope.memory = Memory::Own;
        }
        envelope.raw = received.body;
        let (origin, results) = self.loans.lend(1);
        let delivery = Delivery::of(envelope, Receipt::new(origin, 0), permit);
        self.batcher.push(delivery).await;
        let results = results.await.map_err(|_| ApiError::internal(&NoOutcome))?;
        let result = results.into_iter().next();
        single(result.ok_or_else(|| ApiError::internal(&NoOutcome))?)
    }

    /// The outcomes that dispatching would have.
    pub(crate) async fn dry_run(
        &self,
        envelopes: &[Box<Envelope>],
    ) -> Result<Vec<ActionOutcome>, ApiError> {
        let actions: Vec<_> = envelopes.iter().map(|envelope| &envelope.action).collect();
        let outcomes = self.context.rulebook.dry_run(&actions).await;
        let outcomes = outcomes.map_err(|error| {
            events::dry_run_without_state(&error);
            ApiError::state_unavailable()
        })?;
        let mut counted = CountersSnapshot::default();
        outcomes.iter().for_each(|outcome| counted.count(outcome));
        self.context.counters.add(&counted);
        Ok(outcomes)
    }

    /// Makes the shutdown wait for this request until the token is dropped.
    ///
    /// # Errors
    /// `SHUTTING_DOWN` if the shutdown has begun.
    pub(crate) fn begin_work(&self) -> Result<impl Sized + use<>, ApiError> {
        let work = self.work.token();
        if self.context.stop.is_cancelled() {
            return Err(ApiError::shutting_down());
        }
        Ok(work)
    }
}
