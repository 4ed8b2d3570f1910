//! Delivers an action: builds headers and body, and sends them with the client of the kit, which interprets the answer.

use std::sync::Arc;

use acteon_core::sink::SinkContext;
use acteon_core::{
    Attempt, BuildError, Clock, Factory, Faults, ProviderResponse, Sink, SinkError, Sinks,
};
use acteon_sinks_kit::{ClientOptions, HttpClient, Roots, SuccessCodes, action_json, header_text};
use async_trait::async_trait;
use http::HeaderMap;

use crate::config::{Body, Method, WebhookConfig};
use crate::request;
use crate::signature::Signer;

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
    signer: Option<Signer>,
    clock: Clock,
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
        let signer = faults.keep(Signer::new(config));
        let options = ClientOptions {
            option: "url",
            url: config.url.expose(),
            connection: &config.connection,
            success: success.unwrap_or_default(),
            credentials: Vec::new(),
            roots,
        };
        let client = faults.keep(HttpClient::new(options, context));
        let (client, (headers, signer)) = faults.end(client.zip(headers.zip(signer)))?;
        Ok(Self {
            client,
            headers,
            signer,
            method: method(config.method),
            body: config.body,
            clock: Clock::system(),
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
        let mut headers = request::headers(&self.headers, attempt);
        if let Some(signer) = &self.signer {
            let id = header_text(attempt.idempotency_key);
            let timestamp = self.clock.now().as_second();
            signer.sign(id, timestamp, &body, &mut headers);
        }
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
