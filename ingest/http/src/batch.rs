//! `POST /v1/dispatch/batch`: many actions in, their outcomes out, in the order of the input. A bad item does not
//! fail its neighbours.

use std::sync::Arc;

use acteon_connect_http::{ApiError, Query, RequestId};
use acteon_core::decode::decode_batch_up_to;
use acteon_core::delivery::Receipt;
use acteon_core::{Delivery, Envelope};
use axum::extract::{Request, State};
use axum::response::Response;

use crate::answer::{Outcomes, Unanswered};
use crate::events;
use crate::loans::Ended;
use crate::openapi;
use crate::request::{Asked, Provenance, refusal_of};
use crate::source::HttpSource;

/// Dispatch many actions
///
/// The outcomes stand in the order of the actions. An action that could not be taken is answered by its error, and
/// does not fail its neighbours.
#[utoipa::path(
    post,
    path = "/v1/dispatch/batch",
    operation_id = "dispatch_batch",
    tag = "dispatch",
    params(openapi::Asked),
    request_body(content = Vec<openapi::Action>, example = json!([openapi::example_action()])),
    responses(
        (status = 200, description = "What became of each action, in their order",
            body = Vec<openapi::BatchItem>, headers(
            ("Idempotent-Replayed-Items" = String,
                description = "The positions, from 0, of what was answered before: `0,3`."),
        ), example = json!([openapi::example_outcome(), openapi::example_error()])),
        openapi::Refused,
    )
)]
pub(crate) async fn dispatch_batch(
    State(source): State<Arc<HttpSource>>,
    asked: Result<Query<Asked>, ApiError>,
    RequestId(id): RequestId,
    request: Request,
) -> Result<Response, ApiError> {
    let answer = async { source.dispatch_batch(asked?.0, request, &id).await };
    answer
        .await
        .inspect_err(|error| events::refused(error.code))
}

/// The actions of a batch that are worth an attempt, and the errors that stand in for the others.
#[expect(clippy::vec_box, reason = "it is in these boxes that they go on loan")]
struct Sorted {
    good: Vec<Box<Envelope>>,
    /// As long as the batch; `None` where the next of the good ones stood.
    refused: Vec<Option<ApiError>>,
}

impl HttpSource {
    async fn dispatch_batch(
        &self,
        asked: Asked,
        request: Request,
        request_id: &str,
    ) -> Result<Response, ApiError> {
        let mut from = self.read(request).await?;
        let _work = self.begin()?;
        let max = self.context.batch_actions_max;
        let drafts = decode_batch_up_to(&from.body, max).map_err(|error| refusal_of(&error))?;
        let Some(drafts) = drafts else {
            let message = format!("the batch has more than {max} actions");
            return Err(ApiError::payload_too_large(message));
        };
        let items = drafts.into_iter().map(|draft| match draft {
            Ok(draft) => self.envelope(draft, &mut from),
            Err(error) => Err(refusal_of(&error)),
        });
        let Sorted { good, refused } = sorted(items);
        let mut outcomes = Outcomes::new(refused.len(), request_id);
        if asked.dry_run {
            let would_be = self.dry_run(&good).await?;
            let would_be = would_be.into_iter().map(|outcome| Ok(outcome).into());
            outcomes.write_all(refused, &mut would_be.into_iter());
        } else {
            let ended = self.deliver(good, from).await?;
            outcomes.write_all(refused, &mut ended.into_iter());
        }
        Ok(outcomes.into_response())
    }

    /// How each of these ended, in order. Nothing here keeps the body while it is waited for.
    #[expect(clippy::vec_box, reason = "it is in these boxes that they go on loan")]
    async fn deliver(
        &self,
        good: Vec<Box<Envelope>>,
        from: Provenance,
    ) -> Result<Vec<Ended>, ApiError> {
        if good.is_empty() {
            return Ok(Vec::new());
        }
        let count = good.len();
        let Provenance { body, room, .. } = from;
        let mut permit = room.admit(count, body.len() as u64).await?;
        drop(body);
        let (origin, ended) = self.loans.lend(count);
        let lend = |(token, envelope): (u64, Box<Envelope>)| {
            let receipt = Receipt::new(origin.clone(), token);
            let own = permit.split_one(own_bytes(&envelope));
            Delivery::of(envelope, receipt, own)
        };
        let deliveries = (0..).zip(good).map(lend).collect();
        // What is left is for the body, which is there until all have been handed in: who waits then has its own bytes.
        self.gather.push_in_order(deliveries, permit).await;
        ended.await.map_err(|_| ApiError::internal(&Unanswered))
    }
}

/// What an action of a batch keeps when it is apart from the others.
fn own_bytes(envelope: &Envelope) -> u64 {
    let labels = envelope.action.labels.iter();
    let labels: usize = labels.map(|(key, value)| key.len() + value.len()).sum();
    (envelope.action.payload.len() + labels) as u64
}

fn sorted(items: impl ExactSizeIterator<Item = Result<Box<Envelope>, ApiError>>) -> Sorted {
    let mut sorted = Sorted {
        good: Vec::with_capacity(items.len()),
        refused: Vec::with_capacity(items.len()),
    };
    for item in items {
        match item {
            Ok(envelope) => {
                sorted.good.push(envelope);
                sorted.refused.push(None);
            }
            Err(error) => sorted.refused.push(Some(error)),
        }
    }
    sorted
}
