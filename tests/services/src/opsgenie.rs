//! Opsgenie, as far as its documentation describes the Alert API v2: it checks the key, the fields and their limits, and
//! keeps one open alert for each alias.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::listening::{listening, url};

/// The key that it accepts.
const KEY: &str = "eb243592-faa2-4ba2-a551q-1afdf565c889";

/// An account with one integration. Dropping it stops it.
#[derive(Debug)]
pub struct OpsgenieServer {
    port: u16,
    account: Arc<OpsgenieAccount>,
    _server: JoinSet<()>,
}

#[derive(Debug, Default)]
struct OpsgenieAccount {
    alerts: Mutex<Vec<OpsgenieAlert>>,
    /// The statuses of the next answers.
    failures: Mutex<Vec<u16>>,
}

/// An alert.
#[derive(Clone, Debug, PartialEq)]
pub struct OpsgenieAlert {
    /// Its alias.
    pub alias: String,
    /// `open`, `acknowledged` or `closed`.
    pub status: &'static str,
    /// How often it was created.
    pub count: u32,
    /// The request that created it.
    pub request: Value,
}

impl OpsgenieServer {
    /// Starts it on a free port.
    pub async fn start() -> anyhow::Result<Self> {
        let account = Arc::<OpsgenieAccount>::default();
        let router = Router::new()
            .route("/v2/alerts", post(create))
            .route("/v2/alerts/{identifier}/{verb}", post(change))
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

    /// The key to configure.
    pub fn api_key(&self) -> &'static str {
        KEY
    }

    /// The alerts, oldest first.
    pub fn alerts(&self) -> Vec<OpsgenieAlert> {
        self.account.alerts.lock().clone()
    }

    /// Answers the next request with this status.
    pub fn fail(&self, status: u16) {
        self.account.failures.lock().push(status);
    }
}

type Answer = (StatusCode, axum::Json<Value>);

fn answer(status: StatusCode, message: &str) -> Answer {
    let answer = match status {
        StatusCode::ACCEPTED => json!({"result": message, "took": 0.302, "requestId": "43a29c5c"}),
        _ => json!({"message": message, "took": 0.001, "requestId": "43a29c5c"}),
    };
    (status, axum::Json(answer))
}

/// The answer to requests without its key, or that are meant to fail.
fn refused(account: &OpsgenieAccount, headers: &HeaderMap) -> Option<Answer> {
    let given = headers.get("authorization").map(|value| value.as_bytes());
    if given != Some(format!("GenieKey {KEY}").as_bytes()) {
        return Some(answer(StatusCode::UNAUTHORIZED, "Could not authenticate"));
    }
    let status = account.failures.lock().pop()?;
    let status = StatusCode::from_u16(status).unwrap_or_default();
    Some(answer(status, "You are making too many requests!"))
}

async fn create(
    State(account): State<Arc<OpsgenieAccount>>,
    headers: HeaderMap,
    axum::Json(request): axum::Json<Value>,
) -> Answer {
    if let Some(refused) = refused(&account, &headers) {
        return refused;
    }
    let length = |name: &str| request[name].as_str().unwrap_or_default().chars().count();
    let is_map_of_texts = |value: &Value| match value {
        Value::Object(members) => members.values().all(Value::is_string),
        value => value.is_null(),
    };
    let is_valid = (1..=130).contains(&length("message"))
        && length("alias") <= 512
        && length("description") <= 15_000
        && length("source") <= 100
        && is_map_of_texts(&request["details"])
        && (request["priority"].is_null()
            || matches!(
                request["priority"].as_str(),
                Some("P1" | "P2" | "P3" | "P4" | "P5")
            ));
    if !is_valid {
        return answer(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Request body is not processable",
        );
    }
    let alias = request["alias"].as_str().unwrap_or_default().to_owned();
    let mut alerts = account.alerts.lock();
    let mut open = alerts.iter_mut();
    match open.find(|alert| alert.alias == alias && alert.status != "closed") {
        Some(alert) => alert.count += 1,
        None => alerts.push(OpsgenieAlert {
            alias,
            status: "open",
            count: 1,
            request,
        }),
    }
    answer(StatusCode::ACCEPTED, "Request will be processed")
}

async fn change(
    State(account): State<Arc<OpsgenieAccount>>,
    Path((identifier, verb)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Answer {
    if let Some(refused) = refused(&account, &headers) {
        return refused;
    }
    let by_alias = ("identifierType".to_owned(), "alias".to_owned());
    let status = match verb.as_str() {
        "close" => "closed",
        "acknowledge" => "acknowledged",
        _ => return answer(StatusCode::NOT_FOUND, "Not found"),
    };
    let mut alerts = account.alerts.lock();
    let mut open = alerts.iter_mut();
    let found = open.find(|alert| alert.alias == identifier && alert.status != "closed");
    match found.filter(|_| query.contains(&by_alias)) {
        Some(alert) => {
            alert.status = status;
            answer(StatusCode::ACCEPTED, "Request will be processed")
        }
        None => answer(StatusCode::NOT_FOUND, "Alert does not exist"),
    }
}
