//! The source: connects, runs a session, and reconnects when it breaks.

use std::panic::resume_unwind;
use std::sync::Arc;

use acteon_connect_kafka::dial;
use acteon_core::health::Part;
use acteon_core::source::{SourceContext, SourceError};
use acteon_core::{BuildError, Shutdown, Source};
use acteon_ingest_kit::{
    Backoff, Connection, ConnectionEnd, Decoder, OrderingKey, Progress, supervise,
};
use async_trait::async_trait;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio::time::{Duration, Instant, sleep};

use crate::client_report::SessionInbox;
use crate::config::KafkaConfig;
use crate::context::Context;
use crate::events::Events;
use crate::member::{ConsumerMember, Prefetch};
use crate::member_context::{MemberContext, UNDUE_BYTES};
use crate::own_topics::OwnTopics;
use crate::session::Session;
use crate::starts::FormerExtents;

/// How long leaving the group may take after the process has run out of time.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// The fraction of a source's room that is kept for the delayed path.
const RETRIES_PART: u32 = 8;

/// Reads topics as one or more members of a consumer group, and the topics of the delayed path as one more member.
pub struct KafkaSource {
    options: Arc<KafkaConfig>,
    ordering_key: OrderingKey,
    context: SourceContext,
    members: Vec<(ConsumerMember, Arc<Progress>)>,
    former: Arc<FormerExtents>,
    own_topics: Arc<OwnTopics>,
}

impl KafkaSource {
    /// A source with these options. Has no side effects except that it opens the TLS files, which must exist.
    ///
    /// # Errors
    /// All options that cannot work.
    pub fn new(options: KafkaConfig, context: SourceContext) -> Result<Self, BuildError> {
        options.check(&context.name)?;
        Self::unchecked(options, context)
    }

    pub(crate) fn unchecked(
        options: KafkaConfig,
        context: SourceContext,
    ) -> Result<Self, BuildError> {
        let events = Arc::new(Events::new(&context.name));
        let own_topics = OwnTopics::new(&options, &context.name, context.clock, events);
        let readers = (0..options.consumers).map(ConsumerMember::OfTopics);
        let retries = own_topics
            .retry
            .is_some()
            .then_some(ConsumerMember::OfRetries);
        let members = readers.chain(retries);
        Ok(Self {
            members: members
                .map(|member| (member, Arc::new(Progress::new(&context.name))))
                .collect(),
            ordering_key: options.ordering_key()?,
            own_topics: Arc::new(own_topics),
            options: Arc::new(options),
            context,
            former: Arc::default(),
        })
    }

    fn shared(&self, member: ConsumerMember, progress: &Arc<Progress>) -> MemberContext {
        let options = &self.options;
        let context = &self.context;
        MemberContext {
            member,
            options: options.clone(),
            context: context.clone(),
            decoder: Decoder::new(
                options.codec,
                &context.name,
                context.defaults.clone(),
                context.throttled,
            ),
            ordering_key: self.ordering_key.clone(),
            progress: progress.clone(),
            events: match member {
                // The member that waits for the declaration also reports its errors.
                ConsumerMember::OfRetries => self.own_topics.events.clone(),
                ConsumerMember::OfTopics(_) => Arc::new(Events::new(&context.name)),
            },
            former: self.former.clone(),
            own_topics: self.own_topics.clone(),
            in_flight_max: self.in_flight_max(member),
            prefetch: self.prefetch(member),
        }
    }

    /// Sets the final error as the status of every member.
    fn failed(&self, error: &SourceError) {
        for (_, progress) in &self.members {
            progress.not_ready(error.message.as_str());
        }
    }

    fn has_retries(&self) -> bool {
        self.own_topics.retry.is_some()
    }

    fn in_flight_max(&self, member: ConsumerMember) -> usize {
        let all = self.context.max_in_flight;
        let all = all.unwrap_or(self.context.admission.actions_max());
        let of_retries = match self.has_retries() {
            true => all / RETRIES_PART,
            false => 0,
        };
        let max = match member {
            ConsumerMember::OfTopics(_) => (all - of_retries) / self.options.consumers,
            ConsumerMember::OfRetries => of_retries,
        };
        (max as usize).max(1)
    }

