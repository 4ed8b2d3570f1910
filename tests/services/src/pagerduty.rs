//! PagerDuty, as far as its documentation describes the Events API v2: it checks the fields and limits of events, and
//! keeps one alert for each `dedup_key` of a service.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::listening::{listening, url};

/// The limit of an event.
const EVENT_BYTES_MAX: usize = 512 << 10;

/// The Events API. It accepts every routing key of 32 letters and digits. Dropping it stops it.
#[derive(Debug)]
pub struct PagerDutyServer {
    port: u16,
    account: Arc<Account>,
    _server: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Account {
    events: Mutex<Vec<Value>>,
    changes: Mutex<Vec<Value>>,
    alerts: Mutex<Vec<Alert>>,
    /// How many triggers are still answered with 500.
    failures: Mutex<usize>,
}

/// The state of what one `dedup_key` of a service refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// The routing key of its service.
    pub routing_key: String,
    /// Its key.
    pub dedup_key: String,
    /// `triggered`, `acknowledged` or `resolved`.
    pub status: &'static str,
}

impl PagerDutyServer {
    /// Starts it on a free port.
    pub async fn start() -> anyhow::Result<Self> {
        let account = Arc::<Account>::default();
        let router = Router::new()
            .route("/v2/enqueue", post(enqueue))
            .route("/v2/change/enqueue", post(enqueue_change))
            .layer(DefaultBodyLimit::disable())
            .with_state(account.clone());
        let (port, server) = listening(router).await?;
        Ok(Self {
            port,
            account,
            _server: server,
        })
    }

    /// Its address.
    pub fn api_base_url(&self) -> String {
        url(self.port)
    }

    /// Answers the next `count` triggers with 500, and asks for a second.
    pub fn fail_triggers(&self, count: usize) {
        *self.account.failures.lock() = count;
    }

    /// The accepted events, oldest first.
    pub fn events(&self) -> Vec<Value> {
        self.account.events.lock().clone()
    }

    /// The accepted change events, oldest first.
    pub fn changes(&self) -> Vec<Value> {
        self.account.changes.lock().clone()
    }

    /// The alerts, oldest first.
    pub fn alerts(&self) -> Vec<Alert> {
        self.account.alerts.lock().clone()
    }
}

impl Account {
    fn fails(&self) -> bool {
        let mut failures = self.failures.lock();
        let fails = *failures > 0;
        *failures = failures.saturating_sub(1);
        fails
    }
}

type Answer = (StatusCode, axum::Json<Value>);

async fn enqueue(State(account): State<Arc<Account>>, body: Bytes) -> Response {
    let (event, _) = read(&body);
    if event["event_action"] == "trigger" && account.fails() {
        let again = [(RETRY_AFTER, "1")];
        return (StatusCode::INTERNAL_SERVER_ERROR, again).into_response();
    }
    accepted(&account, &body).into_response()
}

fn accepted(account: &Account, body: &[u8]) -> Answer {
    let (event, mut errors) = read(body);
    let action = event["event_action"].as_str().unwrap_or_default();
    if !matches!(action, "trigger" | "acknowledge" | "resolve") {
        errors.push("'event_action' is invalid (must be one of the following: 'trigger', 'acknowledge' or 'resolve')".to_owned());
    }
    let key = event["dedup_key"].as_str().unwrap_or_default().to_owned();
    if key.chars().count() > 255 {
        errors.push(
            "Length of 'dedup_key' is incorrect (should be at most 255 characters)".to_owned(),
        );
    }
    match action {
        "trigger" => check_payload(&event["payload"], &mut errors),
        _ if key.is_empty() => errors.push("'dedup_key' is missing or blank".to_owned()),
        _ => {}
    }
    check_lists(&event, &mut errors);
    if let Some(answer) = refused(body, &errors) {
        return answer;
    }
    let routing_key = event["routing_key"].as_str().unwrap_or_default().to_owned();
    move_alert(&mut account.alerts.lock(), routing_key, &key, action);
    account.events.lock().push(event);
    let answer = json!({"status": "success", "message": "Event processed", "dedup_key": key});
    (StatusCode::ACCEPTED, axum::Json(answer))
}

