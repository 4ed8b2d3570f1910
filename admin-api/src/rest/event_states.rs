//! `/v1/events`: lists events, shows one with its history, and makes transitions by hand.

use acteon_connect_http::responses::{InternalError, InvalidBody, InvalidQuery};
use acteon_connect_http::{ApiError, ErrorBody, Json, NoQuery, Path, Query};
use acteon_core::Labels;
use acteon_core::event_admin::{PastTransition, TransitionRequest};
use acteon_core::silence::WITHHELD_BY;
use acteon_core::state::{EventFilter, EventId, EventPhase, EventQuery, EventValue, StoredEvent};
use axum::extract::State;
use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::errors::BackendUnavailable;
use super::{filter, paging};
use crate::service::{Access, AdminApi, EVENT_LIMIT_MAX, NOTE_BYTES_MAX};

const LIMIT: usize = 100;

/// Which events to list. All given conditions must match.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filters {
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = String, min_length = 1, required = true)]
    namespace: Option<CompactString>,
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = String, min_length = 1, required = true)]
    tenant: Option<CompactString>,
    /// The present state.
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    status: Option<CompactString>,
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1)]
    action_type: Option<CompactString>,
    /// Labels or fingerprint fields with their values, `name=value`, separated by commas.
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = Option<String>, min_length = 1, example = "cluster=eu-1")]
    labels: Option<CompactString>,
    /// The most events on the page. It has fewer if they are more than 8 MiB of JSON.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    limit: Option<usize>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
}

impl Filters {
    fn query(self, access: &Access) -> Result<EventQuery, ApiError> {
        let limit = paging::page_limit(self.limit, LIMIT, EVENT_LIMIT_MAX);
        let after = self.cursor.as_deref().map(paging::decode_event);
        let labels = self.labels.as_deref().map(labels).transpose();
        let limit = limit.map_err(ApiError::invalid_query)?;
        let after = after.transpose()?;
        let labels = labels?;
        let namespace = required("namespace", self.namespace)?;
        let tenant = required("tenant", self.tenant)?;
        Ok(EventQuery {
            scope: access.scope.clone(),
            filter: EventFilter {
                namespace: Some(namespace),
                tenant: Some(tenant),
                event_type: self.action_type,
                state: self.status,
                values: labels.unwrap_or_default(),
            },
            after,
            limit,
        })
    }
}

fn required(name: &str, value: Option<CompactString>) -> Result<CompactString, ApiError> {
    value.ok_or_else(|| ApiError::invalid_query(format!("`{name}` is missing")))
}

fn labels(text: &str) -> Result<Vec<EventValue>, ApiError> {
    let pairs = text.split(',').map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some(EventValue {
            name: name.into(),
            value: value.into(),
        })
    });
    let pairs: Option<Vec<_>> = pairs.collect();
    pairs.ok_or_else(|| {
        ApiError::invalid_query("`labels`: must be `name=value`, separated by commas")
    })
}

/// The scope of one event.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EventScope {
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = String, min_length = 1, required = true)]
    namespace: Option<CompactString>,
    #[serde(default, deserialize_with = "filter::text")]
    #[param(value_type = String, min_length = 1, required = true)]
    tenant: Option<CompactString>,
}

impl EventScope {
    /// The event of this fingerprint.
    pub(super) fn event(self, fingerprint: String) -> Result<EventId, ApiError> {
        Ok(EventId {
            namespace: required("namespace", self.namespace)?,
            tenant: required("tenant", self.tenant)?,
            fingerprint: fingerprint.into(),
        })
    }
}

/// An event.
#[derive(Serialize, ToSchema)]
#[schema(as = EventState)]
pub(super) struct EventJson {
    #[schema(value_type = String)]
    fingerprint: CompactString,
    /// The present state.
    #[schema(value_type = String)]
    state: CompactString,
    /// Whether it is active: its state is not terminal.
    active: bool,
    #[schema(value_type = String)]
    action_type: CompactString,
    #[schema(value_type = String)]
    namespace: CompactString,
    #[schema(value_type = String)]
    tenant: CompactString,
    #[schema(value_type = String)]
    state_machine: CompactString,
    /// Its labels and fingerprint fields.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    labels: Labels,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// When it entered its state.
    #[schema(value_type = String, format = DateTime)]
    entered_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_report_at: Timestamp,
    /// When it began, if a report said so.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    starts_at: Option<Timestamp>,
    /// When its next timeout is due.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    next_timer: Option<Timestamp>,
    /// The last fifty transitions, oldest first. Only where one event is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<TransitionJson>>,
}

