//! The rules in force: list, reload, toggle, and the playground.

use std::path::PathBuf;

use acteon_core::Action;
use acteon_core::decode::{self, Defaults};
use acteon_core::ids::Ids;
use acteon_core::rules::{EvaluateOptions, Evaluation, Reloaded, RulesInForce};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;

use super::changes::{Change, CompletedChange, RELOAD_RULES, TOGGLE_RULE};
use super::{Access, AdminApi, AdminError};

/// Parses the action to evaluate. Ignores fields that are not the action's.
///
/// # Errors
/// The body is not an action.
pub fn read_action(body: &Bytes, now: Timestamp) -> Result<Action, AdminError> {
    let draft = decode::decode(body)?;
    Ok(draft.complete(&Defaults::default(), || Ids::at(now).text(), now)?)
}

impl AdminApi {
    /// The rules in the order of evaluation, and the errors of the last load. Rules belong to no tenant, so every
    /// caller sees all.
    pub fn rules(&self, _access: &Access) -> RulesInForce {
        self.ports.rulebook.rules()
    }

    /// Loads the configured directory, or one below it, as a whole or not at all.
    ///
    /// # Errors
    /// The rules have errors; the old ones stay in force.
    pub async fn reload(
        &self,
        access: &Access,
        directory: Option<PathBuf>,
    ) -> Result<Reloaded, AdminError> {
        let ports = self.ports.clone();
        let work = async move {
            let reloaded = ports.rulebook.reload(directory.as_deref()).await?;
            let details = json!({
                "rules": reloaded.rules,
                "directory": reloaded.directory.display().to_string(),
                "generation": reloaded.generation,
            });
            Ok(CompletedChange {
                outcome: "reloaded",
                details,
                answer: reloaded,
            })
        };
        let change = Change::shared(RELOAD_RULES);
        self.change(access.caller.clone(), change, work).await
    }

    /// Enables or disables a rule on every node, across restarts and reloads.
    ///
    /// # Errors
    /// There is no such rule, or the state backend cannot be reached.
    pub async fn set_rule_enabled(
        &self,
        access: &Access,
        name: &str,
        enabled: bool,
    ) -> Result<(), AdminError> {
        let ports = self.ports.clone();
        let name = name.to_owned();
        let work = async move {
            ports.rulebook.set_enabled(&name, enabled).await?;
            Ok(CompletedChange {
                outcome: if enabled { "enabled" } else { "disabled" },
                details: json!({ "rule": name }),
                answer: (),
            })
        };
        let change = Change::shared(TOGGLE_RULE);
        self.change(access.caller.clone(), change, work).await
    }

    /// The current time.
    pub fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    /// Evaluates the rules for an action and explains the verdict, without changing anything.
    ///
    /// # Errors
    /// The action is outside the caller's scope, the mock state is invalid, or the state backend cannot be reached.
    pub async fn evaluate(
        &self,
        access: &Access,
        action: &Action,
        options: &EvaluateOptions,
    ) -> Result<Evaluation, AdminError> {
        if !access
            .scope
            .covers(&action.namespace, &action.tenant, &action.action_type)
        {
            return Err(AdminError::Forbidden);
        }
        let mut evaluation = self.ports.rulebook.evaluate(action, options).await?;
        if let Some(payload) = &mut evaluation.modified_payload {
            *payload = self.ports.redactor.payload(payload);
        }
        Ok(evaluation)
    }
}
