//! CPU time, memory and file descriptors of the process, under the names that all Prometheus clients use. Some are read
//! from `/proc` and missing on systems without it.

use std::fs;

use jiff::Timestamp;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::text::{self, MetricType};

pub(super) fn render(out: &mut String, started_at: Timestamp) {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    let mut show = |name: &str, kind, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            text::head(out, name, kind, help);
            text::sample(out, name, "", value);
        }
    };
    show(
        "process_cpu_seconds_total",
        MetricType::Counter,
        "Total user and system CPU time spent in seconds.",
        Some(used.tv_sec as f64 + used.tv_nsec as f64 / 1e9),
    );
    let [size, resident] = memory().map_or([None; 2], |bytes| bytes.map(Some));
    show(
        "process_virtual_memory_bytes",
        MetricType::Gauge,
        "Virtual memory size in bytes.",
        size,
    );
    show(
        "process_resident_memory_bytes",
        MetricType::Gauge,
        "Resident memory size in bytes.",
        resident,
    );
    show(
        "process_open_fds",
        MetricType::Gauge,
        "Number of open file descriptors.",
        open_files(),
    );
    let max = getrlimit(Resource::Nofile).current;
    show(
        "process_max_fds",
        MetricType::Gauge,
        "Maximum number of open file descriptors.",
        max.map(|max| max as f64),
    );
    show(
        "process_start_time_seconds",
        MetricType::Gauge,
        "Start time of the process since the Unix epoch in seconds.",
        Some(started_at.as_millisecond() as f64 / 1e3),
    );
}

/// Virtual and resident size, in bytes.
fn memory() -> Option<[f64; 2]> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let page = rustix::param::page_size() as f64;
    let mut bytes = pages.split(' ').map(|pages| pages.parse::<f64>().ok());
    Some([bytes.next()?? * page, bytes.next()?? * page])
}

/// The number of open file descriptors, not counting the one that reading them opens.
fn open_files() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    Some(count.saturating_sub(1) as f64)
}
