//! Microsoft Teams, as far as its documentation describes workflows with the trigger "When a Teams webhook request is
//! received": it checks that the message is one Adaptive Card, and answers 202 without a body.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::listening::listening;

/// The signature in the address of the workflow.
const SIGNATURE: &str = "kV3xGmb0RTnIk8JQyfmI4Hc6pY1wQ7zB2dLsN5aXoUe";
const CARD: &str = "application/vnd.microsoft.card.adaptive";

/// A channel with one workflow. Dropping it stops it.
#[derive(Debug)]
pub struct TeamsServer {
    port: u16,
    workflow: Arc<Workflow>,
    _server: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Workflow {
    cards: Mutex<Vec<Value>>,
    /// The bodies of the next answers, which have the status 200.
    answers: Mutex<Vec<&'static str>>,
}

impl TeamsServer {
    /// Starts it on a free port.
    pub async fn start() -> anyhow::Result<Self> {
        let workflow = Arc::<Workflow>::default();
        let router = Router::new()
            .route("/workflows/f00/triggers/manual/paths/invoke", post(invoke))
            .with_state(workflow.clone());
        let (port, server) = listening(router).await?;
        Ok(Self {
            port,
            workflow,
            _server: server,
        })
    }

    /// The address of the workflow.
    pub fn webhook_url(&self) -> String {
        let port = self.port;
        format!(
            "http://127.0.0.1:{port}/workflows/f00/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={SIGNATURE}"
        )
    }

    /// The cards in the channel, oldest first.
    pub fn cards(&self) -> Vec<Value> {
        self.workflow.cards.lock().clone()
    }

    /// Answers the next request with 200 and this text, as webhooks of the older kind do to failures.
    pub fn answer(&self, text: &'static str) {
        self.workflow.answers.lock().push(text);
    }
}

async fn invoke(
    State(workflow): State<Arc<Workflow>>,
    Query(query): Query<Vec<(String, String)>>,
    body: Bytes,
) -> Response {
    let refused = |status: StatusCode, code: &str| {
        (status, axum::Json(json!({"error": {"code": code}}))).into_response()
    };
    if !query.contains(&("sig".to_owned(), SIGNATURE.to_owned())) {
        return refused(StatusCode::UNAUTHORIZED, "AuthorizationFailed");
    }
    if let Some(text) = workflow.answers.lock().pop() {
        return text.into_response();
    }
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    let attachment = &message["attachments"][0];
    let card = &attachment["content"];
    let is_card = message["type"] == "message"
        && attachment["contentType"] == CARD
        && card["type"] == "AdaptiveCard"
        && card["body"].is_array();
    if !is_card {
        return refused(StatusCode::BAD_REQUEST, "TriggerInputSchemaMismatch");
    }
    if body.len() > 28 << 10 {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge");
    }
    workflow.cards.lock().push(card.clone());
    StatusCode::ACCEPTED.into_response()
}