async fn enqueue_change(State(account): State<Arc<Account>>, body: Bytes) -> Answer {
    let (event, mut errors) = read(&body);
    if event["payload"]["summary"]
        .as_str()
        .unwrap_or_default()
        .is_empty()
    {
        errors.push("'payload.summary' is missing or blank".to_owned());
    }
    check_lists(&event, &mut errors);
    if let Some(answer) = refused(&body, &errors) {
        return answer;
    }
    account.changes.lock().push(event);
    let answer = json!({"status": "success", "message": "Change event processed"});
    (StatusCode::ACCEPTED, axum::Json(answer))
}

/// The event, and what is wrong with its routing key.
fn read(body: &[u8]) -> (Value, Vec<String>) {
    let event: Value = serde_json::from_slice(body).unwrap_or_default();
    let key = event["routing_key"].as_str().unwrap_or_default();
    let errors = match key.chars().count() {
        32 => Vec::new(),
        _ => vec!["Length of 'routing_key' is incorrect (should be 32 characters)".to_owned()],
    };
    (event, errors)
}

fn refused(body: &[u8], errors: &[String]) -> Option<Answer> {
    if body.len() > EVENT_BYTES_MAX {
        let answer = json!({"status": "invalid event", "message": "Event is too large"});
        return Some((StatusCode::PAYLOAD_TOO_LARGE, axum::Json(answer)));
    }
    let answer =
        json!({"status": "invalid event", "message": "Event object is invalid", "errors": errors});
    (!errors.is_empty()).then_some((StatusCode::BAD_REQUEST, axum::Json(answer)))
}

fn check_payload(payload: &Value, errors: &mut Vec<String>) {
    for field in ["summary", "source", "severity"] {
        if payload[field].as_str().unwrap_or_default().is_empty() {
            errors.push(format!("'payload.{field}' is missing or blank"));
        }
    }
    let summary = payload["summary"].as_str().unwrap_or_default();
    if summary.chars().count() > 1024 {
        errors.push("'payload.summary' is too long".to_owned());
    }
    let severity = payload["severity"].as_str().unwrap_or_default();
    if !matches!(severity, "critical" | "error" | "warning" | "info") {
        errors.push("'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')".to_owned());
    }
    for field in ["component", "group", "class", "timestamp"] {
        if !payload[field].is_null() && !payload[field].is_string() {
            errors.push(format!("'payload.{field}' must be a string"));
        }
    }
    let details = &payload["custom_details"];
    if !details.is_null() && !details.is_object() {
        errors.push("'payload.custom_details' must be an object".to_owned());
    }
}

fn check_lists(event: &Value, errors: &mut Vec<String>) {
    for (list, key) in [("links", "href"), ("images", "src")] {
        let Some(given) = event.get(list) else {
            continue;
        };
        let is_valid = |one: &Value| one[key].is_string();
        if !given.as_array().is_some_and(|all| all.iter().all(is_valid)) {
            errors.push(format!("'{list}' must be a list of objects with '{key}'"));
        }
    }
}

/// An event about a resolved alert triggers a new one; other events about no open alert do nothing.
fn move_alert(alerts: &mut Vec<Alert>, routing_key: String, dedup_key: &str, action: &str) {
    let is_it = |alert: &&mut Alert| {
        alert.routing_key == routing_key
            && alert.dedup_key == dedup_key
            && alert.status != "resolved"
    };
    let open = alerts.iter_mut().find(is_it);
    match (action, open) {
        ("trigger", None) => alerts.push(Alert {
            routing_key,
            dedup_key: dedup_key.to_owned(),
            status: "triggered",
        }),
        ("acknowledge", Some(alert)) => alert.status = "acknowledged",
        ("resolve", Some(alert)) => alert.status = "resolved",
        _ => {}
    }
}