    fn prefetch(&self, member: ConsumerMember) -> Prefetch {
        let of_retries = match self.has_retries() {
            true => Prefetch::LEAST.bytes() + UNDUE_BYTES,
            false => 0,
        };
        let share = self.context.prefetch_bytes.saturating_sub(of_retries);
        match member {
            ConsumerMember::OfTopics(_) => Prefetch::of(share, self.options.consumers),
            ConsumerMember::OfRetries => Prefetch::LEAST,
        }
    }
}

#[async_trait]
impl Source for KafkaSource {
    async fn run(&self, shutdown: Shutdown) -> Result<(), SourceError> {
        let mut members = JoinSet::new();
        let mut ahead = 0;
        for (member, progress) in &self.members {
            let shared = self.shared(*member, progress);
            let shutdown = shutdown.clone();
            ahead += shared.prefetch.bytes();
            if *member == ConsumerMember::OfRetries {
                ahead += UNDUE_BYTES;
            }
            let run = async move { supervise(&shared, Backoff::reconnect(), &shutdown).await };
            members.spawn(run);
        }
        // The prefetch of the clients counts as in flight.
        let ahead = ahead.min(self.context.prefetch_bytes);
        let _fetched_ahead = self.context.admission.reserve(ahead);
        while let Some(end) = members.join_next().await {
            match end.map_err(JoinError::try_into_panic) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    members.shutdown().await;
                    self.failed(&error);
                    return Err(error);
                }
                Err(Ok(panic)) => resume_unwind(panic),
                Err(Err(_)) => {}
            }
        }
        Ok(())
    }

    /// The readiness of the member in the worst state.
    fn readiness(&self) -> Part {
        let now = Instant::now();
        let parts = self.members.iter().map(|(_, progress)| progress.part(now));
        let worst = parts.min_by_key(|part| part.ready);
        worst.unwrap_or_else(|| Part::ready(self.context.name.clone()))
    }

    async fn dial(&self) -> Result<Option<String>, BuildError> {
        let topics = self.options.topics.iter().enumerate();
        let topics = topics.map(|(at, topic)| (format!("topics[{at}]"), topic.clone()));
        let client = format!("acteon-{}", self.context.name);
        let connection = self.options.connection.clone();
        let reached = dial(connection, &client, topics.collect()).await;
        reached.map(Some)
    }
}

#[async_trait]
impl Connection for MemberContext {
    type Lost = KafkaError;

    async fn run(&self, shutdown: &Shutdown) -> ConnectionEnd<KafkaError> {
        self.events.connecting();
        self.progress.not_ready("is connecting");
        let declared = tokio::select! {
            declared = self.declare() => declared,
            // Nothing is in flight yet, and a broker that is away would keep the process waiting.
            () = shutdown.stop.cancelled() => return ConnectionEnd::Stopped,
        };
        match declared {
            Ok(()) => {}
            Err(error @ (KafkaError::ClientCreation(_) | KafkaError::ClientConfig(..))) => {
                return ConnectionEnd::Hopeless(self.hopeless(&error));
            }
            Err(error) => return ConnectionEnd::Lost(error),
        }
        let inbox = Arc::new(SessionInbox::default());
        let consumer = match self.subscribe(&inbox) {
            Ok(consumer) => Arc::new(consumer),
            Err(error) => return ConnectionEnd::Hopeless(self.hopeless(&error)),
        };
        let session = Session::new(self, &consumer, inbox, shutdown);
        let end = session.run(consumer.stream()).await;
        self.progress.not_ready("has left its group");
        leave(consumer, shutdown).await;
        end
    }

    fn lost(&self, error: KafkaError, wait: Duration) {
        self.progress.not_ready(self.events.why_unreachable());
        self.events.lost(&error, wait);
    }
}

/// Leaves the group. This talks to the broker and blocks.
async fn leave(consumer: Arc<StreamConsumer<Context>>, shutdown: &Shutdown) {
    consumer.context().close();
    let left = spawn_blocking(move || drop(consumer));
    tokio::select! {
        _ = left => {}
        () = async {
            shutdown.abandon.cancelled().await;
            sleep(LEAVE_TIMEOUT).await;
        } => {}
    }
}
