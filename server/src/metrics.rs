//! `/metrics`: what the hot path counts by itself is put beside what the metrics library counts when somebody asks.

use std::sync::Arc;

use acteon_core::health::Providers;
use acteon_core::{Admission, Counters};
use metrics::{counter, gauge};
use metrics_exporter_prometheus::PrometheusHandle;

pub(crate) struct Published {
    pub(crate) handle: PrometheusHandle,
    pub(crate) counters: Arc<Counters>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) providers: Arc<dyn Providers>,
}

impl Published {
    /// The Prometheus text of this moment.
    pub(crate) fn render(&self) -> String {
        for (name, count) in self.counters.snapshot().iter() {
            counter!("acteon_actions_total", "counter" => name).absolute(count);
        }
        gauge!("acteon_in_flight_actions").set(f64::from(self.admission.actions_in_flight()));
        gauge!("acteon_in_flight_bytes").set(f64::from(self.admission.bytes_in_flight()));
        gauge!("acteon_reserved_bytes").set(f64::from(self.admission.bytes_reserved()));
        for provider in self.providers.health() {
            let name = provider.name.to_string();
            counter!("acteon_deliveries_total", "provider" => name.clone())
                .absolute(provider.deliveries);
            counter!("acteon_delivery_failures_total", "provider" => name.clone())
                .absolute(provider.failures);
            gauge!("acteon_provider_queued", "provider" => name.clone())
                .set(provider.queued as f64);
            gauge!("acteon_provider_in_flight", "provider" => name).set(provider.in_flight as f64);
        }
        self.handle.render()
    }
}
