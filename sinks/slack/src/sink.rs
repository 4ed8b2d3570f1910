//! Delivers an action: writes the message, sends it, and reads the answer.

use std::sync::Arc;

use acteon_core::sink::{SinkContext, SinkErrorClass};
use acteon_core::{
    Attempt, BuildError, Factory, FailureCode, Faults, ProviderResponse, Secret, Sink, SinkError,
    Sinks,
};
use acteon_sinks_kit::{ClientOptions, HttpClient, Reply, Roots, SuccessCodes, USER_AGENT};
use async_trait::async_trait;
use bytes::Bytes;
use compact_str::CompactString;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT as AGENT};

use crate::answer::{self, Answering, ChannelFrom};
use crate::config::SlackConfig;
use crate::markup::Markup;
use crate::message::SlackMessage;
use crate::pauses::Pauses;

const POST_MESSAGE: &str = "chat.postMessage";
const AUTH_TEST: &str = "auth.test";

/// The factory of the `slack` sink. All its sinks share the root certificates.
#[derive(Default)]
pub struct Slack {
    roots: Roots,
}

#[async_trait]
impl Factory<Sinks> for Slack {
    const KIND: &'static str = "slack";
    type Config = SlackConfig;

    async fn build(
        &self,
        config: SlackConfig,
        context: SinkContext,
    ) -> Result<Arc<dyn Sink>, BuildError> {
        Ok(Arc::new(SlackSink::new(&config, &context, &self.roots)?))
    }
}

/// Posts each action as a message.
pub struct SlackSink {
    client: HttpClient,
    headers: HeaderMap,
    markup: Markup,
    /// `None` for an incoming webhook.
    api: Option<WebApi>,
}

/// The Web API: one token for many channels.
struct WebApi {
    default_channel: Option<CompactString>,
    pauses: Pauses,
    auth_test: HttpClient,
}

impl SlackSink {
    /// A sink with these options. It does not connect yet.
    ///
    /// # Errors
    /// All options that cannot work.
    pub fn new(
        config: &SlackConfig,
        context: &SinkContext,
        roots: &Roots,
    ) -> Result<Self, BuildError> {
        let mut faults = Faults::default();
        let (option, url) = faults.keep(endpoint(config)).unzip();
        let headers = faults.keep(headers(config.token.as_ref()));
        let client = option.zip(url).and_then(|(option, url)| {
            let options = ClientOptions {
                option,
                url,
                connection: &config.connection,
                success: SuccessCodes::default(),
                credentials: config.token.iter().cloned().collect(),
                roots,
            };
            faults.keep(HttpClient::new(options, context))
        });
        let (client, headers) = faults.end(client.zip(headers))?;
        let markup = match config.allow_mentions {
            true => Markup::Allow,
            false => Markup::Escape,
        };
        let api = config.token.as_ref().map(|_| WebApi {
            default_channel: config.default_channel.as_deref().map(Into::into),
            pauses: Pauses::default(),
            auth_test: client.below(AUTH_TEST),
        });
        let client = match &api {
            Some(_) => client.below(POST_MESSAGE),
            None => client,
        };
        Ok(Self {
            client,
            headers,
            markup,
            api,
        })
    }

    async fn post(&self, client: &HttpClient, body: Bytes) -> Result<Reply, SinkError> {
        let headers = self.headers.clone();
        let sent = client.send(http::Method::POST, headers, body.into()).await;
        sent.map_err(with_wait)
    }

    /// Posts through the Web API, unless the channel is paused.
    async fn post_to_channel(
        &self,
        api: &WebApi,
        mut message: SlackMessage,
    ) -> Result<ProviderResponse, SinkError> {
        let from = match message.channel {
            Some(_) => ChannelFrom::Payload,
            None => ChannelFrom::Configuration,
        };
        let channel = message.channel.clone().or(api.default_channel.clone());
        let channel = channel.ok_or_else(|| {
            let text = "`channel` is missing, and the provider has no `default_channel`";
            SinkError::permanent(FailureCode::Serialization, text)
        })?;
        if let Some(left) = api.pauses.left(&channel) {
            let text = "Slack asked for a pause of this channel, which has not ended";
            let error = SinkError::transient(FailureCode::RateLimited, text);
            return Err(error.after(left).for_destination());
        }
        message.channel = Some(channel.clone());
        let reply = self.post(&self.client, message.to_json()?).await;
        let reply = reply.map_err(|error| paused(error, api, &channel))?;
        accepted(&self.client, reply, Answering::WebApi, from)
    }
}

