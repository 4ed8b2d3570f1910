//! Offers bodies of 200 B to 2 MB over HTTP and Kafka to a slow, a hung and a failing provider next to a healthy one,
//! and compares the server's memory with its bound. Also measures the memory left of large batches when all but one
//! small action of each is delivered.

mod batches;
mod http;
mod kafka;

use std::sync::Arc;
use std::time::Duration;

use acteon_services::Kafka;
use anyhow::ensure;
use bytes::Bytes;
use clap::Args;
use tokio::time::sleep;

use crate::actions::action_for;
use crate::chance::fraction;
use crate::connection::Connection;
use crate::far_end::FarEnd;
use crate::receiver::{Behaviour, Receiver};
use crate::report::Report;
use crate::server::{Server, webhook};
use crate::topic::Topic;

const PATH: &str = "/v1/dispatch/batch";
const WELL: &str = "well";
const TROUBLED: &str = "troubled";
const TROUBLES: [(&str, Behaviour); 3] = [
    ("slow", Behaviour::Slow(100)),
    ("hung", Behaviour::Hung),
    ("failing", Behaviour::Failing),
];
const SHORTEST_BYTES: f64 = 200.0;
const LONGEST_BYTES: f64 = 2_000_000.0;
/// Without the audit trail, whose memory has another bound. A short schedule brings redelivered actions back in time to
/// be counted. The troubled provider is still called, as it would not be behind an open breaker.
const CONFIG: &str = "audit.enabled = false\n\
                      redelivery.schedule_seconds = [5, 10]\n\
                      circuit_breaker.recovery_timeout_seconds = 10\n\
                      circuit_breaker.providers.troubled.failure_threshold = 1000000";
/// The longest wait of that schedule: duplicates have arrived by then.
const LONGEST_WAIT: Duration = Duration::from_secs(12);
/// How many batches of a hundred small actions are sent before the memory of the idle server is read.
const WARM_UP_BATCHES: u64 = 100;
const WARM_UP_ACTIONS: u64 = 100;
/// How long a warmed-up server is left idle before that.
const IDLE: Duration = Duration::from_secs(2);
const MIB: f64 = 1024.0 * 1024.0;
/// The server may hold this many times its bound, above its memory when idle.
const GOAL: f64 = 1.3;

#[derive(Args)]
pub(crate) struct Options {
    /// How much is offered in total, in GiB.
    #[arg(long, default_value_t = 1.5)]
    gib: f64,
    /// The in-flight bound, in MiB.
    #[arg(long, default_value_t = 64)]
    bound_mib: u64,
    /// How long the trouble lasts after everything has been written to a topic.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How long the last action may take after the trouble.
    #[arg(long, default_value_t = 60)]
    timeout_seconds: u64,
    /// Lines of configuration in addition to the defaults.
    #[arg(long, default_value = CONFIG)]
    config: String,
}

/// A warmed-up server with a healthy and a troubled provider.
struct Setting {
    far_end: Arc<FarEnd>,
    troubled: Receiver,
    server: Server,
    bound_mib: u64,
    /// The server's memory when warm and idle, in MiB.
    base_mib: f64,
    _well: Receiver,
}

/// The results of a case besides its memory.
struct Outcome {
    figures: Vec<(&'static str, f64)>,
    lost: u64,
    dead_lettered: u64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    tokio::runtime::Runtime::new()?.block_on(measure(options))
}

async fn measure(options: &Options) -> anyhow::Result<Report> {
    let mut report = Report::new("memory");
    let setting = Setting::start(&options.config, batches::BOUND_MIB, "").await?;
    let outcome = batches::run(&setting).await?;
    setting.report(&mut report, "large batches", &outcome)?;

    let bytes = (options.gib * 1024.0 * MIB / (2 * TROUBLES.len()) as f64) as u64;
    for (name, behaviour) in TROUBLES {
        let setting = Setting::start(&options.config, options.bound_mib, "").await?;
        setting.troubled.behave(behaviour);
        let outcome = http::run(&setting, bytes).await?;
        setting.report(&mut report, &format!("http, {name}"), &outcome)?;
    }
    let kafka = Kafka::start().await?;
    for (name, behaviour) in TROUBLES {
        let topic = Topic::create(&kafka).await?;
        let source = topic.source(&kafka);
        let mut setting = Setting::start(&options.config, options.bound_mib, &source).await?;
        setting.troubled.behave(behaviour);
        let outcome = kafka::run(options, &mut setting, topic, bytes).await?;
        setting.report(&mut report, &format!("kafka, {name}"), &outcome)?;
    }
    Ok(report)
}

impl Setting {
    async fn start(config: &str, bound_mib: u64, source: &str) -> anyhow::Result<Self> {
        let far_end = Arc::new(FarEnd::default());
        let well = Receiver::start(&far_end)?;
        let troubled = Receiver::start(&far_end)?;
        let bytes = bound_mib << 20;
        let providers = webhook(WELL, &well) + &webhook(TROUBLED, &troubled);
        let config =
            format!("{config}\npipeline.max_in_flight_bytes = {bytes}\n\n{source}{providers}");
        let server = Server::start(&config).await?;
        warm_up(&far_end, server.port()).await?;
        let base_mib = server.process().resident_mib()?;
        Ok(Self {
            far_end,
            troubled,
            server,
            bound_mib,
            base_mib,
            _well: well,
        })
    }

    fn report(&self, report: &mut Report, name: &str, outcome: &Outcome) -> anyhow::Result<()> {
        let peak = self.server.process().peak_mib()?;
        let memory = [
            ("bound MiB", self.bound_mib as f64),
            ("idle MiB", self.base_mib),
            ("peak MiB", peak),
        ];
        report.row(name, &[&memory, outcome.figures.as_slice()].concat());
        let times = (peak - self.base_mib) / self.bound_mib as f64;
        report.at_most(format!("{name}: above idle / bound"), times, GOAL);
        let doubled = self.far_end.count().doubled;
        for (what, count) in [
            ("lost", outcome.lost),
            ("doubled", doubled),
            ("dead-lettered", outcome.dead_lettered),
        ] {
            report.at_most(format!("{name}: {what}"), count as f64, 0.0);
        }
        Ok(())
    }
}

async fn warm_up(far_end: &FarEnd, port: u16) -> anyhow::Result<()> {
    let mut connection = Connection::open(port).await?;
    for _ in 0..WARM_UP_BATCHES {
        let actions = (0..WARM_UP_ACTIONS).map(|number| {
            let provider = if number % 2 == 0 { WELL } else { TROUBLED };
            action_for(provider, far_end.offer(provider), 1024)
        });
        let (status, _) = connection.post(PATH, batch(actions)).await?;
        ensure!(status.is_success(), "warming up: {status}");
    }
    sleep(IDLE).await;
    Ok(())
}

fn batch(actions: impl Iterator<Item = Vec<u8>>) -> Bytes {
    let actions: Vec<_> = actions.collect();
    [b"[".as_slice(), &actions.join(b",".as_slice()), b"]"]
        .concat()
        .into()
}

/// An action for one of the two. Sizes are spread evenly over orders of magnitude: as many between 200 B and 2 kB as
/// between 200 kB and 2 MB.
fn next(far_end: &FarEnd) -> (u64, Vec<u8>) {
    // The count does not depend on the provider.
    let number = far_end.offer(TROUBLED);
    let provider = if fraction(number) < 0.5 {
        WELL
    } else {
        TROUBLED
    };
    let bytes = SHORTEST_BYTES * (LONGEST_BYTES / SHORTEST_BYTES).powf(fraction(!number));
    (number, action_for(provider, number, bytes as usize))
}
