//! Slack, as far as its documentation describes `chat.postMessage`, `auth.test` and incoming webhooks: it checks the
//! token, the channel and the limits of messages, and answers with Slack's statuses and error codes.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::listening::listening;

/// The token that the workspace accepts.
const TOKEN: &str = "xoxb-the-token-of-acme";
/// The secret part of the address of its incoming webhook.
const WEBHOOK: &str = "T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX";

/// A workspace with the channels `#alerts` (`C0ALERTS`), `#ops` (`C0OPS`), `C0ARCHIVED`, which is archived, and
/// `C0PRIVATE`, which the bot is not a member of. Dropping it stops it.
#[derive(Debug)]
pub struct SlackServer {
    port: u16,
    workspace: Arc<Workspace>,
    _server: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Workspace {
    messages: Mutex<Vec<Value>>,
    requests: Mutex<Vec<String>>,
    /// The wait, in seconds, for the next post to a channel.
    limited: Mutex<HashMap<String, u32>>,
    failures: Mutex<Vec<String>>,
}

impl SlackServer {
    /// Starts it on a free port.
    pub async fn start() -> anyhow::Result<Self> {
        let workspace = Arc::<Workspace>::default();
        let router = Router::new()
            .route("/api/{method}", post(call))
            .route("/services/{*secret}", post(hook))
            .with_state(workspace.clone());
        let (port, server) = listening(router).await?;
        Ok(Self {
            port,
            workspace,
            _server: server,
        })
    }

    /// The token to configure.
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// The address of the Web API.
    pub fn api_base_url(&self) -> String {
        format!("http://127.0.0.1:{}/api", self.port)
    }

    /// The address of the incoming webhook for `#alerts`.
    pub fn webhook_url(&self) -> String {
        format!("http://127.0.0.1:{}/services/{WEBHOOK}", self.port)
    }

    /// The messages in its channels, oldest first, each as it was posted.
    pub fn messages(&self) -> Vec<Value> {
        self.workspace.messages.lock().clone()
    }

    /// The methods called so far.
    pub fn requests(&self) -> Vec<String> {
        self.workspace.requests.lock().clone()
    }

    /// Answers the next post to `channel` with 429.
    pub fn limit(&self, channel: &str, seconds: u32) {
        let mut limited = self.workspace.limited.lock();
        limited.insert(channel.to_owned(), seconds);
    }

    /// Answers the next call of a method with this error code.
    pub fn fail(&self, code: &str) {
        self.workspace.failures.lock().push(code.to_owned());
    }
}

fn failed(code: &str) -> Response {
    axum::Json(json!({"ok": false, "error": code})).into_response()
}

/// A method of the Web API.
async fn call(
    State(workspace): State<Arc<Workspace>>,
    Path(method): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    workspace.requests.lock().push(method.clone());
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match header("authorization").map(|value| value.strip_prefix("Bearer ")) {
        None | Some(None) => return failed("not_authed"),
        Some(Some(token)) if token != TOKEN => return failed("invalid_auth"),
        Some(Some(_)) => {}
    }
    if let Some(code) = workspace.failures.lock().pop() {
        return failed(&code);
    }
    let is_json = header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
    let Some(message) = serde_json::from_slice::<Value>(&body)
        .ok()
        .filter(|_| is_json)
    else {
        return failed("invalid_json");
    };
    match method.as_str() {
        "auth.test" => {
            axum::Json(json!({"ok": true, "team": "Acme", "user": "acteon"})).into_response()
        }
        "chat.postMessage" => post_message(&workspace, message),
        _ => failed("unknown_method"),
    }
}

fn post_message(workspace: &Workspace, mut message: Value) -> Response {
    let channel = match message["channel"].as_str() {
        Some("#alerts" | "alerts" | "C0ALERTS") => "C0ALERTS",
        Some("#ops" | "ops" | "C0OPS") => "C0OPS",
        Some("C0ARCHIVED") => return failed("is_archived"),
        Some("C0PRIVATE") => return failed("not_in_channel"),
        _ => return failed("channel_not_found"),
    };
    if let Some(seconds) = workspace.limited.lock().remove(channel) {
        let wait = [("retry-after", seconds.to_string())];
        let answer = axum::Json(json!({"ok": false, "error": "ratelimited"}));
        return (StatusCode::TOO_MANY_REQUESTS, wait, answer).into_response();
    }
    if let Err((code, why)) = check(&message) {
        let messages = json!([format!("[ERROR] {why}")]);
        let answer =
            json!({"ok": false, "error": code, "response_metadata": {"messages": messages}});
        return axum::Json(answer).into_response();
    }
    message["channel"] = channel.into();
    let mut messages = workspace.messages.lock();
    messages.push(message.clone());
    let ts = format!("1503435956.{:06}", messages.len());
    axum::Json(json!({"ok": true, "channel": channel, "ts": ts, "message": message}))
        .into_response()
}

/// An incoming webhook answers in plain text.
async fn hook(
    State(workspace): State<Arc<Workspace>>,
    Path(secret): Path<String>,
    body: Bytes,
) -> (StatusCode, &'static str) {
    workspace.requests.lock().push("webhook".to_owned());
    if secret != WEBHOOK {
        return (StatusCode::NOT_FOUND, "no_service");
    }
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, "invalid_payload");
    };
    match check(&message) {
        Ok(()) => {
            workspace.messages.lock().push(message);
            (StatusCode::OK, "ok")
        }
        Err((code, _)) => (StatusCode::BAD_REQUEST, code),
    }
}

