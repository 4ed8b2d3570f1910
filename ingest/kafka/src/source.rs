//! The source: connects, runs a session, and connects again when it breaks.

use std::panic::resume_unwind;
use std::sync::Arc;

use acteon_core::health::Part;
use acteon_core::source::{SourceContext, SourceError};
use acteon_core::{Shutdown, Source, ThrottledPolicy};
use acteon_ingest_kit::{Backoff, Connection, Decoder, Ended, Progress, supervise};
use async_trait::async_trait;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult};
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio::time::{Duration, Instant, sleep};

use crate::check;
use crate::config::KafkaConfig;
use crate::context::{Context, Inbox};
use crate::error::OptionError;
use crate::events::Events;
use crate::member::{Member, Prefetch};
use crate::session::Session;
use crate::starts::Remembered;
use crate::topics::declare;

/// How long leaving the group may take when there is no time left.
const LEAVING_PATIENCE: Duration = Duration::from_secs(1);

/// Of a source's room, this part is for what waits in the retry topic.
const RETRIES_PART: u32 = 8;

/// Reads topics as one or more members of a consumer group, and the retry topic as one more.
pub struct KafkaSource {
    options: Arc<KafkaConfig>,
    context: SourceContext,
    members: Vec<(Member, Arc<Progress>)>,
    remembered: Arc<Remembered>,
}

/// What all sessions of a member share.
pub(crate) struct Shared {
    pub(crate) member: Member,
    pub(crate) options: Arc<KafkaConfig>,
    pub(crate) context: SourceContext,
    pub(crate) decoder: Decoder,
    pub(crate) progress: Arc<Progress>,
    pub(crate) events: Arc<Events>,
    /// Where throttled actions wait, when that is where they wait.
    pub(crate) retry_topic: Option<Arc<str>>,
    pub(crate) dead_letter_topic: Option<Arc<str>>,
    /// How many records may be unsettled, in all and in one partition.
    pub(crate) in_flight_max: usize,
    /// How far partitions were settled that were given up.
    pub(crate) remembered: Arc<Remembered>,
    prefetch: Prefetch,
}

impl Shared {
    /// How many records of a retry partition may wait here for their time.
    pub(crate) fn undue_max(&self) -> usize {
        self.context.max_batch.min(self.in_flight_max / 4).max(1)
    }
}

impl KafkaSource {
    /// A source of these options. Touches nothing outside.
    ///
    /// # Errors
    /// The first option that cannot work.
    pub fn new(options: KafkaConfig, context: SourceContext) -> Result<Self, OptionError> {
        options.check()?;
        Ok(Self::unchecked(options, context))
    }

    pub(crate) fn unchecked(options: KafkaConfig, context: SourceContext) -> Self {
        // An ordered source keeps what is throttled at the head of its lane instead.
        let retries = context.throttled == ThrottledPolicy::Retry && !options.ordered;
        let readers = (0..options.consumers).map(Member::OfTopics);
        let members = readers.chain(retries.then_some(Member::OfRetries));
        Self {
            members: members
                .map(|member| (member, Arc::new(Progress::new(&context.name))))
                .collect(),
            options: Arc::new(options),
            context,
            remembered: Arc::default(),
        }
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
            progress: progress.clone(),
            events: Arc::new(Events::new(&context.name)),
            remembered: self.remembered.clone(),
            retry_topic: self.has_retries().then(|| options.retry_topic().into()),
            dead_letter_topic: options.dead_letter_topic.as_deref().map(Arc::from),
            in_flight_max: self.in_flight_max(member),
            prefetch: self.prefetch(member),
        }
    }

    /// From now on this is all there is to say.
    fn cannot_go_on(&self, error: &SourceError) {
        for (_, progress) in &self.members {
            progress.troubled(error.message.as_str());
        }
    }

    fn has_retries(&self) -> bool {
        let mut members = self.members.iter();
        members.any(|(member, _)| *member == Member::OfRetries)
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
            true => Prefetch::LEAST.bytes(),
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
            let run = async move { supervise(&shared, Backoff::reconnect(), &shutdown).await };
            members.spawn(run);
        }
        // What the clients fetch ahead is in flight, too.
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

    /// That of the member which is worst off.
    fn readiness(&self) -> Part {
        let now = Instant::now();
        let parts = self.members.iter().map(|(_, progress)| progress.part(now));
        let worst = parts.min_by_key(|part| part.ready);
        worst.unwrap_or_else(|| Part::ready(self.context.name.clone()))
    }
}

#[async_trait]
impl Connection for Shared {
    type Lost = KafkaError;

    async fn run(&self, shutdown: &Shutdown) -> Ended<KafkaError> {
        self.events.connecting();
        self.progress.troubled("is connecting");
        let client = self.options.producer(&self.context.name);
        match declare(&client, &self.declared(), &self.events, shutdown).await {
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
        self.progress.troubled("no broker answers");
        self.events.lost(&error, wait);
    }
}

impl Shared {
    /// The topics that are made before anything is read. The retry topic is made by its reader, so that the others need
    /// not wait: what is published to a topic before the broker tells of it waits in the client.
    fn declared(&self) -> Vec<String> {
        let declared = match self.member {
            Member::OfTopics(_) => &self.dead_letter_topic,
            Member::OfRetries => &self.retry_topic,
        };
        declared.iter().map(|topic| topic.to_string()).collect()
    }

    /// What is read.
    pub(crate) fn topics(&self) -> Vec<String> {
        match self.member {
            Member::OfTopics(_) => self.options.topics.clone(),
            Member::OfRetries => vec![self.options.retry_topic()],
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

    /// No waiting mends it. The library's own error may hold values of properties.
    fn hopeless(&self, error: &KafkaError) -> SourceError {
        SourceError {
            name: self.context.name.clone(),
            message: check::refused(error, &self.options).to_string(),
            source: None,
        }
    }
}

/// Leaves the group. That talks to the broker and blocks.
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
