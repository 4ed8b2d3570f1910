//! `/v1/redeliveries`: what could not be delivered and waits to be tried again.

use std::collections::VecDeque;

use acteon_connect_http::{ApiError, Json, Query};
use acteon_core::AttemptRecord;
use acteon_core::redelivery::{PendingRedelivery, RedeliveryPage, RedeliveryQuery};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::cursor;
use super::refusals::{Any, Asking};
use crate::service::{Access, AdminApi, REDELIVERY_LIMIT_MAX};

const LIMIT: usize = 100;

/// Which redeliveries to list. Every filter that is given must hold.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    #[param(value_type = Option<String>)]
    namespace: Option<CompactString>,
    #[param(value_type = Option<String>)]
    tenant: Option<CompactString>,
    /// The provider that could not deliver.
    #[param(value_type = Option<String>)]
    provider: Option<CompactString>,
    #[param(value_type = Option<String>)]
    action_type: Option<CompactString>,
    /// At most so many.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl Filters {
    fn query(self, access: &Access) -> Result<RedeliveryQuery, ApiError> {
        let limit = self.limit.unwrap_or(LIMIT);
        if !(1..=REDELIVERY_LIMIT_MAX).contains(&limit) {
            let message = format!("`limit`: must be from 1 to {REDELIVERY_LIMIT_MAX}");
            return Err(ApiError::invalid_query(message));
        }
        let cursor = self.cursor.as_deref();
        Ok(RedeliveryQuery {
            scope: access.scope.clone(),
            namespace: self.namespace,
            tenant: self.tenant,
            provider: self.provider,
            action_type: self.action_type,
            after: cursor.map(cursor::to_redelivery).transpose()?,
            limit,
        })
    }
}

/// An action that waits to be tried again.
#[derive(Serialize, ToSchema)]
pub(super) struct Redelivery<'a> {
    #[schema(value_type = String)]
    action_id: &'a CompactString,
    #[schema(value_type = String)]
    namespace: &'a CompactString,
    #[schema(value_type = String)]
    tenant: &'a CompactString,
    /// The provider that could not deliver.
    #[schema(value_type = String)]
    provider: &'a CompactString,
    #[schema(value_type = String)]
    action_type: &'a CompactString,
    /// The place in the source.
    #[schema(value_type = String, example = "kafka:orders/3@1042")]
    source: &'a CompactString,
    /// How often providers were asked.
    attempts: u32,
    /// How often it went back to its source to be delivered later.
    redeliveries: u32,
    /// When delivery was first tried or refused. Giving up counts from here.
    #[schema(value_type = String, format = DateTime)]
    began_at: Timestamp,
    /// When it is tried again, at the earliest.
    #[schema(value_type = String, format = DateTime)]
    next_at: Timestamp,
    /// The last attempts, oldest first: at most 16.
    #[schema(value_type = Vec<AttemptRecord>)]
    history: &'a VecDeque<AttemptRecord>,
}

impl<'a> Redelivery<'a> {
    fn of(one: &'a PendingRedelivery) -> Self {
        Self {
            action_id: &one.action_id,
            namespace: &one.namespace,
            tenant: &one.tenant,
            provider: &one.provider,
            action_type: &one.action_type,
            source: &one.source,
            attempts: one.history.attempts,
            redeliveries: one.history.redeliveries,
            began_at: one.history.began_at,
            next_at: one.next_at,
            history: &one.history.last,
        }
    }
}

/// One page of what waits.
#[derive(Serialize, ToSchema)]
#[schema(as = RedeliveryPage)]
pub(super) struct Page<'a> {
    /// What is due soonest comes first.
    redeliveries: Vec<Redelivery<'a>>,
    /// The `cursor` of the next page; `null` on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl<'a> Page<'a> {
    fn of(page: &'a RedeliveryPage) -> Self {
        let listed = page.redeliveries.iter();
        let last = page.redeliveries.last().filter(|_| page.more);
        Self {
            redeliveries: listed.map(|one| Redelivery::of(one)).collect(),
            next_cursor: last.map(|one| cursor::of_redelivery(one.next_at, &one.source)),
        }
    }
}

/// What could not be delivered and waits to be tried again, that which is due soonest first
///
/// What this process has sent to the delayed path of a source: at most 10,000 actions; further ones are redelivered all
/// the same and are not listed. An action leaves the list when it comes back, or an hour after it was due, when another
/// process took it.
#[utoipa::path(
    get,
    path = "/v1/redeliveries",
    operation_id = "list_redeliveries",
    tag = "redeliveries",
    params(Filters),
    responses(
        (status = 200, description = "One page.", body = Page<'_>, example = json!({
            "redeliveries": [{
                "action_id": "order-7",
                "namespace": "shop",
                "tenant": "acme",
                "provider": "email",
                "action_type": "order_placed",
                "source": "kafka:orders/3@1042",
                "attempts": 4,
                "redeliveries": 1,
                "began_at": "2026-01-01T09:00:00Z",
                "next_at": "2026-01-01T09:00:30Z",
                "history": [],
            }],
            "next_cursor": null,
        })),
        Asking,
        Any,
    )
)]
pub(super) async fn list(
    State(api): State<AdminApi>,
    access: Access,
    Query(filters): Query<Filters>,
) -> Result<Response, ApiError> {
    let page = api.redeliveries(&filters.query(&access)?);
    Ok(Json(Page::of(&page)).into_response())
}
