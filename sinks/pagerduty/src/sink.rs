//! Delivers an action: writes the event, and sends it to the Events API.

use std::sync::Arc;

use acteon_core::sink::{SinkContext, SinkErrorClass};
use acteon_core::{
    Action, Attempt, BuildError, Factory, Faults, OrderedSink, ProviderResponse, Sink, SinkError,
    Sinks,
};
use acteon_sinks_kit::{ClientOptions, HttpClient, Roots, SuccessCodes, USER_AGENT};
use async_trait::async_trait;
use compact_str::{CompactString, format_compact};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT as AGENT};

use crate::config::PagerDutyConfig;
use crate::event::{EventDefaults, EventKind, PagerDutyEvent, dedup_key};
use crate::payload;
use crate::routing::Routing;

/// The factory of the `pagerduty` sink. All its sinks share the root certificates.
#[derive(Default)]
pub struct PagerDuty {
    roots: Roots,
}

#[async_trait]
impl Factory<Sinks> for PagerDuty {
    const KIND: &'static str = "pagerduty";
    type Config = PagerDutyConfig;

    async fn build(
        &self,
        config: PagerDutyConfig,
        context: SinkContext,
    ) -> Result<Arc<dyn Sink>, BuildError> {
        Ok(Arc::new(PagerDutySink::new(
            &config,
            &context,
            &self.roots,
        )?))
    }
}

/// Sends each action as an event.
pub struct PagerDutySink {
    alerts: HttpClient,
    changes: HttpClient,
    routing: Routing,
    defaults: EventDefaults,
}

impl PagerDutySink {
    /// A sink with these options. It does not connect yet.
    ///
    /// # Errors
    /// All options that cannot work.
    pub fn new(
        config: &PagerDutyConfig,
        context: &SinkContext,
        roots: &Roots,
    ) -> Result<Self, BuildError> {
        let mut faults = Faults::default();
        let routing = faults.keep(Routing::new(config));
        let options = ClientOptions {
            option: "api_base_url",
            url: &config.api_base_url,
            connection: &config.connection,
            success: SuccessCodes::default(),
            credentials: routing.as_ref().map(Routing::keys).unwrap_or_default(),
            roots,
        };
        let client = faults.keep(HttpClient::new(options, context));
        let (client, routing) = faults.end(client.zip(routing))?;
        Ok(Self {
            alerts: client.below("v2/enqueue"),
            changes: client.below("v2/change/enqueue"),
            routing,
            defaults: EventDefaults {
                severity: config.default_severity,
                source: config.default_source.clone(),
            },
        })
    }
}

#[async_trait]
impl Sink for PagerDutySink {
    async fn deliver(&self, attempt: Attempt<'_>) -> Result<ProviderResponse, SinkError> {
        let payload = payload::read(attempt.action)?;
        let kind = EventKind::of(attempt.action, &payload)?;
        let key = self.routing.key(payload.service_id.as_deref())?;
        let event = PagerDutyEvent::new(attempt.action, payload, kind, key, &self.defaults);
        let client = match kind {
            EventKind::Alert(_) => &self.alerts,
            EventKind::Change => &self.changes,
        };
        let body = event.into_json()?;
        let sent = client.send(http::Method::POST, headers(), body.into());
        let reply = sent.await.map_err(blamed)?;
        Ok(reply.into_response())
    }

    async fn dial(&self) -> Result<Option<String>, BuildError> {
        self.alerts.dial().await.map(Some)
    }

    fn as_ordered(&self) -> Option<&dyn OrderedSink> {
        Some(self)
    }
}

impl OrderedSink for PagerDutySink {
    /// The events about one alert. What PagerDuty will not receive, and a change, is in no sequence.
    fn ordering_key(&self, action: &Action) -> Option<CompactString> {
        let payload = payload::read(action).ok()?;
        let EventKind::Alert(_) = EventKind::of(action, &payload).ok()? else {
            return None;
        };
        let key = self.routing.key(payload.service_id.as_deref()).ok()?;
        let service = self.routing.service(key);
        let dedup_key = dedup_key(action, payload.dedup_key);
        Some(format_compact!("{service}\n{dedup_key}"))
    }
}

/// PagerDuty answers 400 to a wrong routing key as it does to a wrong event. The key is configured, so the action is not
/// at fault.
fn blamed(mut error: SinkError) -> SinkError {
    let is_bad_request =
        |refusal: &&acteon_core::sink::ProviderRefusal| refusal.status == Some(400);
    let body = error.refusal.as_deref().filter(is_bad_request);
    let body = body.map(|refusal| String::from_utf8_lossy(&refusal.body).to_lowercase());
    let names_key = |body: String| body.contains("routing_key") || body.contains("routing key");
    if body.is_some_and(names_key) {
        error.class = SinkErrorClass::ProviderFault;
    }
    error
}

fn headers() -> HeaderMap {
    HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (AGENT, HeaderValue::from_static(USER_AGENT)),
    ])
}
