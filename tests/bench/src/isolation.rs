//! A topic for four providers of which one hangs, fails or is slow, each in turn and then all together. Compares the
//! rate of the healthy providers with their rate when none is in trouble.

use std::sync::Arc;
use std::time::Duration;

use acteon_services::Kafka;
use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use tokio::time::{Instant, sleep};

use crate::actions::action_for;
use crate::far_end::FarEnd;
use crate::receiver::{Behaviour, Receiver};
use crate::report::Report;
use crate::server::{Ending, Server, webhook};
use crate::topic::Topic;

const PROVIDERS: [&str; 4] = ["hung", "failing", "slow", "well"];
const ACTION_BYTES: usize = 1024;
const WARM_UP: u64 = 400;
const WARM_UP_TIMEOUT: Duration = Duration::from_secs(30);
/// A short schedule, so that redelivered actions come back in time to be counted. The failing provider keeps its
/// breaker closed: behind an open one it would not be called, and could not affect the others.
const CONFIG: &str = "redelivery.schedule_seconds = [5, 10]\n\
                      circuit_breaker.recovery_timeout_seconds = 10\n\
                      circuit_breaker.providers.failing.failure_threshold = 1000000";
/// The longest wait of that schedule: duplicates have arrived by then.
const LONGEST_WAIT: Duration = Duration::from_secs(12);

#[derive(Args)]
pub(crate) struct Options {
    /// How long actions are offered in each run.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// How many actions are offered a second. Default: half the rate of a first run.
    #[arg(long)]
    rate: Option<f64>,
    /// Which providers are in trouble.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "hung,slow,failing,together"
    )]
    mixes: Vec<Mix>,
    /// How long the last action may take after the trouble.
    #[arg(long, default_value_t = 60)]
    timeout_seconds: u64,
    /// Lines of configuration in addition to the defaults.
    #[arg(long, default_value = CONFIG)]
    config: String,
    /// How many actions the first run has.
    #[arg(long, default_value_t = 100_000)]
    first_run: u64,
}

/// Which provider is in trouble. It has half of the traffic; the others have a sixth each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mix {
    /// One takes requests and never answers.
    Hung,
    /// One works, but accepts 100 a second.
    Slow,
    /// One answers three of four requests with 503.
    Failing,
    /// All three, the slow one with half of the traffic.
    Together,
}

impl Mix {
    fn name(self) -> &'static str {
        match self {
            Self::Hung => "hung",
            Self::Slow => "slow",
            Self::Failing => "failing",
            Self::Together => "together",
        }
    }

    fn troubled(self) -> &'static [&'static str] {
        match self {
            Self::Hung => &["hung"],
            Self::Slow => &["slow"],
            Self::Failing => &["failing"],
            Self::Together => &["hung", "failing", "slow"],
        }
    }

    fn half(self) -> &'static str {
        match self {
            Self::Hung => "hung",
            Self::Failing => "failing",
            Self::Slow | Self::Together => "slow",
        }
    }
}

/// The provider that has half of the traffic when none is in trouble.
const HALF_OF_FLOOR: &str = "slow";

fn behaviour(provider: &str) -> Behaviour {
    match provider {
        "hung" => Behaviour::Hung,
        "failing" => Behaviour::Failing,
        "slow" => Behaviour::Slow(100),
        _ => Behaviour::Well,
    }
}

/// Providers, in the order in which they get actions.
fn shares(half: &'static str) -> [&'static str; 6] {
    let mut others = PROVIDERS.into_iter().filter(|provider| *provider != half);
    std::array::from_fn(|at| match at % 2 {
        0 => half,
        _ => others.next().unwrap_or(half),
    })
}

/// A server, its topic and its four providers.
struct Setting {
    far_end: Arc<FarEnd>,
    topic: Topic,
    receivers: Vec<Receiver>,
    config: String,
}

/// The result of one run.
struct Run {
    /// For each provider: actions per second in the window, per sixth of the traffic that it has.
    rates: Vec<f64>,
    /// The 99th percentile for the provider that is always healthy, in milliseconds.
    p99_ms: f64,
    cpu_per_million: f64,
    ending: Ending,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    tokio::runtime::Runtime::new()?.block_on(compare(options))
}

async fn compare(options: &Options) -> anyhow::Result<Report> {
    let kafka = Kafka::start().await?;
    let mut report = Report::new("isolation");
    let rate = match options.rate {
        Some(rate) => rate,
        None => {
            let most = most(options, &kafka).await?;
            report.row("the most it can do", &[("actions/s", most)]);
            most / 2.0
        }
    };
    report.row("offered", &[("actions/s", rate)]);
    let floor = measure(options, &kafka, rate, None).await?;
    describe(&mut report, "none in trouble", &floor);
    for mix in &options.mixes {
        let run = measure(options, &kafka, rate, Some(*mix)).await?;
        let name = mix.name();
        describe(&mut report, name, &run);
        let healthy = |at: &usize| !mix.troubled().contains(&PROVIDERS[*at]);
        let ratio = |at: usize| run.rates[at] / floor.rates[at];
        let ratios = (0..PROVIDERS.len()).filter(healthy).map(ratio);
        let worst = ratios.fold(f64::INFINITY, f64::min);
        report.at_least(format!("{name}: worst healthy one / floor"), worst, 0.95);
        for (what, count) in [
            ("lost", run.ending.lost),
            ("doubled", run.ending.doubled),
            ("dead-lettered", run.ending.dead_lettered),
        ] {
            report.at_most(format!("{name}: {what}"), count as f64, 0.0);
        }
    }
    Ok(report)
}

