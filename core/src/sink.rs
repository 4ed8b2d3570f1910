//! The port to providers: one attempt to deliver one action. The pipeline owns retries, breakers and queues.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use compact_str::CompactString;
use thiserror::Error;

use crate::action::Action;
use crate::attempt::{DeliveryProgress, PROGRESS_BYTES_MAX};
use crate::outcome::{FailureCode, ProviderResponse};
use crate::redact::Redactor;
use crate::registry::{BuildError, Family};

/// A way to deliver actions.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Makes one attempt. Dropping the future abandons it. The caller sets the time limit.
    async fn deliver(&self, attempt: Attempt<'_>) -> Result<ProviderResponse, SinkError>;

    /// Connects as an attempt would, and delivers nothing. Returns a short description of the peer, or `None` if the
    /// sink connects to nothing.
    async fn dial(&self) -> Result<Option<String>, BuildError> {
        Ok(None)
    }

    /// This sink, if the order of actions matters to its provider. The pipeline asks once for each provider.
    fn as_ordered(&self) -> Option<&dyn OrderedSink> {
        None
    }
}

/// A sink to whose provider the order of some actions matters, such as that of a trigger and its resolve.
pub trait OrderedSink: Send + Sync {
    /// The ordering key of an action. Actions with one key form a sequence: they are attempted one after another, in the
    /// order in which they were decided. `None`: the order of this action does not matter. `action` is what
    /// [`Sink::deliver`] will receive.
    fn ordering_key(&self, action: &Action) -> Option<CompactString>;
}

/// One attempt.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The action to deliver, with the payload as the rules left it.
    pub action: &'a Action,
    /// The same for every attempt of this action.
    pub idempotency_key: &'a str,
    /// Starts at 1.
    pub number: u32,
    /// The progress that the last failed attempt reported, in this process or before a redelivery.
    pub progress: Option<&'a DeliveryProgress>,
}

/// Why an attempt failed, classified by what to do next.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct SinkError {
    /// What to do next.
    pub class: SinkErrorClass,
    /// The stable code for the outcome.
    pub code: FailureCode,
    /// One sentence for people. Contains no secrets and no payload.
    pub message: CompactString,
    /// The refusal, if the provider answered.
    pub refusal: Option<Box<ProviderRefusal>>,
    /// True if the failure is about one destination of the provider, such as a channel, and the others are not affected.
    pub for_destination: bool,
    /// True if the provider would accept a smaller action.
    pub is_too_large: bool,
    /// The progress so far, if the provider accepts actions in parts. It replaces the one given to the attempt.
    pub progress: Option<Box<DeliveryProgress>>,
    /// The library's own error, for the log.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The refusal of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderRefusal {
    /// The status number of the provider's protocol.
    pub status: Option<u16>,
    /// The response body, not yet redacted; at most 64 KiB.
    pub body: Bytes,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkErrorClass {
    /// Another attempt may succeed, after this time if the provider named one.
    #[allow(missing_docs)]
    Transient { retry_after: Option<Duration> },
    /// The provider works and puts this action off, as a mail server does with a full mailbox. Another attempt may
    /// succeed. The provider's breaker counts an answer.
    Deferred,
    /// This action is at fault. Another attempt will fail too.
    Permanent,
    /// The provider or its settings are at fault (a refused credential, a wrong address). Every action would fail now
    /// and may succeed once this is fixed. The provider's breaker opens at once.
    ProviderFault,
}

impl SinkError {
    /// Another attempt may succeed.
    pub fn transient(code: FailureCode, message: impl Into<CompactString>) -> Self {
        Self::of(
            SinkErrorClass::Transient { retry_after: None },
            code,
            message,
        )
    }

    /// The provider works and puts this action off.
    pub fn deferred(code: FailureCode, message: impl Into<CompactString>) -> Self {
        Self::of(SinkErrorClass::Deferred, code, message)
    }

    /// This action is at fault. Another attempt will fail too.
    pub fn permanent(code: FailureCode, message: impl Into<CompactString>) -> Self {
        Self::of(SinkErrorClass::Permanent, code, message)
    }

    /// The provider is at fault.
    pub fn provider_fault(code: FailureCode, message: impl Into<CompactString>) -> Self {
        Self::of(SinkErrorClass::ProviderFault, code, message)
    }

    fn of(class: SinkErrorClass, code: FailureCode, message: impl Into<CompactString>) -> Self {
        Self {
            class,
            code,
            message: message.into(),
            refusal: None,
            for_destination: false,
            is_too_large: false,
            progress: None,
            source: None,
        }
    }

    /// Keeps the provider's answer.
    #[must_use]
    pub fn refused(mut self, refusal: ProviderRefusal) -> Self {
        self.refusal = Some(Box::new(refusal));
        self
    }

    /// Limits the failure to one destination of the provider, such as a channel.
    #[must_use]
    pub fn for_destination(mut self) -> Self {
        self.for_destination = true;
        self
    }

    /// The provider would accept a smaller action.
    #[must_use]
    pub fn too_large(mut self) -> Self {
        self.is_too_large = true;
        self
    }

    /// Keeps the progress for the next attempt.
    #[must_use]
    pub fn with_progress(mut self, progress: DeliveryProgress) -> Self {
        debug_assert!(progress.state.len() <= PROGRESS_BYTES_MAX);
        self.progress = Some(Box::new(progress));
        self
    }

    /// Keeps the library's own error.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sets the minimum wait before the next attempt. Ignored unless the error is transient.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        if let SinkErrorClass::Transient { retry_after } = &mut self.class {
            *retry_after = Some(wait);
        }
        self
    }

    /// True if the same action may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self.class {
            SinkErrorClass::Transient { .. }
            | SinkErrorClass::Deferred
            | SinkErrorClass::ProviderFault => true,
            SinkErrorClass::Permanent => false,
        }
    }
}

/// The family of sinks.
pub struct Sinks;

impl Family for Sinks {
    const NAME: &'static str = "provider";
    type Context = SinkContext;
    type Product = Arc<dyn Sink>;
}

/// The context in which a sink is built.
#[derive(Clone, Debug)]
pub struct SinkContext {
    /// The configured name of the provider.
    pub name: CompactString,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// The maximum number of concurrent attempts.
    pub max_concurrent: usize,
    /// Hides configured fields wherever a payload goes other than to its provider, the log included.
    pub redactor: Redactor,
}
