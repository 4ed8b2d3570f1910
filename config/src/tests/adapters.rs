//! Adapters with the kinds and options of the real ones. They cannot be built.

use std::collections::BTreeMap;
use std::net::IpAddr;

use acteon_core::audit::Audits;
use acteon_core::sink::Sinks;
use acteon_core::source::Sources;
use acteon_core::state::States;
use acteon_core::{BuildError, Factory, Family, Registry, Secret};
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::Adapters;

/// All registries a server has.
#[derive(Default)]
pub(super) struct Registries {
    sources: Registry<Sources>,
    sinks: Registry<Sinks>,
    states: Registry<States>,
    audits: Registry<Audits>,
}

impl Registries {
    pub(super) fn new() -> Self {
        let mut all = Self::default();
        all.sources.register(Kafka);
        all.sinks
            .register(Log)
            .register(Webhook)
            .register(Email)
            .register(Slack)
            .register(PagerDuty)
            .register(KafkaSink)
            .register(NatsSink)
            .register(AmqpSink)
            .register(Http)
            .register(Strict);
        all.states
            .register(Memory)
            .register(Sqlite)
            .register(Remote);
        all.audits.register(Memory).register(Sqlite);
        all
    }

    pub(super) fn adapters(&self) -> Adapters<'_> {
        Adapters {
            sources: &self.sources,
            sinks: &self.sinks,
            states: &self.states,
            audits: &self.audits,
        }
    }
}

macro_rules! adapter {
    ($name:ident, $kind:literal, $options:ty, $($family:ty),+) => {
        struct $name;
        $(#[async_trait]
        impl Factory<$family> for $name {
            const KIND: &'static str = $kind;
            type Config = $options;

            async fn build(
                &self,
                _: $options,
                _: <$family as Family>::Context,
            ) -> Result<<$family as Family>::Product, BuildError> {
                Err(BuildError::new("only its options are looked at"))
            }
        })+
    };
}