/// A transition in the history of an event.
#[derive(Serialize, ToSchema)]
#[schema(as = PastTransition)]
pub(super) struct TransitionJson {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    #[schema(value_type = String)]
    from: CompactString,
    #[schema(value_type = String)]
    to: CompactString,
    /// `report`, `timeout`, `staleness` or `operator`.
    cause: &'static str,
    /// The id of the report, or the operator.
    #[schema(required, value_type = Option<String>)]
    by: Option<CompactString>,
    /// The operator's remark.
    #[schema(required, value_type = Option<String>)]
    note: Option<CompactString>,
    /// Whether it had a notice.
    notified: bool,
    /// The silence that withheld its notice, at least at first.
    #[schema(required, value_type = Option<String>)]
    silenced_by: Option<CompactString>,
}

impl From<PastTransition> for TransitionJson {
    fn from(past: PastTransition) -> Self {
        Self {
            at: past.at,
            from: past.from,
            to: past.to,
            cause: past.cause,
            by: past.by,
            note: past.note,
            notified: past.notified,
            silenced_by: past.silenced_by,
        }
    }
}

/// Whether the history is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum HistoryView {
    Hidden,
    Shown,
}

impl EventJson {
    fn of(api: &AdminApi, stored: &StoredEvent, view: HistoryView) -> Self {
        let details = api.event_details(stored);
        let record = &stored.record;
        let values = record.values.iter();
        let values = values.filter(|value| value.name != WITHHELD_BY);
        let history = details.history.into_iter().map(TransitionJson::from);
        Self {
            fingerprint: stored.event.fingerprint.clone(),
            state: record.state.clone(),
            active: record.phase == EventPhase::Active,
            action_type: record.event_type.clone(),
            namespace: stored.event.namespace.clone(),
            tenant: stored.event.tenant.clone(),
            state_machine: details.state_machine,
            labels: values
                .map(|value| (value.name.clone(), value.value.clone()))
                .collect(),
            updated_at: record.updated_at,
            entered_at: details.entered_at,
            last_report_at: details.last_report_at,
            starts_at: details.starts_at,
            next_timer: details.next_timer,
            history: (view == HistoryView::Shown).then(|| history.collect()),
        }
    }
}

