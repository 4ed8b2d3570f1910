//! The Prometheus text format, for the metrics that the library does not render.

use std::fmt::{Display, Write};

use metrics_exporter_prometheus::formatting::{
    sanitize_label_key, sanitize_label_value, write_help_line, write_type_line,
};

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetricType {
    Counter,
    Gauge,
    Histogram,
}

impl MetricType {
    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Writes the HELP and TYPE lines of a family.
pub(super) fn head(out: &mut String, name: &str, kind: MetricType, help: &str) {
    write_help_line(out, name, None, None, help);
    write_type_line(out, name, None, None, kind.as_str());
}

/// Renders labels as in a sample.
pub(super) fn labels<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let shown = |(key, value)| {
        let key = sanitize_label_key(key);
        let value = sanitize_label_value(value);
        format!("{key}=\"{value}\"")
    };
    labels.map(shown).collect::<Vec<_>>().join(",")
}

/// One sample.
pub(super) fn sample(out: &mut String, name: &str, labels: &str, value: impl Display) {
    // Writing to a string cannot fail.
    let _ = match labels {
        "" => writeln!(out, "{name} {value}"),
        labels => writeln!(out, "{name}{{{labels}}} {value}"),
    };
}
