//! `acteon-server render`: shows the payload that the templates of a provider make of an action. Nothing is sent.

use std::path::Path;

use acteon_core::Action;
use acteon_core::rules::{RuleProblem, RulesError};
use acteon_pipeline::read_rule_files;
use acteon_templates::{TemplateFault, TemplateSet, example_action};
use serde_json::Value;
use thiserror::Error;

use crate::adapters::Config;
use crate::assembly::rule_settings;
use crate::eval::ActionInput;

/// What to render.
pub struct RenderRequest<'a> {
    /// The provider whose templates to use.
    pub provider: &'a str,
    /// The action. Fields that it lacks are made up. `None`: the provider's example.
    pub action: Option<&'a ActionInput>,
    /// The type of the action, if the action has none; and which example to take.
    pub action_type: Option<&'a str>,
}

/// A payload as a sink receives it.
pub struct RenderResult {
    /// The payload.
    pub payload: Value,
    /// The templates that failed.
    pub faults: Vec<TemplateFault>,
}

/// Why nothing was rendered.
#[derive(Debug, Error)]
#[allow(missing_docs)]
pub enum RenderError {
    #[error("no `rules.directory` is configured: templates are in its folder `templates`")]
    NoDirectory,
    #[error("rules.directory: {0}")]
    Directory(RulesError),
    #[error("{}", lines(.0))]
    Invalid(Vec<RuleProblem>),
    #[error("there is no provider `{0}`")]
    NoProvider(String),
    #[error("`{provider}` has no templates for actions of the type `{action_type}`")]
    NoTemplates {
        provider: String,
        action_type: String,
    },
    #[error("name a file with an action: the templates of `{0}` have no `example.json`")]
    NoExample(String),
    #[error("{action}: {message}")]
    Action { action: String, message: String },
}

/// Renders an action.
///
/// # Errors
/// If there is nothing to render, or what keeps the server from starting.
pub fn render(config: &Config, request: &RenderRequest<'_>) -> Result<RenderResult, RenderError> {
    let provider = request.provider;
    let names = &config.names.providers;
    if !names.is_empty() && !names.iter().any(|name| name == provider) {
        return Err(RenderError::NoProvider(provider.to_owned()));
    }
    let set = templates(config)?;
    let action = action(&set, request)?;
    let rendered = set.render(provider, &action);
    let rendered = rendered.ok_or_else(|| RenderError::NoTemplates {
        provider: provider.to_owned(),
        action_type: action.action_type.to_string(),
    })?;
    Ok(RenderResult {
        payload: rendered.payload.parse().unwrap_or_default(),
        faults: rendered.faults,
    })
}

fn templates(config: &Config) -> Result<TemplateSet, RenderError> {
    let directory: Option<&Path> = config.rules.directory.as_deref();
    let directory = directory.ok_or(RenderError::NoDirectory)?;
    let folder = read_rule_files(directory).map_err(RenderError::Directory)?;
    let compiled = folder.compile_all(&rule_settings(config));
    Ok(compiled.map_err(RenderError::Invalid)?.templates)
}

fn action(set: &TemplateSet, request: &RenderRequest<'_>) -> Result<Action, RenderError> {
    let provider = request.provider;
    let Some(input) = request.action else {
        let example = set.example(provider, request.action_type);
        let example = example.ok_or_else(|| RenderError::NoExample(provider.to_owned()))?;
        return example.map_err(|message| RenderError::Action {
            action: "example.json".to_owned(),
            message,
        });
    };
    let wrong = |message: String| RenderError::Action {
        action: input.name.clone(),
        message,
    };
    let text = std::str::from_utf8(&input.bytes).map_err(|error| wrong(error.to_string()))?;
    example_action(provider, request.action_type, Some(text)).map_err(wrong)
}

fn lines(problems: &[RuleProblem]) -> String {
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}
