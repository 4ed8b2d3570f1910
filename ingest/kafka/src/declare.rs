//! Creates missing topics, with a record limit and retention large enough for their use.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, OwnedResourceSpecifier, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use tokio::task::spawn_blocking;

use crate::events::Events;

/// How long the broker may take for one answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Leaves the number of partitions and replicas to the broker.
const BROKER_DEFAULT: i32 = -1;
/// The smallest record limit of a created topic.
const RECORD_BYTES_MIN: u64 = 10 << 20;
/// How many bytes the headers may add to a copy.
const HEADERS_BYTES: u64 = 64 << 10;
const RECORD_LIMIT: &str = "max.message.bytes";
const RETENTION: &str = "retention.ms";

/// A topic that must exist.
pub(crate) struct TopicSpec {
    pub(crate) name: String,
    /// The minimum retention of its records; `None` means the broker's default.
    pub(crate) retention: Option<Duration>,
}

/// Creates the `wanted` topics that do not exist, for records as long as those of the topics in `read`. Returns the
/// topics that do not exist and could not be created.
///
/// # Errors
/// When no broker answers.
pub(crate) async fn declare(
    client: &ClientConfig,
    read: &[String],
    wanted: &[TopicSpec],
    events: &Arc<Events>,
) -> KafkaResult<Vec<String>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let admin = client.create_with_context(AdminContext(events.clone()))?;
    let mut admin = Admin(Some(admin));
    let declared = declare_by(admin.client()?, read, wanted, events).await;
    // The metadata request and dropping the client both block. The source waits for them, so that the topics are known
    // before it joins its group; joining without them would be followed by a rebalance.
    let client = admin.0.take();
    let checked = spawn_blocking(move || match (declared, client) {
        (Ok(refused), Some(client)) if !refused.is_empty() => missing(&client, refused),
        (declared, _) => declared,
    });
    checked.await.unwrap_or_else(|_| Ok(Vec::new()))
}

/// A client that creates topics. If the declaration is cancelled, a thread that may block drops it.
struct Admin(Option<AdminClient<AdminContext>>);

impl Admin {
    fn client(&self) -> KafkaResult<&AdminClient<AdminContext>> {
        self.0.as_ref().ok_or(KafkaError::Canceled)
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            spawn_blocking(move || drop(client));
        }
    }
}

/// Reports the errors of the client that creates topics.
struct AdminContext(Arc<Events>);

impl ClientContext for AdminContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.client_said(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.client_failed(&error, reason);
    }
}

/// Returns the topics that could not be created. They may exist nevertheless.
async fn declare_by(
    admin: &AdminClient<AdminContext>,
    read: &[String],
    wanted: &[TopicSpec],
    events: &Events,
) -> KafkaResult<Vec<String>> {
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    let limit = record_limit(admin, read, wanted, events).await?.to_string();
    let with_texts = wanted.iter().map(|topic| {
        let millis = |kept: Duration| kept.as_millis().to_string();
        (topic, topic.retention.map(millis))
    });
    let with_texts: Vec<_> = with_texts.collect();
    let new = with_texts.iter().map(|(topic, retention)| {
        let replication = TopicReplication::Fixed(BROKER_DEFAULT);
        let new = NewTopic::new(&topic.name, BROKER_DEFAULT, replication);
        let new = new.set(RECORD_LIMIT, &limit);
        match retention {
            None => new,
            Some(retention) => new
                .set(RETENTION, retention)
                .set("retention.bytes", "-1")
                .set("cleanup.policy", "delete"),
        }
    });
    let new: Vec<_> = new.collect();
    let mut refused = Vec::new();
    for result in admin.create_topics(&new, &options).await? {
        match result {
            Ok(topic) => events.topic_declared(&topic),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                events.topic_not_declared(&topic, &code.to_string());
                refused.push(topic);
            }
        }
    }
    Ok(refused)
}

/// The record limit of created topics: the largest of the topics that are read, plus room for headers. Warns about
/// existing topics whose record limit or retention is too small.
async fn record_limit(
    admin: &AdminClient<AdminContext>,
    read: &[String],
    wanted: &[TopicSpec],
    events: &Events,
) -> KafkaResult<u64> {
    let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
    let wanted_names = wanted.iter().map(|topic| &topic.name);
    let asked = read.iter().chain(wanted_names);
    let asked: Vec<_> = asked.map(|name| ResourceSpecifier::Topic(name)).collect();
    let answered = admin.describe_configs(&asked, &options).await?;
    // Topics that do not exist or may not be described are skipped.
    let found: Vec<ConfigResource> = answered.into_iter().flatten().collect();
    let limit_of = |topic: &ConfigResource| number(topic, RECORD_LIMIT);
    let of_read = found
        .iter()
        .filter(|topic| read.iter().any(|n| n == name(topic)));
    let needed = of_read.filter_map(limit_of).max();
    for topic in &found {
        let Some(wanted) = wanted.iter().find(|wanted| wanted.name == name(topic)) else {
            continue;
        };
        if let Some(limit) = limit_of(topic)
            && let Some(needed) = needed
            && limit < needed
        {
            events.topic_is_narrow(&wanted.name, limit, needed);
        }
        let kept = number(topic, RETENTION).map(Duration::from_millis);
        if let Some(kept) = kept
            && let Some(needed) = wanted.retention
            && kept < needed
        {
            events.topic_forgets(&wanted.name, kept, needed);
        }
    }
    let needed = needed.unwrap_or(0).saturating_add(HEADERS_BYTES);
    Ok(needed.clamp(RECORD_BYTES_MIN, i32::MAX as u64))
}

fn name(topic: &ConfigResource) -> &str {
    match &topic.specifier {
        OwnedResourceSpecifier::Topic(name) | OwnedResourceSpecifier::Group(name) => name,
        OwnedResourceSpecifier::Broker(_) => "",
    }
}

/// The value of a numeric setting; `None` if it means unlimited.
fn number(topic: &ConfigResource, setting: &str) -> Option<u64> {
    topic.get(setting)?.value.as_deref()?.parse().ok()
}

/// The `topics` that do not exist. Requests the metadata of all topics, since a request for one may create it.
fn missing(admin: &AdminClient<AdminContext>, topics: Vec<String>) -> KafkaResult<Vec<String>> {
    let metadata = admin.inner().fetch_metadata(None, REQUEST_TIMEOUT)?;
    let exists = |name: &String| metadata.topics().iter().any(|topic| topic.name() == name);
    Ok(topics.into_iter().filter(|name| !exists(name)).collect())
}
