//! The source: connects, runs a session, and reconnects when it breaks.

use std::panic::resume_unwind;
use std::sync::Arc;

use acteon_core::health::Part;
use acteon_core::source::{SourceContext, SourceError};
use acteon_core::{BuildError, Shutdown, Source};
use acteon_ingest_kit::{Backoff, Connection, Decoder, Ended, OrderingKey, Progress, supervise};
use async_trait::async_trait;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio::time::{Duration, Instant, sleep};

use crate::assignment::Undue;
use crate::check;
use crate::config::KafkaConfig;
use crate::context::{Context, Inbox};
use crate::dial;
use crate::events::Events;
use crate::member::{Member, Prefetch};
use crate::own_topics::{OwnTopics, RetryTopics};
use crate::session::Session;
use crate::starts::Remembered;

/// How long leaving the group may take after the process has run out of time.
const LEAVING_PATIENCE: Duration = Duration::from_secs(1);

/// The fraction of a source's room that is kept for the delayed path.
const RETRIES_PART: u32 = 8;
/// How many bytes of records may wait here until they are due. They are reserved together with the prefetch.
const UNDUE_BYTES: u32 = 2 << 20;

/// Reads topics as one or more members of a consumer group, and the topics of the delayed path as one more member.
pub struct KafkaSource {
    options: Arc<KafkaConfig>,
    ordering_key: OrderingKey,
    context: SourceContext,
    members: Vec<(Member, Arc<Progress>)>,
    remembered: Arc<Remembered>,
    own_topics: Arc<OwnTopics>,
}

/// State that all sessions of a member share.
pub(crate) struct Shared {
    pub(crate) member: Member,
    pub(crate) options: Arc<KafkaConfig>,
    pub(crate) context: SourceContext,
    pub(crate) decoder: Decoder,
    pub(crate) ordering_key: OrderingKey,
    pub(crate) progress: Arc<Progress>,
    pub(crate) events: Arc<Events>,
    pub(crate) own_topics: Arc<OwnTopics>,
    /// How many records may be in work at once: begun, not settled, and not waiting until they are due.
    pub(crate) in_flight_max: usize,
    /// How far partitions were settled when this process gave them up.
    pub(crate) remembered: Arc<Remembered>,
    prefetch: Prefetch,
}

/// How many records a partition may read past an unsettled one, even where fewer may be in flight: a provider that
/// hangs until its time limit must not stop the records behind it. Eight bytes each.
const SPAN_MAX: usize = 200_000;

impl Shared {
    /// How many records may lie between the first unsettled record of a partition and the last one read.
    pub(crate) fn span_max(&self) -> usize {
        self.in_flight_max.max(SPAN_MAX)
    }

    /// How many records of one delayed path partition may wait here until they are due, when this many partitions are
    /// assigned.
    pub(crate) fn undue_max(&self, partitions: usize) -> Undue {
        let share = partitions.max(1);
        Undue {
            records: (self.in_flight_max / 2 / share).clamp(1, self.context.max_batch),
            bytes: u64::from(UNDUE_BYTES) / share as u64,
        }
    }
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
        let readers = (0..options.consumers).map(Member::OfTopics);
        let retries = own_topics.retry.is_some().then_some(Member::OfRetries);
        let members = readers.chain(retries);
        Ok(Self {
            members: members
                .map(|member| (member, Arc::new(Progress::new(&context.name))))
                .collect(),
            ordering_key: options.ordering_key()?,
            own_topics: Arc::new(own_topics),
            options: Arc::new(options),
            context,
            remembered: Arc::default(),
        })
    }

    fn shared(&self, member: Member, progress: &Arc<Progress>) -> Shared {
        let (options, context) = (&self.options, &self.context);
        Shared {
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
                Member::OfRetries => self.own_topics.events.clone(),
                Member::OfTopics(_) => Arc::new(Events::new(&context.name)),
            },
            remembered: self.remembered.clone(),
            own_topics: self.own_topics.clone(),
            in_flight_max: self.in_flight_max(member),
            prefetch: self.prefetch(member),
        }
    }

    /// Sets the final error as the status of every member.
    fn cannot_go_on(&self, error: &SourceError) {
        for (_, progress) in &self.members {
            progress.troubled(error.message.as_str());
        }
    }

    fn has_retries(&self) -> bool {
        self.own_topics.retry.is_some()
    }

    fn in_flight_max(&self, member: Member) -> usize {
        let all = self.context.max_in_flight;
        let all = all.unwrap_or(self.context.admission.actions_max());
        let of_retries = match self.has_retries() {
            true => all / RETRIES_PART,
            false => 0,
        };
        let max = match member {
            Member::OfTopics(_) => (all - of_retries) / self.options.consumers,
            Member::OfRetries => of_retries,
        };
        (max as usize).max(1)
    }

    fn prefetch(&self, member: Member) -> Prefetch {
        let of_retries = match self.has_retries() {
            true => Prefetch::LEAST.bytes() + UNDUE_BYTES,
            false => 0,
        };
        let share = self.context.prefetch_bytes.saturating_sub(of_retries);
        match member {
            Member::OfTopics(_) => Prefetch::of(share, self.options.consumers),
            Member::OfRetries => Prefetch::LEAST,
        }
    }
}

