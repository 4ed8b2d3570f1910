//! Delivers an action: builds headers and body, and sends them with the client of the kit, which interprets the answer.

use std::sync::Arc;

use acteon_core::sink::SinkContext;
use acteon_core::{Attempt, BuildError, Factory, Faults, ProviderResponse, Sink, SinkError, Sinks};
use acteon_sinks_kit::{
    AddressFilter, ClientOptions, HttpClient, Roots, SuccessCodes, action_json, parse_url,
};
use async_trait::async_trait;
use http::HeaderMap;

use crate::config::{Body, Method, WebhookConfig};
use crate::request;

/// The factory of the `webhook` sink. All its sinks share the root certificates.
#[derive(Default)]
pub struct Webhook {
    roots: Roots,
}

#[async_trait]
impl Factory<Sinks> for Webhook {
    const KIND: &'static str = "webhook";
    type Config = WebhookConfig;

    async fn build(
        &self,
        config: WebhookConfig,
        context: SinkContext,
    ) -> Result<Arc<dyn Sink>, BuildError> {
        Ok(Arc::new(WebhookSink::new(&config, &context, &self.roots)?))
    }
}

/// Sends each action to one URL.
pub struct WebhookSink {
    client: HttpClient,
    method: http::Method,
    headers: HeaderMap,
    body: Body,
}

impl WebhookSink {
    /// A sink with these options. It does not connect yet.
    ///
    /// # Errors
    /// All options that cannot work.
    pub fn new(
        config: &WebhookConfig,
        context: &SinkContext,
        roots: &Roots,
    ) -> Result<Self, BuildError> {
        let mut faults = Faults::default();
        let success = match &config.success_codes {
            Some(codes) => faults.keep(SuccessCodes::only("success_codes", codes)),
            None => Some(SuccessCodes::default()),
        };
        let headers = faults.keep(request::constant(config));
        let filter = faults.keep(AddressFilter::new("allow_cidrs", &config.allow_cidrs));
        let url = faults.keep(parse_url("url", config.url.expose()));
        let client = match (url, filter) {
            (Some(url), Some(filter)) => {
                let success = success.unwrap_or_default();
                let options = ClientOptions {
                    url,
                    filter,
                    success,
                    roots,
                };
                faults.keep(HttpClient::new(options, context))
            }
            _ => None,
        };
        let (client, headers) = faults.end(client.zip(headers))?;
        Ok(Self {
            client,
            headers,
            method: method(config.method),
            body: config.body,
        })
    }
}

#[async_trait]
impl Sink for WebhookSink {
    async fn deliver(&self, attempt: Attempt<'_>) -> Result<ProviderResponse, SinkError> {
        let body = match self.body {
            Body::Action => action_json(attempt.action)?,
            Body::Payload => attempt.action.payload.as_bytes().clone().into(),
        };
        let headers = request::headers(&self.headers, attempt);
        let reply = self.client.send(self.method.clone(), headers, body).await?;
        Ok(reply.into_response())
    }

    async fn dial(&self) -> Result<Option<String>, BuildError> {
        self.client.dial().await.map(Some)
    }
}

fn method(method: Method) -> http::Method {
    match method {
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Patch => http::Method::PATCH,
    }
}
