//! The port to providers: one attempt to deliver one action. Retries, breakers and queues are the pipeline's.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use compact_str::CompactString;
use thiserror::Error;

use crate::action::Action;
use crate::outcome::{FailureCode, ProviderResponse};
use crate::registry::Family;

/// A way to deliver actions.
#[async_trait]
pub trait Sink: Send + Sync {
    /// Tries once. Dropping the future gives the attempt up; the caller sets the time limit.
    async fn deliver(&self, attempt: Attempt<'_>) -> Result<ProviderResponse, SinkError>;
}

/// One attempt.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// What to deliver; its payload is as the rules left it.
    pub action: &'a Action,
    /// The same for every attempt of this action.
    pub idempotency_key: &'a str,
    /// 1 for the first.
    pub number: u32,
}

/// Why an attempt failed, in terms of what to do next.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct SinkError {
    /// What to do next.
    pub class: SinkErrorClass,
    /// The stable code for the outcome.
    pub code: FailureCode,
    /// One sentence for people; no secrets, no payload.
    pub message: CompactString,
    /// What the provider answered, where it refused.
    pub refusal: Option<Box<Refused>>,
    /// The library's own error, for the log.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// How a provider refused an action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// The status number of its protocol.
    pub status: Option<u16>,
    /// What it said, not yet redacted; at most 64 KiB.
    pub body: Bytes,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkErrorClass {
    /// Trying again may help, after this time if the provider named one.
    #[allow(missing_docs)]
    Transient { retry_after: Option<Duration> },
    /// This action is at fault: trying it again will not help.
    Permanent,
    /// The provider is at fault, be it by its settings (a refused credential, a wrong address): every action would fail
    /// now, and may succeed once that is mended. Its breaker opens at once.
    ProviderFault,
}

impl SinkError {
    /// Trying again may help.
    pub fn transient(code: FailureCode, message: impl Into<CompactString>) -> Self {
        Self::of(
            SinkErrorClass::Transient { retry_after: None },
            code,
            message,
        )
    }

    /// This action is at fault: trying it again will not help.
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
            source: None,
        }
    }

    /// Keeps what the provider answered.
    #[must_use]
    pub fn refused(mut self, refused: Refused) -> Self {
        self.refusal = Some(Box::new(refused));
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

    /// Waits at least so long before the next attempt.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        if let SinkErrorClass::Transient { retry_after } = &mut self.class {
            *retry_after = Some(wait);
        }
        self
    }

    /// True when the same action may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self.class {
            SinkErrorClass::Transient { .. } | SinkErrorClass::ProviderFault => true,
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

/// What a sink may know when it is built.
#[derive(Clone, Debug)]
pub struct SinkContext {
    /// The configured name of the provider.
    pub name: CompactString,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How many attempts run side by side at most.
    pub max_concurrent: usize,
}