#[async_trait]
impl Source for KafkaSource {
    async fn run(&self, shutdown: Shutdown) -> Result<(), SourceError> {
        let (mut members, mut ahead) = (JoinSet::new(), 0);
        for (member, progress) in &self.members {
            let (shared, shutdown) = (self.shared(*member, progress), shutdown.clone());
            ahead += shared.prefetch.bytes();
            if *member == Member::OfRetries {
                ahead += UNDUE_BYTES;
            }
            let run = async move { supervise(&shared, Backoff::reconnect(), &shutdown).await };
            members.spawn(run);
        }
        // The prefetch of the clients counts as in flight.
        let ahead = ahead.min(self.context.prefetch_bytes);
        let _fetched_ahead = self.context.admission.reserve(ahead);
        while let Some(ended) = members.join_next().await {
            match ended.map_err(JoinError::try_into_panic) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    members.shutdown().await;
                    self.cannot_go_on(&error);
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
        let reached = dial::dial(self.options.clone(), &self.context.name).await;
        reached.map(Some)
    }
}

#[async_trait]
impl Connection for Shared {
    type Lost = KafkaError;

    async fn run(&self, shutdown: &Shutdown) -> Ended<KafkaError> {
        self.events.connecting();
        self.progress.troubled("is connecting");
        match self.declare().await {
            Ok(()) => {}
            Err(error @ (KafkaError::ClientCreation(_) | KafkaError::ClientConfig(..))) => {
                return Ended::Hopeless(self.hopeless(&error));
            }
            Err(error) => return Ended::Lost(error),
        }
        let inbox = Arc::new(Inbox::default());
        let consumer = match self.subscribe(&inbox) {
            Ok(consumer) => Arc::new(consumer),
            Err(error) => return Ended::Hopeless(self.hopeless(&error)),
        };
        let session = Session::new(self, &consumer, inbox, shutdown);
        let ended = session.run(consumer.stream()).await;
        self.progress.troubled("has left its group");
        leave(consumer, shutdown).await;
        ended
    }

    fn lost(&self, error: KafkaError, wait: Duration) {
        self.progress.troubled(self.events.why_unreachable());
        self.events.lost(&error, wait);
    }
}

impl Shared {
    /// Creates the topics that the source writes to before the delayed path is read. The other members need not wait,
    /// since every publication does.
    async fn declare(&self) -> KafkaResult<()> {
        let declares = match self.member {
            Member::OfTopics(_) => self.own_topics.retry.is_none(),
            Member::OfRetries => true,
        };
        if !declares {
            return Ok(());
        }
        match self.own_topics.ensure().await {
            // Someone else may create them in the meantime.
            Err(KafkaError::AdminOp(RDKafkaErrorCode::UnknownTopicOrPartition)) => Ok(()),
            ended => ended,
        }
    }

    /// The topics this member reads.
    pub(crate) fn topics(&self) -> Vec<String> {
        match self.member {
            Member::OfTopics(_) => self.options.topics.clone(),
            Member::OfRetries => {
                let retry = self.own_topics.retry.iter();
                let names = retry.flat_map(RetryTopics::names);
                names.map(|name| name.to_string()).collect()
            }
        }
    }

    fn subscribe(&self, inbox: &Arc<Inbox>) -> KafkaResult<StreamConsumer<Context>> {
        let context = Context::new(inbox.clone(), self.events.clone());
        let (options, name) = (&self.options, &self.context.name);
        let config = options.consumer(name, self.member, self.prefetch);
        let consumer: StreamConsumer<Context> = config.create_with_context(context)?;
        let topics = self.topics();
        let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        Ok(consumer)
    }

    /// An error that no retry will fix. The library's own error is left out because it may contain property values.
    fn hopeless(&self, error: &KafkaError) -> SourceError {
        SourceError {
            name: self.context.name.clone(),
            message: check::refused(error, &self.options).to_string(),
            source: None,
        }
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
            sleep(LEAVING_PATIENCE).await;
        } => {}
    }
}
