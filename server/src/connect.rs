//! `acteon-server check --connect`: tries to connect to every configured broker, provider and backend, as the server would,
//! and changes nothing there.

use std::sync::Arc;
use std::time::Duration;

use acteon_config::{Problem, Section};
use acteon_core::{Audit, BuildError, Sink, Source, State};
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::compose::Assembly;
use crate::problems::{of_option, with_causes};

/// How long one part may take to reach whom it is to talk to.
const PATIENCE: Duration = Duration::from_secs(10);

/// A part that talks to somebody outside.
pub(crate) struct Contact {
    name: String,
    section: Section,
    part: Part,
}

enum Part {
    State(Arc<dyn State>),
    Audit(Arc<dyn Audit>),
    Source(Arc<dyn Source>),
    Sink(Arc<dyn Sink>),
}

/// How it went for one part.
#[derive(Debug)]
pub struct Contacted {
    /// Such as ``source `orders` ``.
    pub name: String,
    /// Who answered, `None` where there is nobody to reach, or why nobody did.
    pub reached: Result<Option<String>, Problem>,
}

impl Assembly {
    /// Tries to reach all whom the configuration names, side by side.
    pub async fn connect(&self) -> Vec<Contacted> {
        join_all(self.contacts.iter().map(Contact::dial)).await
    }
}

impl Contact {
    pub(crate) fn of_state(backend: &str, state: &Arc<dyn State>, section: Section) -> Self {
        let name = format!("state backend `{backend}`");
        Self::new(name, Part::State(state.clone()), section)
    }

    pub(crate) fn of_audit(backend: &str, audit: &Arc<dyn Audit>, section: Section) -> Self {
        let name = format!("audit backend `{backend}`");
        Self::new(name, Part::Audit(audit.clone()), section)
    }

    pub(crate) fn of_source(name: &str, source: &Arc<dyn Source>, section: Section) -> Self {
        let name = format!("source `{name}`");
        Self::new(name, Part::Source(source.clone()), section)
    }

    pub(crate) fn of_sink(name: &str, sink: &Arc<dyn Sink>, section: Section) -> Self {
        let name = format!("provider `{name}`");
        Self::new(name, Part::Sink(sink.clone()), section)
    }

    fn new(name: String, part: Part, section: Section) -> Self {
        Self {
            name,
            section,
            part,
        }
    }

    async fn dial(&self) -> Contacted {
        let reached = match timeout(PATIENCE, self.part.dial()).await {
            Ok(reached) => reached,
            Err(_) => Err(BuildError::new(format!("no answer within {PATIENCE:?}"))),
        };
        Contacted {
            name: self.name.clone(),
            reached: reached.map_err(|error| of_option(&self.section, &error)),
        }
    }
}

impl Part {
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
