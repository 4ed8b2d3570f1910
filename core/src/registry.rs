//! How adapters are found: each implements a typed [`Factory`], and a [`Registry`] maps its kind to it. Only the
//! `register` lines of a facade list the adapters.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::{JsonSchema, Schema, schema_for};
use serde::de::DeserializeOwned;
use serde_json::Value;
use thiserror::Error;

/// A family of adapters: the product, and the context it is built in besides its options.
pub trait Family: 'static {
    /// The family's name in messages, such as `provider`.
    const NAME: &'static str;
    /// The context available to every adapter of the family.
    type Context: Send + Sync;
    /// The product.
    type Product: Send;
}

/// Implemented by each adapter.
#[async_trait]
pub trait Factory<F: Family>: Send + Sync + 'static {
    /// The value of `type` or `backend` in the configuration.
    const KIND: &'static str;
    /// The adapter's own options: `serde(deny_unknown_fields)`, defaults included.
    type Config: DeserializeOwned + JsonSchema + Send + Sync + 'static;

    /// The external resources it uses under this name, to detect conflicts inside the family.
    fn uses(&self, _name: &str, _config: &Self::Config) -> Uses {
        Uses::default()
    }

    /// Builds the adapter and refuses options that cannot work. It may read files that the options name. It must not
    /// wait for a connection: the server starts without its backends, and `acteon-server check` builds everything on
    /// machines that cannot reach them.
    async fn build(
        &self,
        config: Self::Config,
        context: F::Context,
    ) -> Result<F::Product, BuildError>;
}

/// A backend's store in a file that only one process may use. The server opens the file before it uses the backend, and
/// closes it last. `acteon-server check` leaves it closed, because a running server may have it.
#[async_trait]
pub trait Embedded: Send + Sync {
    /// The file. State and audit may share it.
    fn path(&self) -> &Path;

    /// Opens the file, and creates it if there is none. Before, every call of the backend fails as unavailable. Does
    /// nothing if it is open.
    ///
    /// # Errors
    /// If another process has it, or if it cannot be used.
    async fn open(&self) -> Result<(), BuildError>;

    /// Finishes the calls that wait, and closes the file.
    async fn close(&self);

    /// Copies the file as it is at one moment to a new file. It need not be open, and another process may use it.
    ///
    /// # Errors
    /// If there is no file, if `to` exists, or if it cannot be written.
    async fn back_up(&self, to: &Path) -> Result<(), BuildError>;
}

/// The external resources of an adapter. All adapters use the same words for the same resource: `topic a at host:9092`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// Resources that others may also read, but not write.
    pub reads: Vec<String>,
    /// Resources for this adapter alone.
    pub writes: Vec<String>,
}

impl Uses {
    /// The first resource that both use and at least one writes.
    pub fn overlap<'a>(&'a self, other: &'a Self) -> Option<&'a str> {
        let others = |name: &&String| other.writes.contains(name) || other.reads.contains(name);
        let own = self.writes.iter().find(others);
        let read = || self.reads.iter().find(|name| other.writes.contains(name));
        own.or_else(read).map(String::as_str)
    }
}

/// Why an adapter cannot work with options of the right shape: it cannot be built, or cannot connect.
#[derive(Debug, Error)]
#[error("{}", self.text())]
pub struct BuildError {
    /// The wrong option, such as `headers.X-Key` or `topics[1]`; empty if the error is about no single option.
    pub option: String,
    /// The problem and what to change, without the option's name.
    pub message: String,
    /// The library's own error.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// Further errors.
    pub others: Vec<BuildError>,
}

impl BuildError {
    /// An error that is about no single option.
    pub fn new(message: impl Into<String>) -> Self {
        Self::at("", message)
    }

    /// An error in one option.
    pub fn at(option: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            option: option.into(),
            message: message.into(),
            source: None,
            others: Vec::new(),
        }
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

    /// This error and the further ones.
    pub fn each(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.others)
    }

    fn text(&self) -> String {
        match self.option.as_str() {
            "" => self.message.clone(),
            option => format!("`{option}`: {}", self.message),
        }
    }
}

/// Collects the errors in the options of an adapter, so that all are reported together.
#[derive(Debug, Default)]
pub struct Faults(Vec<BuildError>);

impl Faults {
    /// The value of `result`. Collects its error instead.
    pub fn keep<T>(&mut self, result: Result<T, BuildError>) -> Option<T> {
        let keep = |mut error: BuildError| {
            let others = std::mem::take(&mut error.others);
            self.0.push(error);
            self.0.extend(others);
        };
        result.map_err(keep).ok()
    }