/// One page of events.
#[derive(Serialize, ToSchema)]
#[schema(as = EventPage)]
pub(super) struct Page {
    /// The last one written is first.
    events: Vec<EventJson>,
    /// The number of events on this page.
    count: usize,
    /// The `cursor` of the next page; `null` on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

fn example() -> Value {
    json!({
        "fingerprint": "14703583c8398c84226752b4221519920faa009357d806ef0df26e176f839863",
        "state": "acknowledged",
        "active": true,
        "action_type": "alert",
        "namespace": "shop",
        "tenant": "acme",
        "state_machine": "alert",
        "labels": {"cluster": "prod"},
        "updated_at": "2026-01-01T09:05:00Z",
        "entered_at": "2026-01-01T09:05:00Z",
        "last_report_at": "2026-01-01T09:00:00Z",
        "starts_at": "2026-01-01T08:59:30Z",
        "next_timer": "2026-01-01T10:05:00Z",
    })
}

fn example_with_history() -> Value {
    let mut example = example();
    example["history"] = json!([
        {
            "at": "2026-01-01T09:00:00Z", "from": "open", "to": "firing", "cause": "report", "by": "alert-7",
            "note": null, "notified": true, "silenced_by": null,
        },
        {
            "at": "2026-01-01T09:05:00Z", "from": "firing", "to": "acknowledged", "cause": "operator",
            "by": "anna", "note": "rebooting", "notified": false, "silenced_by": null,
        },
    ]);
    example
}

/// Events of one namespace and tenant, the last one written first
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "list_events",
    tag = "events",
    params(Filters),
    responses(
        (status = 200, description = "One page.", body = Page, example = json!({
            "events": [example()],
            "count": 1,
            "next_cursor": null,
        })),
        InvalidQuery,
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn list(
    state: State<AdminApi>,
    access: Access,
    Query(filters): Query<Filters>,
) -> Result<Json<Page>, ApiError> {
    let api = state.0;
    let page = api.events(&filters.query(&access)?).await?;
    let shown = page
        .events
        .iter()
        .map(|event| EventJson::of(&api, event, HistoryView::Hidden));
    let events = paging::fill_page(shown);
    let next = match events.len() < page.events.len() {
        true => page
            .events
            .get(events.len() - 1)
            .map(|event| (&**event).into()),
        false => page.next,
    };
    Ok(Json(Page {
        count: events.len(),
        next_cursor: next.as_ref().map(paging::encode_event),
        events,
    }))
}

/// One event, with its history
#[utoipa::path(
    get,
    path = "/v1/events/{fingerprint}",
    operation_id = "get_event",
    tag = "events",
    params(
        ("fingerprint" = String, Path, description = "The event's fingerprint, percent-encoded.", example = "disk-full"),
        EventScope,
    ),
    responses(
        (status = 200, description = "The event.", body = EventJson, example = json!(example_with_history())),
        InvalidQuery,
        (status = 404, description = "There is no such event.", body = ErrorBody, example = json!({
            "code": "EVENT_NOT_FOUND", "message": "there is no event with the fingerprint \"disk-full\"",
            "retryable": false,
        })),
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn get(
    State(api): State<AdminApi>,
    access: Access,
    Path(fingerprint): Path<String>,
    Query(scope): Query<EventScope>,
) -> Result<Json<EventJson>, ApiError> {
    let stored = api.event(&access, &scope.event(fingerprint)?).await?;
    Ok(Json(EventJson::of(&api, &stored, HistoryView::Shown)))
}

/// The requested transition.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TransitionBody {
    #[schema(value_type = String)]
    namespace: CompactString,
    #[schema(value_type = String)]
    tenant: CompactString,
    /// The state to enter.
    #[schema(value_type = String)]
    to: CompactString,
    /// The state that you believe the event is in.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    from: Option<CompactString>,
    /// Who makes it. Default: the caller.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 256)]
    by: Option<CompactString>,
    /// A remark for the history, such as until when the event is acknowledged.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 1024)]
    note: Option<CompactString>,
}

impl TransitionBody {
    fn request(self, fingerprint: String, access: &Access) -> Result<TransitionRequest, ApiError> {
        let is_long =
            |text: &Option<CompactString>, max| text.as_ref().is_some_and(|text| text.len() > max);
        if is_long(&self.note, NOTE_BYTES_MAX) {
            return Err(ApiError::invalid_json(format!(
                "`note`: must have at most {NOTE_BYTES_MAX} bytes"
            )));
        }
        if is_long(&self.by, BY_BYTES_MAX) {
            return Err(ApiError::invalid_json(format!(
                "`by`: must have at most {BY_BYTES_MAX} bytes"
            )));
        }
        let caller = access.caller.id.as_deref();
        let by = self.by.or_else(|| caller.map(Into::into));
        Ok(TransitionRequest {
            event: EventId {
                namespace: self.namespace,
                tenant: self.tenant,
                fingerprint: fingerprint.into(),
            },
            to: self.to,
            from: self.from,
            by: by.unwrap_or_else(|| access.caller.auth_method.into()),
            note: self.note,
        })
    }
}

const BY_BYTES_MAX: usize = 256;

/// A transition that was made.
#[derive(Serialize, ToSchema)]
#[schema(as = Transition)]
pub(super) struct TransitionAnswer {
    #[schema(value_type = String)]
    fingerprint: CompactString,
    #[schema(value_type = String)]
    previous_state: CompactString,
    #[schema(value_type = String)]
    new_state: CompactString,
    /// Whether its notice is delivered.
    notify: bool,
}

/// Makes a transition that the event's state machine allows
#[utoipa::path(
    put,
    path = "/v1/events/{fingerprint}/transition",
    operation_id = "transition_event",
    tag = "events",
    params(
        ("fingerprint" = String, Path, description = "The event's fingerprint, percent-encoded.", example = "disk-full"),
    ),
    request_body(content = TransitionBody, example = json!({
        "namespace": "shop", "tenant": "acme", "to": "acknowledged", "from": "firing", "by": "anna", "note": "rebooting",
    })),
    responses(
        (status = 200, description = "The transition.", body = TransitionAnswer, example = json!({
            "fingerprint": "disk-full", "previous_state": "firing", "new_state": "acknowledged", "notify": false,
        })),
        InvalidBody,
        (status = 404, description = "There is no such event.", body = ErrorBody, example = json!({
            "code": "EVENT_NOT_FOUND", "message": "there is no event with the fingerprint \"disk-full\"",
            "retryable": false,
        })),
        (status = 409, description = "The machine does not allow it, or the event is in another state than `from`.",
            body = ErrorBody, example = json!({
            "code": "INVALID_TRANSITION",
            "message": "the machine allows no transition from \"resolved\" to \"acknowledged\"",
            "retryable": false,
        })),
        BackendUnavailable,
        InternalError,
    )
)]
pub(super) async fn transition(
    State(api): State<AdminApi>,
    access: Access,
    Path(fingerprint): Path<String>,
    _: NoQuery,
    Json(body): Json<TransitionBody>,
) -> Result<Json<TransitionAnswer>, ApiError> {
    let asked = body.request(fingerprint, &access)?;
    let made = api.transition(&access, asked).await?;
    Ok(Json(TransitionAnswer {
        fingerprint: made.stored.event.fingerprint.clone(),
        previous_state: made.previous_state,
        new_state: made.new_state,
        notify: made.notify,
    }))
}
