//! Telegram, as far as its documentation describes `sendMessage` of the Bot API: it checks the token, the chat, the
//! length and the markup of messages, and answers with `ok` and an error code.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::listening::{listening, url};

/// The token of the bot.
const TOKEN: &str = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
/// The id that the group `-100` has since it became a supergroup.
const SUPERGROUP: i64 = -1_001_234_567_890;

/// A bot in the chat `42`, the channel `@alerts`, and a group that was `-100`. It is blocked in the chat `13`. Dropping it
/// stops it.
#[derive(Debug)]
pub struct TelegramServer {
    port: u16,
    bot: Arc<Bot>,
    _server: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Bot {
    messages: Mutex<Vec<Value>>,
    limited: Mutex<Option<u32>>,
}

impl TelegramServer {
    /// Starts it on a free port.
    pub async fn start() -> anyhow::Result<Self> {
        let bot = Arc::<Bot>::default();
        let router = Router::new()
            .route("/{bot}/sendMessage", post(send_message))
            .with_state(bot.clone());
        let (port, server) = listening(router).await?;
        Ok(Self {
            port,
            bot,
            _server: server,
        })
    }

    /// Its address.
    pub fn api_base_url(&self) -> String {
        url(self.port)
    }

    /// The token to configure.
    pub fn token(&self) -> &'static str {
        TOKEN
    }

    /// The messages of the bot, oldest first.
    pub fn messages(&self) -> Vec<Value> {
        self.bot.messages.lock().clone()
    }

    /// Answers the next request with 429.
    pub fn limit(&self, seconds: u32) {
        *self.bot.limited.lock() = Some(seconds);
    }
}

type Answer = (StatusCode, axum::Json<Value>);

fn refused(code: u16, description: &str, parameters: Value) -> Answer {
    let status = StatusCode::from_u16(code).unwrap_or_default();
    let mut answer = json!({"ok": false, "error_code": code, "description": description});
    if !parameters.is_null() {
        answer["parameters"] = parameters;
    }
    (status, axum::Json(answer))
}

async fn send_message(
    State(bot): State<Arc<Bot>>,
    Path(given): Path<String>,
    axum::Json(message): axum::Json<Value>,
) -> Answer {
    if given != format!("bot{TOKEN}") {
        return refused(401, "Unauthorized", Value::Null);
    }
    if let Some(seconds) = bot.limited.lock().take() {
        let description = format!("Too Many Requests: retry after {seconds}");
        return refused(429, &description, json!({"retry_after": seconds}));
    }
    let chat = match &message["chat_id"] {
        Value::Number(number) => number.to_string(),
        chat => chat.as_str().unwrap_or_default().to_owned(),
    };
    let supergroup = SUPERGROUP.to_string();
    match chat.as_str() {
        "42" | "@alerts" => {}
        "-100" => {
            let description = "Bad Request: group chat was upgraded to a supergroup chat";
            return refused(400, description, json!({"migrate_to_chat_id": SUPERGROUP}));
        }
        "13" => return refused(403, "Forbidden: bot was blocked by the user", Value::Null),
        "" => return refused(400, "Bad Request: chat_id is empty", Value::Null),
        chat if chat == supergroup => {}
        _ => return refused(400, "Bad Request: chat not found", Value::Null),
    }
    let text = message["text"].as_str().unwrap_or_default();
    match text.chars().count() {
        0 => return refused(400, "Bad Request: message text is empty", Value::Null),
        length if length > 4096 => {
            return refused(400, "Bad Request: message is too long", Value::Null);
        }
        _ => {}
    }
    let has_open_tag = text.matches("<b>").count() != text.matches("</b>").count();
    if message["parse_mode"] == "HTML" && has_open_tag {
        let description = "Bad Request: can't parse entities: Can't find end tag corresponding to start tag \"b\"";
        return refused(400, description, Value::Null);
    }
    let mut messages = bot.messages.lock();
    messages.push(message.clone());
    let result = json!({"message_id": messages.len(), "chat": {"id": chat}, "text": text});
    (
        StatusCode::OK,
        axum::Json(json!({"ok": true, "result": result})),
    )
}
