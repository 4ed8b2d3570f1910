//! `/v1/groups`: lists, shows and flushes the groups that wait for their summary.

use acteon_connect_http::responses::{InternalError, InvalidQuery};
use acteon_connect_http::{ApiError, ErrorBody, Json, Path, Query};
use acteon_core::grouping::{FlushedGroup, GroupView};
use acteon_core::state::{GroupQuery, GroupStatus};
use acteon_core::{Labels, Payload};
use axum::extract::State;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, IntoResponses, ToSchema};

use super::errors::BackendUnavailable;
use super::{filter, paging};
use crate::service::{Access, AdminApi, GROUP_LIMIT_MAX, GroupWithEvents};

/// The default limit of a page.
const LIMIT: usize = 100;

/// Which groups to list. All given conditions must match.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    namespace: Option<CompactString>,
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    tenant: Option<CompactString>,
    /// The most groups on the page.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

impl Filters {
    fn query(self, access: &Access) -> Result<GroupQuery, ApiError> {
        let limit = paging::page_limit(self.limit, LIMIT, GROUP_LIMIT_MAX);
        let after = self.cursor.as_deref().map(paging::decode_id);
        Ok(GroupQuery {
            scope: access.scope.clone(),
            namespace: self.namespace,
            tenant: self.tenant,
            after: after.transpose()?,
            limit: limit.map_err(ApiError::invalid_query)?,
        })
    }
}

/// Which of the groups under a key is meant.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfRule {
    /// The rule, if two rules have a group under the key.
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    rule: Option<CompactString>,
}

/// How far a group has come.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = GroupState)]
pub(super) enum GroupStateJson {
    /// It takes members.
    Pending,
    /// Its summary is being delivered, or waits to be delivered again.
    Delivering,
    /// Its summary was delivered.
    Notified,
    /// Its summary became a dead letter.
    Failed,
}

impl From<GroupStatus> for GroupStateJson {
    fn from(status: GroupStatus) -> Self {
        match status {
            GroupStatus::Pending => Self::Pending,
            GroupStatus::Delivering => Self::Delivering,
            GroupStatus::Notified => Self::Notified,
            GroupStatus::Failed => Self::Failed,
        }
    }
}

/// A group without its events.
#[derive(Serialize, ToSchema)]
pub(super) struct GroupSummary {
    #[schema(value_type = String, format = "uuid")]
    group_id: CompactString,
    /// What the members have in common, as a hash.
    #[schema(value_type = String)]
    group_key: CompactString,
    #[schema(value_type = String)]
    rule: CompactString,
    #[schema(value_type = String)]
    namespace: CompactString,
    #[schema(value_type = String)]
    tenant: CompactString,
    /// The provider of the summary.
    #[schema(value_type = String)]
    provider: CompactString,
    /// The number of members.
    event_count: u32,
    state: GroupStateJson,
    /// When the summary is due, or was.
    #[schema(value_type = String, format = DateTime)]
    notify_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&GroupView> for GroupSummary {
    fn from(view: &GroupView) -> Self {
        let group = &view.group;
        let key = &group.name.key;
        Self {
            group_id: group.name.id.clone(),
            group_key: key.key.clone(),
            rule: key.rule.clone(),
            namespace: key.namespace.clone(),
            tenant: key.tenant.clone(),
            provider: view.provider.clone(),
            event_count: group.size,
            state: group.status.into(),
            notify_at: group.due_at,
            created_at: group.opened_at,
        }
    }
}

/// One page of groups.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupPage)]
pub(super) struct Page {
    /// The newest group is first.
    groups: Vec<GroupSummary>,
    /// The number of groups on all pages, if the state backend knows it.
    #[schema(required)]
    total: Option<u64>,
    /// The `cursor` of the next page; `null` on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

fn example() -> Value {
    json!({
        "group_id": "0198c0de-0000-7000-8000-000000000000",
        "group_key": "c38eb6646e3c466c79326e9ffe6dd03ff9afd59dee348ddc805451e2271d7fc5",
        "rule": "by-cluster",
        "namespace": "shop",
        "tenant": "acme",
        "provider": "slack",
        "event_count": 3,
        "state": "pending",
        "notify_at": "2026-01-01T09:00:30Z",
        "created_at": "2026-01-01T09:00:00Z",
    })
}

/// Groups, the newest first
///
/// Open groups, sealed ones whose summary is not delivered yet, and those closed in the last 24 hours.
#[utoipa::path(
    get,
    path = "/v1/groups",
    operation_id = "list_groups",
    tag = "groups",
    params(Filters),
    responses(
        (status = 200, description = "One page.", body = Page, example = json!({
            "groups": [example()], "total": null, "next_cursor": null,
        })),
        InvalidQuery,
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn list(
    State(api): State<AdminApi>,
    access: Access,
    Query(filters): Query<Filters>,
) -> Result<Json<Page>, ApiError> {
    let page = api.groups(&filters.query(&access)?).await?;
    let groups: Vec<_> = page.groups.iter().map(GroupSummary::from).collect();
    let last = groups.last().filter(|_| page.more);
    Ok(Json(Page {
        next_cursor: last.map(|group| paging::encode_id(&group.group_id)),
        total: None,
        groups,
    }))
}

/// A group with its events.
#[derive(Serialize, ToSchema)]
#[schema(as = Group)]
pub(super) struct GroupJson {
    group: GroupSummary,
    /// The fields that the members have in common, with their values.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    labels: Labels,
    /// The payloads of the members that the summary lists, redacted as in the audit trail. Empty once the group is
    /// closed.
    #[schema(value_type = Vec<Value>)]
    events: Vec<Payload>,
}

impl From<GroupWithEvents> for GroupJson {
    fn from(found: GroupWithEvents) -> Self {
        Self {
            group: GroupSummary::from(&found.view),
            labels: found.view.labels,
            events: found.events,
        }
    }
}

/// There is no such group.
#[derive(IntoResponses)]
#[response(status = 404, example = json!({
    "code": "GROUP_NOT_FOUND",
    "message": "there is no group under the key \"c38e\"",
    "retryable": false,
}))]
#[expect(dead_code, reason = "for the document only")]
struct GroupNotFound(ErrorBody);

