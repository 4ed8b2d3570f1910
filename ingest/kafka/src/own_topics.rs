//! The topics that a source writes to: one for each tier of the delayed path, and one for dead letters. They are
//! declared before anything is published to them, and again after they have vanished.

use std::sync::Arc;
use std::time::Duration;

use acteon_core::Clock;
use acteon_ingest_kit::Tier;
use acteon_ingest_kit::headers::Owner;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use tokio::time::Instant;

use crate::config::KafkaConfig;
use crate::declare::{TopicSpec, declare};
use crate::events::Events;

/// The delay before a refused declaration is repeated.
const RETRY_DELAY: Duration = Duration::from_secs(5);
/// The retention of waiting records: longer than any redelivery continues, plus time for operators who stopped
/// everything.
const RETENTION: Duration = Duration::from_secs(7 * 86_400);

/// The topics of the delayed path.
#[derive(Debug)]
pub(crate) struct RetryTopics([(Tier, Arc<str>); 5]);

impl RetryTopics {
    fn of(retry_topic: &str) -> Self {
        Self(Tier::ALL.map(|tier| (tier, name(retry_topic, tier).into())))
    }

    /// The topic for a wait of this length.
    pub(crate) fn for_wait(&self, wait: Duration) -> &Arc<str> {
        let wanted = Tier::of(wait);
        let found = self.0.iter().find(|(tier, _)| *tier == wanted);
        &found.unwrap_or(&self.0[4]).1
    }

    /// The tier of a topic.
    pub(crate) fn tier_of(&self, topic: &str) -> Option<Tier> {
        let found = self.0.iter().find(|(_, name)| **name == *topic);
        found.map(|(tier, _)| *tier)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter().map(|(_, name)| name)
    }
}

/// The topic names with the prefix `retry_topic`.
pub(crate) fn names(retry_topic: &str) -> impl Iterator<Item = String> {
    Tier::ALL.into_iter().map(|tier| name(retry_topic, tier))
}

fn name(retry_topic: &str, tier: Tier) -> String {
    format!("{retry_topic}.{}", tier.as_str())
}

/// The topics a source writes to, shared by all its members.
pub(crate) struct OwnTopics {
    /// Where actions wait for redelivery, unless they wait in this process.
    pub(crate) retry: Option<RetryTopics>,
    pub(crate) dead_letter: Option<Arc<str>>,
    pub(crate) owner: Owner,
    pub(crate) clock: Clock,
    client: ClientConfig,
    read: Vec<String>,
    pub(crate) events: Arc<Events>,
    declared: tokio::sync::Mutex<Declaration>,
    missing: Mutex<Vec<String>>,
}

/// The known state of the topics.
#[derive(Clone, Copy)]
enum Declaration {
    Unknown,
    /// All exist.
    All,
    /// Some did not exist and could not be created at this time.
    Not(Instant),
}

impl OwnTopics {
    pub(crate) fn new(
        options: &KafkaConfig,
        name: &str,
        clock: Clock,
        events: Arc<Events>,
    ) -> Self {
        let retry_topic = options.retry_topic(name);
        Self {
            // An ordered source keeps waiting actions at the head of their lanes instead.
            retry: (!options.ordered).then(|| RetryTopics::of(&retry_topic)),
            dead_letter: options.dead_letter_topic.as_deref().map(Arc::from),
            owner: Owner {
                source: name.into(),
                group: options.group_id.as_str().into(),
            },
            clock,
            client: options.producer(name),
            read: options.topics.clone(),
            events,
            declared: tokio::sync::Mutex::new(Declaration::Unknown),
            missing: Mutex::default(),
        }
    }

    /// Makes sure that all topics exist. Concurrent callers wait for the first.
    ///
    /// # Errors
    /// When no broker answers, or when some topics do not exist and may not be created.
    pub(crate) async fn ensure(&self) -> KafkaResult<()> {
        let mut declared = self.declared.lock().await;
        match *declared {
            Declaration::All => return Ok(()),
            Declaration::Not(at) if at.elapsed() < RETRY_DELAY => return Err(refused()),
            Declaration::Unknown | Declaration::Not(_) => {}
        }
        let missing = declare(&self.client, &self.read, &self.wanted(), &self.events).await?;
        *declared = match missing.is_empty() {
            true => Declaration::All,
            false => Declaration::Not(Instant::now()),
        };
        let is_refused = !missing.is_empty();
        *self.missing.lock() = missing;
        match is_refused {
            true => Err(refused()),
            false => Ok(()),
        }
    }

    /// Some topic may have vanished: the topics are declared again before the next publication.
    pub(crate) async fn recheck(&self) {
        let mut declared = self.declared.lock().await;
        if let Declaration::All = *declared {
            *declared = Declaration::Unknown;
        }
    }

    /// The topics that someone else must create, as a message.
    pub(crate) fn missing(&self) -> Option<String> {
        let missing = self.missing.lock();
        let names = missing.join(", ");
        (!missing.is_empty())
            .then(|| format!("topics to create, because it may not create them: {names}"))
    }

    fn wanted(&self) -> Vec<TopicSpec> {
        let retry = self.retry.iter().flat_map(RetryTopics::names);
        let retry = retry.map(|name| TopicSpec {
            name: name.to_string(),
            retention: Some(RETENTION),
        });
        let letters = self.dead_letter.iter().map(|name| TopicSpec {
            name: name.to_string(),
            retention: None,
        });
        retry.chain(letters).collect()
    }
}

fn refused() -> KafkaError {
    KafkaError::AdminOp(RDKafkaErrorCode::UnknownTopicOrPartition)
}