fn describe(report: &mut Report, name: &str, run: &Run) {
    let rates: Vec<_> = PROVIDERS
        .into_iter()
        .zip(run.rates.iter().copied())
        .collect();
    report.row(format!("{name}: a second and sixth"), &rates);
    let figures = [
        ("p99 ms of `well`", run.p99_ms),
        ("CPU s/M", run.cpu_per_million),
        ("offered", run.ending.offered as f64),
        ("lost", run.ending.lost as f64),
        ("doubled", run.ending.doubled as f64),
        ("dead-lettered", run.ending.dead_lettered as f64),
        ("all there after s", run.ending.took.as_secs_f64()),
    ];
    report.row(format!("{name}: far end"), &figures);
}

/// How many actions a second the machine handles if all are there and no provider is in trouble.
async fn most(options: &Options, kafka: &Kafka) -> anyhow::Result<f64> {
    let setting = Setting::new(options, kafka).await?;
    let actions = options.first_run;
    setting.send(actions, shares(HALF_OF_FLOOR))?;
    let _server = Server::start(&setting.config).await?;
    let timeout = Duration::from_secs(120);
    ensure!(
        setting.far_end.until_arrived(actions, timeout).await,
        "not all actions of the first run came"
    );
    let (first, last) = setting.far_end.arrivals_from(0).context("none came")?;
    Ok(actions as f64 / (last - first).as_secs_f64())
}

async fn measure(
    options: &Options,
    kafka: &Kafka,
    rate: f64,
    mix: Option<Mix>,
) -> anyhow::Result<Run> {
    let setting = Setting::new(options, kafka).await?;
    let mut server = Server::start(&setting.config).await?;
    let shares = shares(mix.map_or(HALF_OF_FLOOR, Mix::half));
    setting.send(WARM_UP, shares)?;
    let warm = setting.far_end.until_arrived(WARM_UP, WARM_UP_TIMEOUT);
    ensure!(warm.await, "the first actions did not come");

    let troubled = mix.map_or(&[] as &[&str], Mix::troubled);
    setting.trouble(troubled);
    let start = Instant::now();
    let cpu_before = server.process().cpu_seconds()?;
    let window = Duration::from_secs(options.seconds);
    let mut turns = shares.into_iter().cycle();
    let next = || setting.next(turns.next().unwrap_or(HALF_OF_FLOOR));
    setting.topic.offer(rate, window, next).await?;
    let end = Instant::now();
    let cpu = server.process().cpu_seconds()? - cpu_before;
    setting.topic.flush()?;
    setting.trouble(&[]);

    let timeout = Duration::from_secs(options.timeout_seconds);
    let mut ending = server.ending(&setting.far_end, timeout).await?;
    if !troubled.is_empty() {
        sleep(LONGEST_WAIT).await;
        ending.doubled = setting.far_end.count().doubled;
    }
    let sixths = |provider| shares.iter().filter(|p| **p == provider).count() as f64;
    let per_sixth = |provider| setting.far_end.rate(provider, start, end) / sixths(provider);
    Ok(Run {
        rates: PROVIDERS.map(per_sixth).to_vec(),
        p99_ms: setting.far_end.p99_ms("well", start),
        cpu_per_million: cpu * 1e6 / (rate * window.as_secs_f64()),
        ending,
    })
}

impl Setting {
    async fn new(options: &Options, kafka: &Kafka) -> anyhow::Result<Self> {
        let far_end = Arc::new(FarEnd::default());
        let topic = Topic::create(kafka).await?;
        let mut config = format!("{}\n{}", options.config, topic.source(kafka));
        let mut receivers = Vec::new();
        for provider in PROVIDERS {
            let receiver = Receiver::start(&far_end)?;
            config += &webhook(provider, &receiver);
            receivers.push(receiver);
        }
        Ok(Self {
            far_end,
            topic,
            receivers,
            config,
        })
    }

    /// From now on these providers are in trouble and the others are healthy.
    fn trouble(&self, troubled: &[&str]) {
        for (provider, receiver) in PROVIDERS.into_iter().zip(&self.receivers) {
            let is_troubled = troubled.contains(&provider);
            receiver.behave(if is_troubled {
                behaviour(provider)
            } else {
                Behaviour::Well
            });
        }
    }

    /// Offers this many actions at once.
    fn send(&self, actions: u64, shares: [&'static str; 6]) -> anyhow::Result<()> {
        for provider in shares.into_iter().cycle().take(actions as usize) {
            let (number, action) = self.next(provider);
            self.topic.send(number, &action)?;
        }
        self.topic.flush()
    }

    fn next(&self, provider: &'static str) -> (u64, Vec<u8>) {
        let number = self.far_end.offer(provider);
        (number, action_for(provider, number, ACTION_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_half_of_the_traffic_and_the_others_a_sixth_each() {
        for half in PROVIDERS {
            let shares = shares(half);
            for provider in PROVIDERS {
                let sixths = shares.iter().filter(|p| **p == provider).count();
                assert_eq!(sixths, if provider == half { 3 } else { 1 });
            }
        }
    }
}
