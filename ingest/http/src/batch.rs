//! `POST /v1/dispatch/batch`: dispatches many actions and answers with their outcomes in the same order. An invalid
//! item does not affect the others.

use std::sync::Arc;

use acteon_connect_http::responses::{
    InternalError, InvalidAction, InvalidBody, InvalidBodyOrQuery, NotAdmitted,
};
use acteon_connect_http::{ApiError, ErrorBody, Query, RequestId};
use acteon_core::decode::decode_batch_up_to;
use acteon_core::delivery::Receipt;
use acteon_core::{Delivery, Envelope};
use axum::extract::{Request, State};
use axum::response::Response;

use crate::answer::BatchAnswer;
use crate::events;
use crate::loans::{CallerResult, NoOutcome};
use crate::openapi;
use crate::request::{DispatchQuery, ReceivedRequest};
use crate::source::HttpSource;

/// Dispatch many actions
///
/// The outcomes are in the order of the actions. An invalid or refused action is answered with an error and does not
/// affect the others.
#[utoipa::path(
    post,
    path = "/v1/dispatch/batch",
    operation_id = "dispatch_batch",
    tag = "dispatch",
    params(DispatchQuery),
    request_body(content = Vec<openapi::ActionSchema>, example = json!([openapi::example_action()])),
    responses(
        (status = 200, description = "The outcomes, in the order of the actions",
            body = Vec<openapi::BatchItem>, headers(
            ("Idempotent-Replayed-Items" = String,
                description = "The positions, from 0, of the outcomes that repeat earlier ones, such as `0,3`."),
        ), example = json!([openapi::example_outcome(), openapi::example_error()])),
        InvalidBody,
        InvalidBodyOrQuery,
        (status = 413, description = "The body is too large, or the batch has too many actions.",
            body = ErrorBody, example = json!({
            "code": "PAYLOAD_TOO_LARGE",
            "message": "the batch has more than 1000 actions",
            "retryable": false,
        })),
        InvalidAction,
        InternalError,
        NotAdmitted,
    )
)]
pub(crate) async fn dispatch_batch(
    State(source): State<Arc<HttpSource>>,
    query: Result<Query<DispatchQuery>, ApiError>,
    RequestId(id): RequestId,
    request: Request,
) -> Result<Response, ApiError> {
    let answer = async { source.dispatch_batch(query?.0, request, &id).await };
    answer
        .await
        .inspect_err(|error| events::refused(error.code))
}

/// The valid actions of a batch, and the errors of the others.
#[expect(clippy::vec_box, reason = "deliveries take over these boxes")]
struct ParsedBatch {
    valid: Vec<Box<Envelope>>,
    /// One entry per item; `None` in place of each valid one.
    refused: Vec<Option<ApiError>>,
}

impl HttpSource {
    async fn dispatch_batch(
        &self,
        query: DispatchQuery,
        request: Request,
        request_id: &str,
    ) -> Result<Response, ApiError> {
        let mut received = self.read(request).await?;
        let _work = self.begin_work()?;
        let max = self.context.batch_actions_max;
        let drafts =
            decode_batch_up_to(&received.body, max).map_err(|error| ApiError::from(&error))?;
        let Some(drafts) = drafts else {
            let message = format!("the batch has more than {max} actions");
            return Err(ApiError::payload_too_large(message));
        };
        let items = drafts.into_iter().map(|draft| match draft {
            Ok(draft) => self.envelope(draft, &mut received),
            Err(error) => Err(ApiError::from(&error)),
        });
        let ParsedBatch { valid, refused } = parsed(items);
        let mut answer = BatchAnswer::new(refused.len(), request_id);
        if query.dry_run {
            let outcomes = self.dry_run(&valid).await?;
            let mut results = outcomes.into_iter().map(|outcome| Ok(outcome).into());
            answer.write_all(refused, &mut results);
        } else {
            let results = self.deliver(valid, received).await?;
            answer.write_all(refused, &mut results.into_iter());
        }
        Ok(answer.into_response())
    }

    /// The results of these actions, in order. Does not keep the body while it waits for them.
    #[expect(clippy::vec_box, reason = "deliveries take over these boxes")]
    async fn deliver(
        &self,
        envelopes: Vec<Box<Envelope>>,
        request: ReceivedRequest,
    ) -> Result<Vec<CallerResult>, ApiError> {
        if envelopes.is_empty() {
            return Ok(Vec::new());
        }
        let count = envelopes.len();
        let ReceivedRequest { body, permit, .. } = request;
        let mut permit = permit.admit(count, body.len() as u64).await?;
        drop(body);
        let (origin, results) = self.loans.lend(count);
        let lend = |(token, envelope): (u64, Box<Envelope>)| {
            let receipt = Receipt::new(origin.clone(), token);
            let own = permit.split_one(own_bytes(&envelope));
            Delivery::of(envelope, receipt, own)
        };
        let deliveries = (0..).zip(envelopes).map(lend).collect();
        // The rest of the permit covers the body, which the actions share until all are submitted. An action that waits
        // after that has its own bytes.
        self.batcher.push_in_order(deliveries, permit).await;
        results.await.map_err(|_| ApiError::internal(&NoOutcome))
    }
}

/// The bytes that an action of a batch keeps once it is detached from its batch.
fn own_bytes(envelope: &Envelope) -> u64 {
    let labels = envelope.action.labels.iter();
    let labels: usize = labels.map(|(key, value)| key.len() + value.len()).sum();
    (envelope.action.payload.len() + labels) as u64
}

fn parsed(items: impl ExactSizeIterator<Item = Result<Box<Envelope>, ApiError>>) -> ParsedBatch {
    let mut batch = ParsedBatch {
        valid: Vec::with_capacity(items.len()),
        refused: Vec::with_capacity(items.len()),
    };
    for item in items {
        match item {
            Ok(envelope) => {
                batch.valid.push(envelope);
                batch.refused.push(None);
            }
            Err(error) => batch.refused.push(Some(error)),
        }
    }
    batch
}
