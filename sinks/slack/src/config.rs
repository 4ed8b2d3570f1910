//! The options of the `slack` sink.

use acteon_core::Secret;
use acteon_sinks_kit::ConnectionOptions;
use schemars::JsonSchema;
use serde::Deserialize;

/// Where messages go: through the Web API with a token, or through an incoming webhook.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlackConfig {
    /// The bot token (`xoxb-...`) for `chat.postMessage`.
    #[serde(default)]
    pub token: Option<Secret>,
    /// The channel of messages that name none: its id, or its name.
    #[serde(default)]
    pub default_channel: Option<String>,
    /// The URL of an incoming webhook, instead of a token.
    #[serde(default)]
    pub webhook_url: Option<Secret>,
    /// The address of the Web API.
    #[serde(default = "api_base_url")]
    pub api_base_url: String,
    /// Whether texts may mention people and channels, and contain links: `<!here>`, `<https://example.com|here>`.
    /// Otherwise `&`, `<` and `>` are shown as they are.
    #[serde(default)]
    pub allow_mentions: bool,
    /// How to connect.
    #[serde(flatten)]
    pub connection: ConnectionOptions,
}

fn api_base_url() -> String {
    "https://slack.com/api".to_owned()
}