    /// Ends the collection and returns `made` if there was no error.
    ///
    /// # Errors
    /// All collected errors as one.
    pub fn end<T>(self, made: Option<T>) -> Result<T, BuildError> {
        let mut all = self.0.into_iter();
        match (all.next(), made) {
            (None, Some(made)) => Ok(made),
            (None, None) => Err(BuildError::new("an option is missing")),
            (Some(mut first), _) => {
                first.others.extend(all);
                Err(first)
            }
        }
    }
}

/// The adapters of one family by kind. Passed as a value, never a global.
pub struct Registry<F: Family>(BTreeMap<&'static str, Arc<dyn Erased<F>>>);

impl<F: Family> Default for Registry<F> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<F: Family> Registry<F> {
    /// Adds an adapter, replacing any earlier one of the same kind.
    pub fn register<A: Factory<F>>(&mut self, factory: A) -> &mut Self {
        self.0.insert(A::KIND, Arc::new(Entry(Arc::new(factory))));
        self
    }

    /// The known kinds, sorted.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// The JSON Schema of a kind's own options.
    pub fn schema(&self, kind: &str) -> Option<Schema> {
        self.0.get(kind).map(|entry| entry.schema())
    }

    /// Parses options without touching anything outside.
    ///
    /// # Errors
    /// If the kind is unknown or the options do not match its shape.
    pub fn plan(&self, kind: &str, options: Value) -> Result<Plan<F>, PlanError> {
        let entry = self.0.get(kind).ok_or_else(|| PlanError::UnknownKind {
            family: F::NAME,
            found: kind.to_owned(),
            known: self.kinds().collect(),
        })?;
        Ok(Plan {
            entry: entry.clone(),
            config: entry.parse(options)?,
        })
    }
}

/// Why options do not select an adapter or do not match its shape.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum PlanError {
    #[error("there is no {family} `{found}`; known: {}", known.join(", "))]
    UnknownKind {
        family: &'static str,
        found: String,
        known: Vec<&'static str>,
    },
    #[error("{message}")]
    Options { path: String, message: String },
}

/// An adapter with its options, ready to be built.
pub struct Plan<F: Family> {
    entry: Arc<dyn Erased<F>>,
    config: Box<dyn Any + Send + Sync>,
}

impl<F: Family> Plan<F> {
    /// The external resources it uses under this name.
    pub fn uses(&self, name: &str) -> Uses {
        self.entry.uses(name, &*self.config)
    }

    /// Builds the adapter.
    ///
    /// # Errors
    /// If the options have the right shape but cannot work.
    pub async fn build(self, context: F::Context) -> Result<F::Product, BuildError> {
        self.entry.build(self.config, context).await
    }
}

#[async_trait]
trait Erased<F: Family>: Send + Sync {
    fn schema(&self) -> Schema;
    fn parse(&self, options: Value) -> Result<Box<dyn Any + Send + Sync>, PlanError>;
    fn uses(&self, name: &str, config: &(dyn Any + Send + Sync)) -> Uses;
    async fn build(
        &self,
        config: Box<dyn Any + Send + Sync>,
        context: F::Context,
    ) -> Result<F::Product, BuildError>;
}

const OTHER_KIND: &str = "options of another kind";

struct Entry<A>(Arc<A>);

#[async_trait]
impl<F: Family, A: Factory<F>> Erased<F> for Entry<A> {
    fn schema(&self) -> Schema {
        schema_for!(A::Config)
    }

    fn parse(&self, options: Value) -> Result<Box<dyn Any + Send + Sync>, PlanError> {
        let config: A::Config =
            serde_path_to_error::deserialize(options).map_err(|e| PlanError::Options {
                path: e.path().to_string(),
                message: e.into_inner().to_string(),
            })?;
        Ok(Box::new(config))
    }

    fn uses(&self, name: &str, config: &(dyn Any + Send + Sync)) -> Uses {
        let config = config.downcast_ref();
        config.map_or_else(Uses::default, |config| self.0.uses(name, config))
    }

    async fn build(
        &self,
        config: Box<dyn Any + Send + Sync>,
        context: F::Context,
    ) -> Result<F::Product, BuildError> {
        let config = config.downcast();
        let config = config.map_err(|_| BuildError::new(OTHER_KIND))?;
        self.0.build(*config, context).await
    }
}

#[cfg(test)]
mod tests;
