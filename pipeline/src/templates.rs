//! The payload that a provider's sink receives if the provider has templates. The action itself, its audit record and its
//! dead letter keep the payload as the rules left it. What templates mean is left to `acteon-templates`.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use acteon_core::{Action, FailureCode, ProviderResponse, SinkError};
use acteon_templates::{Rendered, TemplateSet};
use arc_swap::ArcSwap;
use compact_str::CompactString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::yielding::LONGEST_SLICE;

/// The header of an outcome that names the templates that failed.
const NOTE: &str = "acteon-template-error";

/// The templates in force. They are swapped together with the rules.
#[derive(Debug, Default)]
pub struct TemplatesInForce {
    set: ArcSwap<TemplateSet>,
    /// Some provider has templates. Without any, no attempt touches the set, which all threads share.
    has_any: AtomicBool,
    /// A template took too long for a shared thread.
    is_slow: AtomicBool,
}

impl From<TemplateSet> for TemplatesInForce {
    fn from(set: TemplateSet) -> Self {
        Self {
            has_any: AtomicBool::new(!set.is_empty()),
            set: ArcSwap::from_pointee(set),
            is_slow: AtomicBool::new(false),
        }
    }
}

impl TemplatesInForce {
    /// The set.
    pub fn set(&self) -> Arc<TemplateSet> {
        self.set.load_full()
    }

    pub(crate) fn put(&self, set: TemplateSet) {
        self.is_slow.store(false, Relaxed);
        self.has_any.store(!set.is_empty(), Relaxed);
        self.set.store(Arc::new(set));
    }
}

/// What happens to an action whose template fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTemplateError {
    /// It fails permanently, with the error, and becomes a dead letter if a broker has it.
    #[default]
    Fail,
    /// It is sent. A text whose template failed says so and shows the payload; other fields are as in the payload.
    Fallback,
}

/// The templates of a provider.
#[derive(Clone, Debug, Default)]
pub struct ProviderTemplates {
    /// Those of all providers.
    pub in_force: Arc<TemplatesInForce>,
    /// What happens if one fails.
    pub on_error: OnTemplateError,
}

/// An action with the payload that its sink receives.
pub(crate) struct WrittenAction {
    pub(crate) action: Action,
    /// The templates that failed although it is sent.
    pub(crate) note: Option<CompactString>,
}

impl ProviderTemplates {
    /// `None`: the provider has no templates for this action.
    ///
    /// # Errors
    /// A permanent error if a template fails and that fails the action.
    pub(crate) async fn write(
        &self,
        provider: &CompactString,
        action: &Action,
    ) -> Result<Option<WrittenAction>, SinkError> {
        if !self.in_force.has_any.load(Relaxed) {
            return Ok(None);
        }
        if !self.in_force.is_slow.load(Relaxed) {
            return self.write_here(provider, action);
        }
        let set = self.in_force.set();
        if !set.has(provider) {
            return Ok(None);
        }
        let name = provider.clone();
        let copy = action.clone();
        let rendering = spawn_blocking(move || set.render(&name, &copy));
        let rendered = rendering.await.map_err(|_| panicked())?;
        rendered
            .map(|rendered| self.written(action, rendered))
            .transpose()
    }

    /// The same on this thread, however slow the templates are.
    pub(crate) fn write_here(
        &self,
        provider: &CompactString,
        action: &Action,
    ) -> Result<Option<WrittenAction>, SinkError> {
        let set = self.in_force.set();
        if !set.has(provider) {
            return Ok(None);
        }
        let started = Instant::now();
        let rendered = set.render(provider, action);
        let is_slow = started.elapsed() > LONGEST_SLICE;
        self.in_force.is_slow.fetch_or(is_slow, Relaxed);
        rendered
            .map(|rendered| self.written(action, rendered))
            .transpose()
    }

    fn written(&self, action: &Action, rendered: Rendered) -> Result<WrittenAction, SinkError> {
        let Rendered { payload, faults } = rendered;
        let note: Option<CompactString> = faults.split_first().map(|(first, others)| {
            let mut note = CompactString::from(first.to_string());
            if !others.is_empty() {
                // Writing to memory does not fail.
                let _ = write!(note, " (and {} more)", others.len());
            }
            note
        });
        if let Some(note) = &note
            && self.on_error == OnTemplateError::Fail
        {
            let message = format!("a template of the provider failed: {note}");
            return Err(SinkError::permanent(FailureCode::Serialization, message));
        }
        let mut action = action.clone();
        action.payload = payload;
        Ok(WrittenAction { action, note })
    }
}

impl WrittenAction {
    /// The response, with a note for the caller if a template failed.
    pub(crate) fn with_note(&self, mut response: ProviderResponse) -> ProviderResponse {
        let note = self.note.clone().map(|note| (NOTE.into(), note));
        response.headers.extend(note);
        response
    }
}

fn panicked() -> SinkError {
    let message = "a template panicked, which is a bug of the template library";
    SinkError::permanent(FailureCode::Serialization, message)
}