/// Adds the wait that only the body of a refusal names.
fn with_wait(error: SinkError) -> SinkError {
    let is_limited = error.code == FailureCode::RateLimited;
    let has_none = error.class == SinkErrorClass::Transient { retry_after: None };
    let body = error.refusal.as_ref().filter(|_| is_limited && has_none);
    match body.and_then(|refusal| answer::retry_after(&refusal.body)) {
        Some(wait) => error.after(wait),
        None => error,
    }
}

/// A body that could not be read belongs to a message that Slack accepted, as far as anyone knows.
fn accepted(
    client: &HttpClient,
    reply: Reply,
    answering: Answering,
    channel: ChannelFrom,
) -> Result<ProviderResponse, SinkError> {
    let checked = match &reply.body {
        Ok(body) => answer::check(body, answering, channel, client.host()),
        Err(_) => Ok(()),
    };
    match checked {
        Ok(()) => Ok(reply.into_response()),
        Err(error) => Err(error.refused(reply.into_refusal())),
    }
}

/// Pauses the channel if Slack asked for it. The others go on.
fn paused(error: SinkError, api: &WebApi, channel: &str) -> SinkError {
    let asked = match error.class {
        SinkErrorClass::Transient { retry_after } => retry_after,
        SinkErrorClass::Deferred | SinkErrorClass::Permanent | SinkErrorClass::ProviderFault => {
            None
        }
    };
    let is_limited = error.code == FailureCode::RateLimited;
    match asked.filter(|_| is_limited) {
        Some(pause) if api.pauses.begin(channel, pause) => error.for_destination(),
        _ => error,
    }
}

#[async_trait]
impl Sink for SlackSink {
    async fn deliver(&self, attempt: Attempt<'_>) -> Result<ProviderResponse, SinkError> {
        let message = SlackMessage::of(attempt.action, self.markup)?;
        match &self.api {
            Some(api) => self.post_to_channel(api, message).await,
            None => {
                let reply = self.post(&self.client, message.to_json()?).await?;
                let from = ChannelFrom::Configuration;
                accepted(&self.client, reply, Answering::Webhook, from)
            }
        }
    }

    async fn dial(&self) -> Result<Option<String>, BuildError> {
        let reached = self.client.dial().await?;
        let Some(api) = &self.api else {
            return Ok(Some(reached));
        };
        let tested = self.post(&api.auth_test, Bytes::from_static(b"{}")).await;
        let from = ChannelFrom::Configuration;
        let tested =
            tested.and_then(|reply| accepted(&api.auth_test, reply, Answering::WebApi, from));
        match tested {
            Ok(_) => Ok(Some(format!("{reached}, authenticated"))),
            Err(error) => Err(BuildError::at("token", error.message.to_string())),
        }
    }
}

/// The option with the URL to use, and the URL.
fn endpoint(config: &SlackConfig) -> Result<(&'static str, &str), BuildError> {
    match (&config.token, &config.webhook_url) {
        (Some(_), None) => Ok(("api_base_url", &config.api_base_url)),
        (None, Some(_)) if config.default_channel.is_some() => {
            let message =
                "an incoming webhook has one channel; remove this option, or use a `token`";
            Err(BuildError::at("default_channel", message))
        }
        (None, Some(url)) => Ok(("webhook_url", url.expose())),
        (Some(_), Some(_)) => {
            let message = "set either this or `token`";
            Err(BuildError::at("webhook_url", message))
        }
        (None, None) => Err(BuildError::at("token", "set this or `webhook_url`")),
    }
}

fn headers(token: Option<&Secret>) -> Result<HeaderMap, BuildError> {
    let mut headers = HeaderMap::new();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    headers.insert(CONTENT_TYPE, json);
    headers.insert(AGENT, HeaderValue::from_static(USER_AGENT));
    if let Some(token) = token {
        let value = format!("Bearer {}", token.expose().trim());
        let value = HeaderValue::try_from(value).ok();
        let value = value.filter(|_| !token.expose().trim().is_empty());
        let message = "must be one line of text and not empty";
        let mut value = value.ok_or_else(|| BuildError::at("token", message))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}