/// Two rules have a group under this key: name one with `rule`.
#[derive(IntoResponses)]
#[response(status = 409, example = json!({
    "code": "GROUP_AMBIGUOUS",
    "message": "several rules have a group under the key \"c38e\"; name one with `rule`",
    "retryable": false,
}))]
#[expect(dead_code, reason = "for the document only")]
struct GroupAmbiguous(ErrorBody);

/// Two rules have a group under this key, or the group is being delivered already.
#[derive(IntoResponses)]
#[response(status = 409, example = json!({
    "code": "GROUP_NOT_PENDING",
    "message": "the group under the key \"c38e\" is being delivered",
    "retryable": false,
}))]
#[expect(dead_code, reason = "for the document only")]
struct GroupNotPending(ErrorBody);

/// The current group under a key, with its events
///
/// The open group, else the one being delivered, else the one closed last.
#[utoipa::path(
    get,
    path = "/v1/groups/{group_key}",
    operation_id = "get_group",
    tag = "groups",
    params(("group_key" = String, Path), OfRule),
    responses(
        (status = 200, description = "The group.", body = GroupJson, example = json!({
            "group": example(), "labels": {"cluster": "prod"}, "events": [{"pod": "web-1"}],
        })),
        InvalidQuery,
        GroupNotFound,
        GroupAmbiguous,
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn get(
    State(api): State<AdminApi>,
    access: Access,
    Path(key): Path<String>,
    Query(of): Query<OfRule>,
) -> Result<Json<GroupJson>, ApiError> {
    let found = api.group(&access, &key, of.rule.as_deref()).await?;
    Ok(Json(found.into()))
}

/// A flushed group.
#[derive(Serialize, ToSchema)]
pub(super) struct GroupFlushed {
    #[schema(value_type = String, format = "uuid")]
    group_id: CompactString,
    /// The number of members.
    event_count: u32,
    #[schema(example = "flushed")]
    status: &'static str,
    /// Whether the summary was delivered. If not, it is delivered later, or became a dead letter.
    notified: bool,
}

impl From<FlushedGroup> for GroupFlushed {
    fn from(flushed: FlushedGroup) -> Self {
        Self {
            group_id: flushed.group_id,
            event_count: flushed.event_count,
            status: "flushed",
            notified: flushed.notified,
        }
    }
}

/// Flushes a group now: sends its summary, and closes it
#[utoipa::path(
    delete,
    path = "/v1/groups/{group_key}",
    operation_id = "flush_group",
    tag = "groups",
    params(("group_key" = String, Path), OfRule),
    responses(
        (status = 200, description = "The group is flushed.", body = GroupFlushed, example = json!({
            "group_id": "0198c0de-0000-7000-8000-000000000000", "event_count": 3, "status": "flushed",
            "notified": true,
        })),
        InvalidQuery,
        GroupNotFound,
        GroupNotPending,
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn flush(
    State(api): State<AdminApi>,
    access: Access,
    Path(key): Path<String>,
    Query(of): Query<OfRule>,
) -> Result<Json<GroupFlushed>, ApiError> {
    let flushed = api.flush_group(&access, &key, of.rule.as_deref()).await?;
    Ok(Json(flushed.into()))
}
