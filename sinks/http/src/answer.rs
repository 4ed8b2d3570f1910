//! What an answer means: by the first matcher of the preset that matches, else by the table of statuses that all HTTP
//! sinks share.

use std::time::Duration;

use acteon_core::sink::SinkErrorClass;
use acteon_core::{FailureCode, ProviderResponse, SinkError};
use acteon_sinks_kit::{HttpClient, Reply};
use acteon_templates::{Absent, TreeRendering};
use minijinja::value::Serde;
use minijinja::{Environment, Value};
use serde_json::Value as Json;

use crate::events;
use crate::preset::{AnswerClass, AnswerMatcher, Preset};
use crate::request::holds;
use crate::values::PresetValues;

/// What to do after an answer.
pub(crate) enum Judged {
    /// The attempt has ended.
    End(Box<Result<ProviderResponse, SinkError>>),
    /// Another request, with these values as `again`; and the answer.
    #[allow(missing_docs)]
    Again {
        with: PresetValues,
        sent: Box<Result<Reply, SinkError>>,
    },
}

/// Judges the answers to one attempt.
pub(crate) struct AnswerJudge<'a> {
    pub(crate) provider: &'a str,
    pub(crate) preset: &'a Preset,
    pub(crate) environment: &'a Environment<'static>,
    pub(crate) client: &'a HttpClient,
    pub(crate) values: &'a PresetValues,
}

/// The parts of an answer that matchers look at.
struct Answer<'b> {
    status: u16,
    body: &'b [u8],
    json: Option<Json>,
}

impl AnswerJudge<'_> {
    /// Judges an answer, or the failure to get one.
    pub(crate) fn judge(&self, sent: Result<Reply, SinkError>) -> Judged {
        let (status, body) = match &sent {
            Ok(reply) => (
                reply.status.as_u16(),
                reply.body.clone().unwrap_or_default(),
            ),
            Err(error) => match &error.refusal {
                Some(refusal) => (refusal.status.unwrap_or_default(), refusal.body.clone()),
                None => return Judged::End(Box::new(sent.map(Reply::into_response))),
            },
        };
        let answer = Answer {
            status,
            body: &body,
            json: serde_json::from_slice(&body).ok(),
        };
        let mut matchers = self.preset.answers.iter();
        let matched = matchers.find(|matcher| self.matches(matcher, &answer));
        let ended = match matched {
            Some(matcher) if matcher.class == AnswerClass::Again => {
                let with = self.again(matcher, &answer);
                return Judged::Again {
                    with,
                    sent: Box::new(sent),
                };
            }
            Some(matcher) => self.of_class(matcher.class, sent),
            None => sent.map(Reply::into_response),
        };
        Judged::End(Box::new(
            ended.map_err(|error| self.with_wait(error, &answer)),
        ))
    }

    /// The failure of an attempt whose further requests were refused like the first.
    pub(crate) fn refused_again(&self, sent: Result<Reply, SinkError>) -> SinkError {
        match self.of_class(AnswerClass::Permanent, sent) {
            Err(error) => error,
            Ok(_) => SinkError::permanent(FailureCode::ExecutionFailed, self.refusal_message()),
        }
    }

    fn matches(&self, matcher: &AnswerMatcher, answer: &Answer<'_>) -> bool {
        let pointed = |pointer: &String| {
            let value = answer.json.as_ref()?.pointer(pointer)?;
            (!value.is_null()).then_some(value)
        };
        let value = matcher.at.as_ref().map(pointed);
        let found = match &value {
            None => true,
            // `null` can be asked for, too.
            Some(None) => matcher.equals == Some(Json::Null),
            Some(Some(value)) => {
                let wanted = matcher.equals.as_ref();
                wanted.is_none_or(|wanted| *value == wanted)
            }
        };
        let text = match &value {
            Some(Some(Json::String(text))) => text.to_lowercase(),
            Some(Some(other)) => other.to_string().to_lowercase(),
            Some(None) => String::new(),
            None => String::from_utf8_lossy(answer.body).to_lowercase(),
        };
        let part = matcher.contains.as_deref();
        found
            && (matcher.status.is_empty() || matcher.status.contains(&answer.status))
            && part.is_none_or(|part| text.contains(&part.to_lowercase()))
            && self.applies(matcher)
    }

    /// A condition that fails does not hold: the request was sent, so it cannot fail the action any more.
    fn applies(&self, matcher: &AnswerMatcher) -> bool {
        let Some(when) = &matcher.when else {
            return true;
        };
        holds(self.environment, when, self.values).unwrap_or_else(|_| {
            events::condition_failed(self.provider, self.client.host(), when);
            false
        })
    }

    fn again(&self, matcher: &AnswerMatcher, answer: &Answer<'_>) -> PresetValues {
        let mut values = self.values.clone();
        let json = answer.json.as_ref().unwrap_or(&Json::Null);
        values.insert("answer".to_owned(), Value::from(Serde(json)));
        let values = Value::from(values);
        let mut rendering = TreeRendering::new(self.environment, values, Absent::LeftOut);
        let texts = matcher.again.iter().filter_map(|(name, text)| {
            let text = rendering.text(text).ok()?;
            Some((name.clone(), Value::from(text)))
        });
        texts.collect()
    }

    fn of_class(
        &self,
        class: AnswerClass,
        sent: Result<Reply, SinkError>,
    ) -> Result<ProviderResponse, SinkError> {
        let (code, to) = match class {
            AnswerClass::Success => return Ok(accepted(sent)?.into_response()),
            AnswerClass::RateLimited => (FailureCode::RateLimited, transient()),
            AnswerClass::Transient => (FailureCode::ExecutionFailed, transient()),
            AnswerClass::ProviderFault => {
                (FailureCode::ExecutionFailed, SinkErrorClass::ProviderFault)
            }
            AnswerClass::Permanent | AnswerClass::Again => {
                (FailureCode::ExecutionFailed, SinkErrorClass::Permanent)
            }
        };
        Err(match sent {
            Ok(reply) => {
                let error = SinkError::permanent(code, self.refusal_message());
                let error = error.refused(reply.into_refusal());
                SinkError { class: to, ..error }
            }
            Err(error) => {
                let class = match (error.class, to) {
                    // With the wait of the answer's header.
                    (
                        asked @ SinkErrorClass::Transient { .. },
                        SinkErrorClass::Transient { .. },
                    ) => asked,
                    _ => to,
                };
                SinkError {
                    class,
                    code,
                    ..error
                }
            }
        })
    }

    fn refusal_message(&self) -> String {
        format!("{} refused the action", self.client.host())
    }

    /// Adds the wait that the body names. It wins over the header, which may be rounded.
    fn with_wait(&self, error: SinkError, answer: &Answer<'_>) -> SinkError {
        let pointer = self.preset.retry_after.as_deref();
        let seconds = pointer.zip(answer.json.as_ref());
        let seconds = seconds.and_then(|(pointer, json)| json.pointer(pointer));
        let seconds = seconds.and_then(|value| match value {
            Json::Number(number) => number.as_f64(),
            Json::String(text) => text.parse().ok(),
            _ => None,
        });
        match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
            Some(wait) => error.after(wait),
            None => error,
        }
    }
}

fn transient() -> SinkErrorClass {
    SinkErrorClass::Transient { retry_after: None }
}

/// The answer as one that accepts the action.
fn accepted(sent: Result<Reply, SinkError>) -> Result<Reply, SinkError> {
    sent.or_else(|mut error| match error.refusal.take() {
        Some(refusal) => Ok(Reply::of_refusal(*refusal)),
        None => Err(error),
    })
}