adapter!(Kafka, "kafka", KafkaOptions, Sources);
adapter!(Log, "log", LogOptions, Sinks);
adapter!(Webhook, "webhook", WebhookOptions, Sinks);
adapter!(Email, "email", EmailOptions, Sinks);
adapter!(Slack, "slack", SlackOptions, Sinks);
adapter!(KafkaSink, "kafka", KafkaSinkOptions, Sinks);
adapter!(NatsSink, "nats", NatsSinkOptions, Sinks);
adapter!(AmqpSink, "amqp", AmqpSinkOptions, Sinks);
adapter!(Http, "http", HttpOptions, Sinks);
adapter!(PagerDuty, "pagerduty", PagerDutyOptions, Sinks);
adapter!(Strict, "strict", StrictOptions, Sinks);
adapter!(Memory, "memory", MemoryOptions, States, Audits);
adapter!(Sqlite, "sqlite", SqliteOptions, States, Audits);
adapter!(Remote, "remote", RemoteOptions, States);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct LogOptions {
    level: Option<String>,
    payload: Option<bool>,
    write: Option<bool>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct HttpOptions {
    preset: Option<String>,
    preset_file: Option<String>,
    definition: Option<serde_json::Value>,
    options: Option<BTreeMap<String, Secret>>,
    allow_cidrs: Option<Vec<String>>,
    ca_file: Option<String>,
    client_cert: Option<String>,
    client_key: Option<String>,
    proxy: Option<Secret>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct EmailOptions {
    from_address: String,
    smtp_host: String,
    smtp_port: Option<u16>,
    tls: Option<String>,
    ca_file: Option<String>,
    username: Option<String>,
    password: Option<Secret>,
    auth: Option<String>,
    hello_name: Option<String>,
    allow_headers: Option<Vec<String>>,
    max_recipients: Option<usize>,
    final_reply_seconds: Option<u32>,
    allow_cidrs: Option<Vec<String>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct SqliteOptions {
    path: Option<String>,
    synchronous: Option<String>,
    max_keys: Option<usize>,
    max_remembered: Option<usize>,
    max_remembered_bytes: Option<usize>,
    max_group_bytes: Option<usize>,
    max_dead_letter_bytes: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct MemoryOptions {
    max_keys: Option<usize>,
    max_remembered: Option<usize>,
    max_remembered_bytes: Option<usize>,
    max_group_bytes: Option<usize>,
    max_dead_letter_bytes: Option<usize>,
    max_records: Option<usize>,
    max_bytes: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct KafkaOptions {
    brokers: String,
    topics: Vec<String>,
    group_id: String,
    #[serde(default)]
    start: Start,
    #[serde(default)]
    codec: Codec,
    #[serde(default)]
    ordered: bool,
    #[serde(default)]
    ordering_key: Vec<String>,
    #[serde(default)]
    consumers: u32,
    #[serde(default)]
    retry_topic: Option<String>,
    #[serde(default)]
    dead_letter_topic: Option<String>,
    #[serde(default)]
    client: BTreeMap<String, Secret>,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Start {
    /// At the oldest.
    #[default]
    Earliest,
    /// At the next record.
    Latest,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Codec {
    #[default]
    Json,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct WebhookOptions {
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    body: Body,
    #[serde(default)]
    auth: Option<Auth>,
    #[serde(default)]
    success_codes: Vec<u16>,
    signing_secret: Option<Secret>,
    signing_secrets: Option<Vec<Secret>>,
    #[serde(flatten)]
    connection: ConnectionOptions,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct SlackOptions {
    token: Option<Secret>,
    default_channel: Option<String>,
    webhook_url: Option<Secret>,
    api_base_url: Option<String>,
    allow_mentions: Option<bool>,
    #[serde(flatten)]
    connection: ConnectionOptions,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct PagerDutyOptions {
    routing_key: Option<Secret>,
    #[serde(default)]
    services: BTreeMap<String, Secret>,
    default_service: Option<String>,
    default_severity: Option<String>,
    default_source: Option<String>,
    api_base_url: Option<String>,
    #[serde(flatten)]
    connection: ConnectionOptions,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct KafkaSinkOptions {
    brokers: String,
    topic: String,
    key: Option<String>,
    body: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
    #[serde(default)]
    client: BTreeMap<String, Secret>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct NatsSinkOptions {
    url: Secret,
    subject: String,
    body: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
    username: Option<String>,
    password: Option<Secret>,
    token: Option<Secret>,
    credentials_file: Option<String>,
    #[serde(default)]
    tls_first: bool,
    ca_file: Option<String>,
    client_cert: Option<String>,
    client_key: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct AmqpSinkOptions {
    url: Secret,
    exchange: Option<String>,
    routing_key: Option<String>,
    body: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
    max_message_bytes: Option<usize>,
    ca_file: Option<String>,
    client_cert: Option<String>,
    client_key: Option<String>,
}

/// Flattened, as HTTP providers have them.
#[derive(Deserialize, JsonSchema)]
#[allow(dead_code)]
struct ConnectionOptions {
    #[serde(default)]
    allow_cidrs: Vec<String>,
    ca_file: Option<String>,
    client_cert: Option<String>,
    client_key: Option<String>,
    proxy: Option<Secret>,
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Body {
    #[default]
    Action,
    Payload,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[allow(dead_code)]
enum Auth {
    Bearer { token: Secret },
    Basic { username: String, password: Secret },
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct RemoteOptions {
    url: Secret,
    #[serde(default = "prefix")]
    prefix: String,
}

fn prefix() -> String {
    "acteon".into()
}

/// Options that only their own reader can check, and alternatives of all kinds.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct StrictOptions {
    #[serde(default, deserialize_with = "address")]
    #[schemars(with = "Option<String>")]
    first: Option<IpAddr>,
    #[serde(default)]
    second: Option<IpAddr>,
    #[serde(default)]
    third: Vec<IpAddr>,
    #[serde(default)]
    password: Option<Password>,
    #[serde(default)]
    to: Option<OneOrMany>,
    #[serde(default)]
    scheme: Option<Scheme>,
    #[serde(default)]
    anything: Option<serde_json::Value>,
}

/// A reader that quotes the value it refuses.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IpAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let address = text
        .parse()
        .map_err(|_| serde::de::Error::custom(format!("no address: {text}")));
    address.map(Some)
}

#[derive(JsonSchema)]
#[schemars(transparent)]
#[allow(dead_code)]
struct Password(Secret);

impl<'de> Deserialize<'de> for Password {
    /// A reader that quotes its secret.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let secret = Secret::deserialize(deserializer)?;
        let text = secret.expose();
        Err(serde::de::Error::custom(format!(
            "{text} is too weak, choose a better one than {text:?}"
        )))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code)]
enum Scheme {
    Plain,
    Signed { key: Secret },
}
