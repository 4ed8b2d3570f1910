//! The result of each recipient, over the transactions of one attempt and over all attempts of an action.

use std::collections::BTreeMap;

use acteon_core::sink::ProviderRefusal;
use acteon_core::{DeliveryProgress, FailureCode, ProviderResponse, ResponseStatus, SinkError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::DialogueStep;
use crate::recipient::Recipient;
use crate::reply::SmtpReply;

/// The recipients of one message and their results.
#[derive(Clone)]
pub(crate) struct RecipientResults<'a> {
    recipients: &'a [Recipient],
    results: Vec<RecipientResult>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum RecipientResult {
    /// Not tried in this attempt, or without a reply.
    Pending,
    /// The server accepted the message for the recipient.
    Accepted,
    /// The server will never accept it.
    Refused(Reason),
    /// Another attempt may succeed. The server said so at this step.
    Deferred(DialogueStep, Reason),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Reason {
    /// None if this side refused.
    code: Option<u16>,
    /// Empty if the reply came in an earlier attempt.
    text: String,
}

/// [`DeliveryProgress::state`] as JSON.
#[derive(Default, Deserialize, Serialize)]
struct ProgressState {
    email: FinalResults,
}

/// The recipients with a final result, by their digests.
#[derive(Default, Deserialize, Serialize)]
struct FinalResults {
    accepted: Vec<String>,
    /// With the codes of the replies.
    refused: BTreeMap<String, Option<u16>>,
}

impl<'a> RecipientResults<'a> {
    /// The results that earlier attempts reported. All other recipients are pending.
    pub(crate) fn new(recipients: &'a [Recipient], progress: Option<&DeliveryProgress>) -> Self {
        let state = progress.and_then(|progress| serde_json::from_str(&progress.state).ok());
        let ProgressState { email: known } = state.unwrap_or_default();
        let result = |recipient: &Recipient| {
            let digest = recipient.digest();
            if known.accepted.contains(&digest) {
                return RecipientResult::Accepted;
            }
            match known.refused.get(&digest) {
                None => RecipientResult::Pending,
                Some(code) => RecipientResult::Refused(Reason {
                    code: *code,
                    text: String::new(),
                }),
            }
        };
        Self {
            recipients,
            results: recipients.iter().map(result).collect(),
        }
    }

    /// The positions of the pending recipients.
    pub(crate) fn pending(&self) -> Vec<usize> {
        let results = self.results.iter().enumerate();
        let pending = results.filter(|(_, result)| **result == RecipientResult::Pending);
        pending.map(|(position, _)| position).collect()
    }

    pub(crate) fn accept(&mut self, position: usize) {
        self.results[position] = RecipientResult::Accepted;
    }

    pub(crate) fn refuse(&mut self, position: usize, reply: &SmtpReply) {
        self.results[position] = RecipientResult::Refused(Reason::of(reply));
    }

    pub(crate) fn defer(&mut self, position: usize, step: DialogueStep, reply: &SmtpReply) {
        self.results[position] = RecipientResult::Deferred(step, Reason::of(reply));
    }

    /// Refuses a recipient without asking the server.
    pub(crate) fn refuse_unasked(&mut self, position: usize, reason: &str) {
        self.results[position] = RecipientResult::Refused(Reason {
            code: None,
            text: reason.to_owned(),
        });
    }

    /// The result of an attempt that was not interrupted.
    pub(crate) fn conclude(
        &self,
        peer: &str,
        message_id: &str,
    ) -> Result<ProviderResponse, SinkError> {
        use RecipientResult::{Accepted, Deferred, Pending, Refused};
        if self.count(|result| matches!(result, Deferred(..) | Pending)) > 0 {
            let code = self.first_code(|result| matches!(result, Deferred(..)));
            return Err(self.with_report(self.unfinished(peer), code, message_id));
        }
        if self.count(|result| *result == Accepted) == 0 {
            let code = self.first_code(|result| matches!(result, Refused(_)));
            let message = match code {
                Some(code) => format!("{peer} refused every recipient ({code})"),
                None => self.first_text().to_owned(),
            };
            let error = SinkError::permanent(FailureCode::ExecutionFailed, message);
            return Err(self.with_report(error, code, message_id));
        }
        let response = ProviderResponse::success(&self.report(message_id)).map_err(|error| {
            let message = "the response could not be serialized";
            SinkError::permanent(FailureCode::Serialization, message).with_source(error)
        })?;
        let status = match self.count(|result| matches!(result, Refused(_))) {
            0 => ResponseStatus::Success,
            _ => ResponseStatus::Partial,
        };
        Ok(ProviderResponse { status, ..response })
    }

    /// The error for recipients without a final result. A server that defers recipients works; one that defers the message
    /// may not.
    fn unfinished(&self, peer: &str) -> SinkError {
        use RecipientResult::{Deferred, Pending};
        let all = self.results.len();
        let pending = self.count(|result| *result == Pending);
        let deferred = self.count(|result| matches!(result, Deferred(..)));
        let of_message = |step| step != DialogueStep::Rcpt;
        let is_message =
            |result: &RecipientResult| matches!(result, Deferred(step, _) if of_message(*step));
        let code = self.first_code(|result| matches!(result, Deferred(..)));
        let mut message = match deferred {
            0 => format!("{pending} of {all} recipients were not tried, because {peer} is slow"),
            _ => format!(
                "{peer} deferred {deferred} of {all} recipients{}",
                in_parentheses(code)
            ),
        };
        if deferred > 0 && pending > 0 {
            message.push_str(&format!("; {pending} were not tried"));
        }
        match self.results.iter().any(is_message) {
            true => SinkError::transient(FailureCode::ExecutionFailed, message),
            false => SinkError::deferred(FailureCode::ExecutionFailed, message),
        }
    }

    /// Adds the progress to the error of an interrupted attempt.
    pub(crate) fn with_progress(&self, error: SinkError) -> SinkError {
        match self.progress() {
            Some(progress) => error.with_progress(progress),
            None => error,
        }
    }

    fn with_report(&self, error: SinkError, status: Option<u16>, message_id: &str) -> SinkError {
        let body = Value::Object(self.report(message_id)).to_string().into();
        self.with_progress(error.refused(ProviderRefusal { status, body }))
    }

    /// All results, for people.
    fn report(&self, message_id: &str) -> Map<String, Value> {
        let mut report = Map::new();
        report.insert("message_id".into(), message_id.into());
        report.insert("accepted".into(), json!([]));
        for (recipient, result) in self.recipients.iter().zip(&self.results) {
            let mut entry = recipient.report_entry();
            if let Some(reason) = result.reason() {
                entry["code"] = json!(reason.code);
                entry["reply"] = json!(reason.text);
            }
            let list = report.entry(result.name()).or_insert_with(|| json!([]));
            if let Value::Array(list) = list {
                list.push(entry);
            }
        }
        report
    }

    /// The final results, if there are any.
    fn progress(&self) -> Option<DeliveryProgress> {
        let mut state = ProgressState::default();
        for (recipient, result) in self.recipients.iter().zip(&self.results) {
            match result {
                RecipientResult::Accepted => state.email.accepted.push(recipient.digest()),
                RecipientResult::Refused(reason) => {
                    state.email.refused.insert(recipient.digest(), reason.code);
                }
                RecipientResult::Pending | RecipientResult::Deferred(..) => {}
            }
        }
        let has_accepted = !state.email.accepted.is_empty();
        if !has_accepted && state.email.refused.is_empty() {
            return None;
        }
        Some(DeliveryProgress {
            has_accepted,
            state: serde_json::to_string(&state).ok()?.into(),
        })
    }

    fn count(&self, wanted: impl Fn(&RecipientResult) -> bool) -> usize {
        self.results.iter().filter(|result| wanted(result)).count()
    }

    fn first_code(&self, wanted: impl Fn(&RecipientResult) -> bool) -> Option<u16> {
        let results = self.results.iter().filter(|result| wanted(result));
        let mut reasons = results.filter_map(RecipientResult::reason);
        reasons.find_map(|reason| reason.code)
    }

    fn first_text(&self) -> &str {
        let mut reasons = self.results.iter().filter_map(RecipientResult::reason);
        reasons
            .next()
            .map_or("there are no recipients", |reason| &reason.text)
    }
}

impl RecipientResult {
    /// The list of the report that it belongs to.
    fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Refused(_) => "refused",
            Self::Deferred(..) => "deferred",
        }
    }

    fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Refused(reason) | Self::Deferred(_, reason) => Some(reason),
            Self::Pending | Self::Accepted => None,
        }
    }
}

impl Reason {
    fn of(reply: &SmtpReply) -> Self {
        Self {
            code: Some(reply.code),
            text: reply.text.to_string(),
        }
    }
}

fn in_parentheses(code: Option<u16>) -> String {
    code.map(|code| format!(" ({code})")).unwrap_or_default()
}
