//! A log line as a JSON object on one line: `timestamp`, `level`, `target`, `message` and the fields of the event, each
//! key once.

use std::error::Error;
use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats events. Spans are left out: only libraries have any.
pub(super) struct JsonFormat;

impl<S, N> FormatEvent<S, N> for JsonFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Vec::with_capacity(256);
        write(event, &mut line).map_err(|_| fmt::Error)?;
        let line = String::from_utf8(line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

fn write(event: &Event<'_>, line: &mut Vec<u8>) -> serde_json::Result<()> {
    let mut timestamp = String::new();
    // Formatting into a string cannot fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    let metadata = event.metadata();
    let mut serializer = serde_json::Serializer::new(line);
    let mut fields = Fields {
        map: serializer.serialize_map(None)?,
        names: Vec::with_capacity(16),
        result: Ok(()),
    };
    fields.put("timestamp", &timestamp);
    fields.put("level", metadata.level().as_str());
    fields.put("target", metadata.target());
    event.record(&mut fields);
    fields.result?;
    fields.map.end()
}

struct Fields<M: SerializeMap> {
    map: M,
    /// Names already written. A repeated name gets `_` appended.
    names: Vec<String>,
    result: Result<(), M::Error>,
}

impl<M: SerializeMap> Fields<M> {
    fn put(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        let mut name = name.to_owned();
        while self.names.contains(&name) {
            name.push('_');
        }
        if self.result.is_ok() {
            self.result = self.map.serialize_entry(&name, value);
        }
        self.names.push(name);
    }
}

impl<M: SerializeMap> Visit for Fields<M> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), &value);
    }

    /// Includes the chain of causes.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        self.put(field.name(), &text);
    }
}

#[cfg(test)]
mod tests;
