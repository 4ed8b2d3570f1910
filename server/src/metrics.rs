//! `/metrics`: joins the counters that the hot path keeps itself with those of the metrics library.

mod histograms;
mod process;
mod recorder;
mod text;

use std::sync::Arc;

use acteon_core::health::{BreakerState, ProviderAdmin, ProviderHealth};
use acteon_core::{Admission, Clock, Counters};
use jiff::Timestamp;
use metrics::{SetRecorderError, counter, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use self::histograms::Histograms;
use self::recorder::MetricsRecorder;

/// The metrics of the process.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    histograms: Arc<Histograms>,
    started_at: Timestamp,
}

impl Metrics {
    /// Installs the recorder of the process. Metrics registered earlier are not recorded.
    ///
    /// # Errors
    /// If a recorder is already installed.
    pub fn install() -> Result<Self, SetRecorderError<MetricsRecorder>> {
        let (metrics, recorder) = Self::detached();
        metrics::set_global_recorder(recorder)?;
        Ok(metrics)
    }

    /// Metrics with their recorder, which is not installed.
    pub fn detached() -> (Self, MetricsRecorder) {
        let counting = PrometheusBuilder::new().build_recorder();
        let histograms = Arc::new(Histograms::default());
        let metrics = Self {
            handle: counting.handle(),
            histograms: histograms.clone(),
            started_at: Clock::system().now(),
        };
        (metrics, MetricsRecorder::new(counting, histograms))
    }

    /// Runs the periodic upkeep of the metrics library.
    pub(crate) fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn render(&self) -> String {
        let mut text = self.handle.render();
        self.histograms.render(&mut text);
        process::render(&mut text, self.started_at);
        text
    }
}

/// The sources of the metrics that are read at render time.
pub(crate) struct MetricSources {
    pub(crate) metrics: Metrics,
    pub(crate) counters: Arc<Counters>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) providers: Arc<dyn ProviderAdmin>,
}

impl MetricSources {
    /// The current metrics as Prometheus text.
    pub(crate) fn render(&self) -> String {
        self.count_actions();
        gauge!("acteon_in_flight_actions").set(f64::from(self.admission.actions_in_flight()));
        gauge!("acteon_in_flight_bytes").set(f64::from(self.admission.bytes_in_flight()));
        gauge!("acteon_reserved_bytes").set(f64::from(self.admission.bytes_reserved()));
        self.providers.health().iter().for_each(show);
        self.metrics.render()
    }

    fn count_actions(&self) {
        let counted = self.counters.snapshot();
        for (outcome, count) in counted.outcomes() {
            counter!("acteon_actions_total", "outcome" => outcome).absolute(count);
        }
        counter!("acteon_dispatched_total").absolute(counted.dispatched);
        counter!("acteon_dry_runs_total").absolute(counted.dry_run);
        counter!("acteon_replayed_total").absolute(counted.replayed);
        counter!("acteon_rule_errors_total").absolute(counted.rule_errors);
    }
}

fn show(provider: &ProviderHealth) {
    let name = provider.name.to_string();
    counter!("acteon_deliveries_total", "provider" => name.clone()).absolute(provider.deliveries);
    counter!("acteon_delivery_failures_total", "provider" => name.clone())
        .absolute(provider.failures);
    gauge!("acteon_provider_queued", "provider" => name.clone()).set(provider.queued as f64);
    gauge!("acteon_provider_in_flight", "provider" => name.clone()).set(provider.in_flight as f64);
    gauge!("acteon_provider_redelivering", "provider" => name.clone())
        .set(provider.redelivering as f64);
    for state in BreakerState::ALL {
        let is_in = if state == provider.breaker { 1.0 } else { 0.0 };
        gauge!("acteon_breaker_state", "provider" => name.clone(), "state" => state.as_str())
            .set(is_in);
    }
}
