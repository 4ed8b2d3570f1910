//! `/v1/redeliveries`: lists the actions that wait for redelivery.

use std::collections::VecDeque;

use acteon_connect_http::responses::{InternalError, InvalidQuery};
use acteon_connect_http::{ApiError, Json, Query};
use acteon_core::AttemptRecord;
use acteon_core::redelivery::{PendingRedelivery, RedeliveryPage, RedeliveryQuery};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{filter, paging};
use crate::service::{Access, AdminApi, REDELIVERY_LIMIT_MAX};

const LIMIT: usize = 100;

/// Which redeliveries to list. All given conditions must match.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    namespace: Option<CompactString>,
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    tenant: Option<CompactString>,
    /// The provider that could not deliver.
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    provider: Option<CompactString>,
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    action_type: Option<CompactString>,
    /// The most redeliveries on the page. It has fewer if they are more than 8 MiB of JSON.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

impl Filters {
    fn query(self, access: &Access) -> Result<RedeliveryQuery, ApiError> {
        let limit = paging::page_limit(self.limit, LIMIT, REDELIVERY_LIMIT_MAX);
        let after = self.cursor.as_deref().map(paging::decode_redelivery);
        Ok(RedeliveryQuery {
            scope: access.scope.clone(),
            namespace: self.namespace,
            tenant: self.tenant,
            provider: self.provider,
            action_type: self.action_type,
            after: after.transpose()?,
            limit: limit.map_err(ApiError::invalid_query)?,
        })
    }
}

/// An action that waits for redelivery.
#[derive(Serialize, ToSchema)]
#[schema(as = Redelivery)]
pub(super) struct RedeliveryJson<'a> {
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
    /// The position in the source.
    #[schema(value_type = String, example = "kafka:orders/3@1042")]
    source: &'a CompactString,
    /// The number of calls of providers.
    attempts: u32,
    /// How often the action went back to its source for later delivery.
    redeliveries: u32,
    /// When delivery was first tried or refused. The time to give up counts from here.
    #[schema(value_type = String, format = DateTime)]
    began_at: Timestamp,
    /// The earliest time of the next attempt.
    #[schema(value_type = String, format = DateTime)]
    next_at: Timestamp,
    /// The last attempts, oldest first; at most 16.
    #[schema(value_type = Vec<AttemptRecord>)]
    history: &'a VecDeque<AttemptRecord>,
}

impl<'a> RedeliveryJson<'a> {
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

/// One page of redeliveries.
#[derive(Serialize, ToSchema)]
#[schema(as = RedeliveryPage)]
pub(super) struct Page<'a> {
    /// The redelivery that is due soonest is first.
    redeliveries: Vec<RedeliveryJson<'a>>,
    /// The `cursor` of the next page; `null` on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

impl<'a> Page<'a> {
    fn of(page: &'a RedeliveryPage) -> Self {
        let all = page.redeliveries.iter();
        let redeliveries = paging::fill_page(all.map(|one| RedeliveryJson::of(one)));
        let more = page.more || redeliveries.len() < page.redeliveries.len();
        let last = redeliveries.last().filter(|_| more);
        Self {
            next_cursor: last.map(|one| paging::encode_redelivery(one.next_at, one.source)),
            redeliveries,
        }
    }
}

/// Actions that wait for redelivery, the one that is due soonest first
///
/// Lists the actions that this process sent to the delayed path of their source, up to 10,000. More actions are
/// redelivered but not listed. An action leaves the list when it returns, or one hour after it was due if another
/// process received it.
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
        InvalidQuery,
        InternalError,
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
