//! Discord, as far as its documentation describes the execution of webhooks: it checks the limits of messages, and
//! answers 204, or 200 with the message if the request waits for it.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::listening::listening;

/// The token in the address of the webhook.
const TOKEN: &str = "3d89bb7572e0fb30d8128367b3b1b44fecd1726de135cbe28a41f8b2f777c372ba2939e72279b94526ff5d1bd4358d65cf11";

/// A channel with one webhook. Dropping it stops it.
#[derive(Debug)]
pub struct DiscordServer {
    port: u16,
    channel: Arc<Channel>,
    _server: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Channel {
    messages: Mutex<Vec<Value>>,
    /// The wait, in seconds, for the next message.
    limited: Mutex<Option<f64>>,
}

impl DiscordServer {
    /// Starts it on a free port.
    pub async fn start() -> anyhow::Result<Self> {
        let channel = Arc::<Channel>::default();
        let router = Router::new()
            .route("/api/webhooks/{id}/{token}", post(execute))
            .with_state(channel.clone());
        let (port, server) = listening(router).await?;
        Ok(Self {
            port,
            channel,
            _server: server,
        })
    }

    /// The address of the webhook.
    pub fn webhook_url(&self) -> String {
        format!(
            "http://127.0.0.1:{}/api/webhooks/223704706495545344/{TOKEN}",
            self.port
        )
    }

    /// The messages in the channel, oldest first.
    pub fn messages(&self) -> Vec<Value> {
        self.channel.messages.lock().clone()
    }

    /// Answers the next request with 429.
    pub fn limit(&self, seconds: f64) {
        *self.channel.limited.lock() = Some(seconds);
    }
}

async fn execute(
    State(channel): State<Arc<Channel>>,
    Path((_, token)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
    message: Option<axum::Json<Value>>,
) -> Response {
    if token != TOKEN {
        let answer = json!({"message": "Unknown Webhook", "code": 10015});
        return (StatusCode::NOT_FOUND, axum::Json(answer)).into_response();
    }
    if let Some(seconds) = channel.limited.lock().take() {
        let wait = [("retry-after", seconds.ceil().to_string())];
        let answer = json!({"message": "You are being rate limited.", "retry_after": seconds, "global": false});
        return (StatusCode::TOO_MANY_REQUESTS, wait, axum::Json(answer)).into_response();
    }
    let Some(axum::Json(message)) = message else {
        return refused(50109, "The request body contains invalid JSON.", &json!({}));
    };
    if let Some(refusal) = check(&message) {
        return refusal;
    }
    let mut messages = channel.messages.lock();
    messages.push(message.clone());
    match query
        .iter()
        .any(|(name, value)| name == "wait" && value == "true")
    {
        true => {
            axum::Json(json!({"id": messages.len().to_string(), "content": message["content"]}))
                .into_response()
        }
        false => StatusCode::NO_CONTENT.into_response(),
    }
}

/// The refusal of a message beyond the limits that Discord documents.
fn check(message: &Value) -> Option<Response> {
    let length = |value: &Value| value.as_str().unwrap_or_default().chars().count();
    let embeds = message["embeds"].as_array().map_or(&[][..], Vec::as_slice);
    if length(&message["content"]) == 0 && embeds.is_empty() {
        return Some(refused(50006, "Cannot send an empty message", &json!({})));
    }
    let form = |field: &str| {
        let errors = json!({field: {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH"}]}});
        Some(refused(50035, "Invalid Form Body", &errors))
    };
    let sum = |embed: &Value| length(&embed["title"]) + length(&embed["description"]);
    match () {
        () if length(&message["content"]) > 2000 => form("content"),
        () if length(&message["username"]) > 80 => form("username"),
        () if embeds.len() > 10 => form("embeds"),
        () if embeds.iter().any(|embed| length(&embed["title"]) > 256) => form("embeds"),
        () if embeds
            .iter()
            .any(|embed| length(&embed["description"]) > 4096) =>
        {
            form("embeds")
        }
        () if embeds.iter().map(sum).sum::<usize>() > 6000 => form("embeds"),
        () => None,
    }
}

fn refused(code: u32, message: &str, errors: &Value) -> Response {
    let answer = json!({"code": code, "message": message, "errors": errors});
    (StatusCode::BAD_REQUEST, axum::Json(answer)).into_response()
}