type Refusal = (&'static str, String);

/// The limits that Slack documents.
fn check(message: &Value) -> Result<(), Refusal> {
    let list = |key: &str| message[key].as_array().map_or(&[][..], Vec::as_slice);
    let text = message["text"].as_str().unwrap_or_default();
    if text.is_empty() && list("blocks").is_empty() && list("attachments").is_empty() {
        return Err(("no_text", "no text".to_owned()));
    }
    if text.chars().count() > 40_000 {
        return Err(("msg_too_long", "too long".to_owned()));
    }
    if list("attachments").len() > 100 {
        return Err(("too_many_attachments", "more than 100".to_owned()));
    }
    let is_ts = |ts: &Value| ts.as_str().is_some_and(|ts| ts.contains('.'));
    if message.get("thread_ts").is_some_and(|ts| !is_ts(ts)) {
        return Err(("invalid_thread_ts", "not a timestamp".to_owned()));
    }
    check_blocks(list("blocks")).map_err(|why| ("invalid_blocks", why))?;
    for attachment in list("attachments") {
        let blocks = attachment["blocks"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        check_blocks(blocks).map_err(|why| ("invalid_attachments", why))?;
    }
    Ok(())
}

fn check_blocks(blocks: &[Value]) -> Result<(), String> {
    if blocks.len() > 50 {
        return Err("no more than 50 items allowed [json-pointer:/blocks]".to_owned());
    }
    for block in blocks {
        match block["type"].as_str() {
            Some("header") => check_text(&block["text"], 150)?,
            Some("section") => {
                if !block["text"].is_null() {
                    check_text(&block["text"], 3000)?;
                }
                check_list(&block["fields"], 10, 2000)?;
            }
            Some("context") => check_list(&block["elements"], 10, 3000)?,
            Some("divider" | "image" | "actions" | "markdown" | "rich_text") => {}
            other => return Err(format!("unsupported type: {other:?}")),
        }
    }
    Ok(())
}

fn check_list(list: &Value, max: usize, text_max: usize) -> Result<(), String> {
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    if list.len() > max {
        return Err(format!("no more than {max} items allowed"));
    }
    list.iter().try_for_each(|text| check_text(text, text_max))
}

fn check_text(object: &Value, max: usize) -> Result<(), String> {
    let length = object["text"].as_str().map(|text| text.chars().count());
    match length {
        None => Err("missing required field: text".to_owned()),
        Some(0) => Err("must be more than 0 characters".to_owned()),
        Some(length) if length > max => Err(format!("must be less than {} characters", max + 1)),
        Some(_) => Ok(()),
    }
}
