//! Writes each action as a log line, which is its delivery.

use std::fmt;
use std::sync::Arc;

use acteon_core::sink::SinkContext;
use acteon_core::{
    Attempt, BuildError, Factory, Payload, ProviderResponse, ResponseStatus, Sink, SinkError, Sinks,
};
use async_trait::async_trait;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::config::{LogConfig, LogLevel};

/// The factory of the `log` sink.
pub struct Log;

#[async_trait]
impl Factory<Sinks> for Log {
    const KIND: &'static str = "log";
    type Config = LogConfig;

    async fn build(
        &self,
        config: LogConfig,
        context: SinkContext,
    ) -> Result<Arc<dyn Sink>, BuildError> {
        Ok(Arc::new(LogSink::new(config, context)?))
    }
}

/// Writes one line per attempt.
pub struct LogSink {
    config: LogConfig,
    context: SinkContext,
    /// The answer to every action.
    answer: Arc<RawValue>,
}

#[derive(Serialize)]
struct LogAnswer {
    logged: bool,
}

impl LogSink {
    /// A sink with these options. Needs no connection.
    ///
    /// # Errors
    /// None in practice.
    pub fn new(config: LogConfig, context: SinkContext) -> Result<Self, BuildError> {
        let answer = LogAnswer {
            logged: config.write,
        };
        let answer = to_raw_value(&answer).map_err(|error| {
            BuildError::new("the answer of a `log` provider could not be serialized")
                .with_source(error)
        })?;
        Ok(Self {
            config,
            context,
            answer: answer.into(),
        })
    }

    fn write(&self, attempt: Attempt<'_>) {
        // The level of a line is part of its call site, so each level has its own.
        macro_rules! line {
            ($level:ident) => {
                tracing::event!(
                    target: "acteon::log_sink",
                    tracing::Level::$level,
                    id = attempt.action.id.as_str(),
                    namespace = attempt.action.namespace.as_str(),
                    tenant = attempt.action.tenant.as_str(),
                    provider = self.context.name.as_str(),
                    action_type = attempt.action.action_type.as_str(),
                    attempt = attempt.number,
                    payload_bytes = attempt.action.payload.len(),
                    payload = self.shown(&attempt.action.payload),
                    "action"
                )
            };
        }
        match self.config.level {
            LogLevel::Trace => line!(TRACE),
            LogLevel::Debug => line!(DEBUG),
            LogLevel::Info => line!(INFO),
            LogLevel::Warn => line!(WARN),
            LogLevel::Error => line!(ERROR),
        }
    }

    fn shown(&self, payload: &Payload) -> Option<tracing::field::DisplayValue<OneLine>> {
        let shown = || OneLine(self.context.redactor.payload(payload));
        self.config
            .payload
            .then(|| tracing::field::display(shown()))
    }
}

#[async_trait]
impl Sink for LogSink {
    async fn deliver(&self, attempt: Attempt<'_>) -> Result<ProviderResponse, SinkError> {
        if self.config.write {
            self.write(attempt);
        }
        Ok(ProviderResponse {
            status: ResponseStatus::Success,
            body: self.answer.clone(),
            headers: Vec::new(),
        })
    }
}

/// Shows JSON without line breaks. JSON has them only between values, where a space means the same.
struct OneLine(Payload);

impl fmt::Display for OneLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest: &[u8] = self.0.as_bytes();
        while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
            write!(f, "{} ", String::from_utf8_lossy(&rest[..at]))?;
            rest = &rest[at + 1..];
        }
        f.write_str(&String::from_utf8_lossy(rest))
    }
}
