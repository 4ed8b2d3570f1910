//! A provider that is away while half of a topic's actions are for it: the other half must keep its rate, and when the
//! provider is back everything must be delivered once.

use std::sync::Arc;
use std::time::Duration;

use acteon_services::Kafka;
use anyhow::ensure;
use clap::Args;
use tokio::time::{Instant, sleep};

use crate::actions::action_for;
use crate::far_end::FarEnd;
use crate::receiver::Receiver;
use crate::report::Report;
use crate::server::{Server, webhook};
use crate::topic::Topic;

const WELL: &str = "well";
const AWAY: &str = "away";
const ACTION_BYTES: usize = 1024;
const WARM_UP: u64 = 200;
const WARM_UP_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(crate) struct Options {
    /// How long the provider is away.
    #[arg(long, default_value_t = 90)]
    seconds: u64,
    /// How many actions arrive in that time, half of them for it.
    #[arg(long, default_value_t = 100_000)]
    records: u64,
    /// Lines of configuration in addition to the defaults, such as "redelivery.schedule_seconds = [1, 2, 4]".
    #[arg(long, default_value = "")]
    config: String,
    /// How long the last action may take after the provider is back: the third wait of the schedule with its jitter,
    /// the breaker's recovery, and the time to deliver.
    #[arg(long, default_value_t = 240)]
    timeout_seconds: u64,
    /// How long to watch for duplicates afterwards: as long as the third wait.
    #[arg(long, default_value_t = 150)]
    watch_seconds: u64,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    tokio::runtime::Runtime::new()?.block_on(measure(options))
}

async fn measure(options: &Options) -> anyhow::Result<Report> {
    let kafka = Kafka::start().await?;
    let mut report = Report::new("outage");
    let window = Duration::from_secs(options.seconds);
    let rate = options.records as f64 / window.as_secs_f64();

    let alone = Setting::start(options, &kafka).await?;
    let floor = alone.offer(&[WELL], rate / 2.0, window / 3).await?;
    drop(alone);
    report.row("alone", &[("actions/s", floor)]);

    let mut setting = Setting::start(options, &kafka).await?;
    let beside = setting.offer(&[WELL, AWAY], rate, window).await?;
    setting.away.come_back()?;
    let timeout = Duration::from_secs(options.timeout_seconds);
    let ending = setting.server.ending(&setting.far_end, timeout).await?;
    sleep(Duration::from_secs(options.watch_seconds)).await;
    let doubled = setting.far_end.count().doubled;
    let took = ending.took.as_secs_f64();
    report.row("beside the one that is away", &[("actions/s", beside)]);
    let figures = [
        ("offered", ending.offered as f64),
        ("all there after s", took),
        ("requests to the one away", setting.away.requests() as f64),
        ("held at most MiB", setting.server.process().peak_mib()?),
    ];
    report.row("far end", &figures);
    report.at_least("beside / alone", beside / floor, 0.95);
    report.at_most("lost", ending.lost as f64, 0.0);
    report.at_most("doubled", doubled as f64, 0.0);
    report.at_most("dead-lettered", ending.dead_lettered as f64, 0.0);
    report.at_most("all there after s", took, timeout.as_secs_f64());
    Ok(report)
}

/// A warm server, its topic and its two providers, one of them away.
struct Setting {
    far_end: Arc<FarEnd>,
    topic: Topic,
    away: Receiver,
    server: Server,
    _well: Receiver,
}

impl Setting {
    async fn start(options: &Options, kafka: &Kafka) -> anyhow::Result<Self> {
        let far_end = Arc::new(FarEnd::default());
        let topic = Topic::create(kafka).await?;
        let well = Receiver::start(&far_end)?;
        let away = Receiver::away(&far_end)?;
        let providers = webhook(WELL, &well) + &webhook(AWAY, &away);
        let source = topic.source(kafka);
        let server = Server::start(&format!("{}\n{source}{providers}", options.config)).await?;
        let setting = Self {
            far_end,
            topic,
            away,
            server,
            _well: well,
        };
        for _ in 0..WARM_UP {
            let (number, action) = setting.next(WELL);
            setting.topic.send(number, &action)?;
        }
        setting.topic.flush()?;
        let warm = setting.far_end.until_arrived(WARM_UP, WARM_UP_TIMEOUT);
        ensure!(warm.await, "the first actions did not come");
        Ok(setting)
    }

    /// Offers actions for these providers in turn. Returns the rate per second at the healthy one in the meantime.
    async fn offer(
        &self,
        providers: &[&'static str],
        rate: f64,
        lasting: Duration,
    ) -> anyhow::Result<f64> {
        let start = Instant::now();
        let mut turns = providers.iter().cycle();
        let next = || self.next(turns.next().unwrap_or(&WELL));
        self.topic.offer(rate, lasting, next).await?;
        Ok(self.far_end.rate(WELL, start, Instant::now()))
    }

    fn next(&self, provider: &'static str) -> (u64, Vec<u8>) {
        let number = self.far_end.offer(provider);
        (number, action_for(provider, number, ACTION_BYTES))
    }
}
