//! `acteon-server check --connect`: tries to connect to every configured broker, provider and backend, as the server
//! would, and changes nothing there.

use std::sync::Arc;
use std::time::Duration;

use acteon_config::{Problem, Section};
use acteon_core::{Audit, BuildError, Sink, Source, State};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::assembly::Assembly;
use crate::problems::{of_option, with_causes};

/// The time limit for one connection.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// A part that connects to a remote service.
pub(crate) struct RemotePart {
    name: String,
    section: Section,
    port: DialedPort,
}

enum DialedPort {
    State(Arc<dyn State>),
    Audit(Arc<dyn Audit>),
    Source(Arc<dyn Source>),
    Sink(Arc<dyn Sink>),
}

/// The result of dialing one part.
#[derive(Debug)]
pub struct DialResult {
    /// The part, such as ``source `orders` ``.
    pub name: String,
    /// The service that answered; `None` if the part has none.
    pub reached: Result<Option<String>, Problem>,
}

impl Assembly {
    /// Dials all parts concurrently.
    pub async fn connect(&self) -> Vec<DialResult> {
        join_all(self.remote_parts.iter().map(RemotePart::dial)).await
    }
}

impl RemotePart {
    pub(crate) fn state(backend: &str, state: &Arc<dyn State>, section: Section) -> Self {
        let name = format!("state backend `{backend}`");
        Self::new(name, DialedPort::State(state.clone()), section)
    }

    pub(crate) fn audit(backend: &str, audit: &Arc<dyn Audit>, section: Section) -> Self {
        let name = format!("audit backend `{backend}`");
        Self::new(name, DialedPort::Audit(audit.clone()), section)
    }

    pub(crate) fn source(name: &str, source: &Arc<dyn Source>, section: Section) -> Self {
        let name = format!("source `{name}`");
        Self::new(name, DialedPort::Source(source.clone()), section)
    }

    pub(crate) fn sink(name: &str, sink: &Arc<dyn Sink>, section: Section) -> Self {
        let name = format!("provider `{name}`");
        Self::new(name, DialedPort::Sink(sink.clone()), section)
    }

    fn new(name: String, port: DialedPort, section: Section) -> Self {
        Self {
            name,
            section,
            port,
        }
    }

    async fn dial(&self) -> DialResult {
        let reached = match timeout(DIAL_TIMEOUT, self.port.dial()).await {
            Ok(reached) => reached,
            Err(_) => Err(BuildError::new(format!(
                "no answer within {DIAL_TIMEOUT:?}"
            ))),
        };
        DialResult {
            name: self.name.clone(),
            reached: reached.map_err(|error| of_option(&self.section, &error)),
        }
    }
}

impl DialedPort {
    async fn dial(&self) -> Result<Option<String>, BuildError> {
        let answers = || Some("it answers".to_owned());
        match self {
            Self::State(state) => match state.ping().await {
                Ok(_) => Ok(answers()),
                Err(error) => Err(BuildError::new(with_causes(&error.to_string(), &error))),
            },
            Self::Audit(audit) => match audit.ping().await {
                Ok(()) => Ok(answers()),
                Err(error) => Err(BuildError::new(with_causes(&error.to_string(), &error))),
            },
            Self::Source(source) => source.dial().await,
            Self::Sink(sink) => sink.dial().await,
        }
    }
}
