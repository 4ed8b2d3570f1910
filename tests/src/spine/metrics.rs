//! `/metrics` of the real binary, checked by promtool, and the alerts and the dashboard that use its metrics.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use acteon_services::{Kafka, eventually};
use axum::http::StatusCode;

use super::kafka::config;
use super::{TEN_RULES, action};
use crate::harness::{Producer, Receiver, Server};

const TIMEOUT: Duration = Duration::from_secs(60);

fn docker() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker")
}

fn promtool(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new("promtool");
    let command = command.args(arguments).stdin(Stdio::piped());
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool is there");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// One scrape.
struct Scrape(String);

impl Scrape {
    async fn of(server: &Server) -> Self {
        let answer = server.get("/metrics").await;
        assert_eq!(answer.status, StatusCode::OK);
        Self(answer.body.as_str().unwrap().to_owned())
    }

    fn samples(&self) -> impl Iterator<Item = (&str, f64)> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.filter_map(|line| line.rsplit_once(' '));
        samples.map(|(series, value)| (series, value.parse().unwrap()))
    }

    /// The names of all series, with labels.
    fn series(&self) -> BTreeSet<String> {
        self.samples()
            .map(|(series, _)| series.to_owned())
            .collect()
    }

    fn names(&self) -> BTreeSet<&str> {
        self.samples()
            .map(|(series, _)| series.split('{').next().unwrap())
            .collect()
    }

    fn value(&self, series: &str) -> f64 {
        let found = self.samples().find(|(name, _)| *name == series);
        found
            .unwrap_or_else(|| panic!("{series} is not in:\n{}", self.0))
            .1
    }

    /// The sum of all series of a name.
    fn sum(&self, name: &str) -> f64 {
        let of_name = |series: &str| series.split('{').next() == Some(name);
        self.samples()
            .filter(|(series, _)| of_name(series))
            .map(|(_, value)| value)
            .sum()
    }
}

/// The partitions of a source with a topic of one partition: that one, and one for each tier of the delayed path.
const PARTITIONS: usize = 6;

/// A server whose Kafka source has its partitions assigned, and a receiver for its deliveries.
async fn with_a_topic() -> (Server, Receiver, Producer) {
    let kafka = Kafka::shared().await;
    let receiver = Receiver::accepting().await;
    let producer = Producer::to_new_topic(kafka, 1).await;
    let config = config(kafka, producer.topic(), &receiver, "");
    let server = Server::start(&config, &[("ten.yaml", TEN_RULES)]).await;
    let assigned = async || {
        let series = Scrape::of(&server).await.series();
        let lags = series
            .iter()
            .filter(|series| series.starts_with("acteon_kafka_lag{"));
        lags.count()
    };
    eventually(TIMEOUT, assigned, |count| *count == PARTITIONS).await;
    (server, receiver, producer)
}

/// An action for an unknown provider, which becomes a dead letter.
fn undeliverable() -> String {
    action(7, "missing").to_string()
}

async fn until_dead_lettered(server: &Server, producer: &Producer) {
    producer.send("key", b"{broken");
    producer.send("key", undeliverable().as_bytes());
    producer.flush();
    server.until_counted("dead_lettered", 2, TIMEOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_finds_nothing_wrong_and_each_family_is_described() {
    let (server, _receiver, _producer) = with_a_topic().await;
    let scrape = Scrape::of(&server).await;
    let output = promtool(&["check", "metrics"], &scrape.0);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stderr, b"");
    let described = |kind: &str| -> BTreeSet<&str> {
        let lines = scrape.0.lines().filter_map(|line| line.strip_prefix(kind));
        lines.map(|line| line.split(' ').next().unwrap()).collect()
    };
    assert_eq!(described("# HELP "), described("# TYPE "));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_series_are_there_before_anything_happens() {
    let (server, receiver, producer) = with_a_topic().await;
    let before = Scrape::of(&server).await.series();
    for (number, provider) in [(1, "hook"), (1, "hook"), (2, "missing")] {
        server.post("/v1/dispatch", &action(number, provider)).await;
    }
    server.post_text("/v1/dispatch", "{".to_owned()).await;
    until_dead_lettered(&server, &producer).await;
    server.write_rules("broken.yaml", "rules: [");
    let reloaded = server.post_text("/v1/rules/reload", String::new()).await;
    assert_eq!(reloaded.status, StatusCode::BAD_REQUEST);
    assert_eq!(receiver.accepted(), 1);
    let after = Scrape::of(&server).await.series();
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.is_empty(), "{new:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_counted_adds_up() {
    let (server, _receiver, producer) = with_a_topic().await;
    let mut twice = action(3, "hook");
    twice["id"] = "twice".into();
    for action in [
        &action(1, "hook"),
        &action(1, "hook"),
        &action(2, "missing"),
        &twice,
        &twice,
    ] {
        server.post("/v1/dispatch", action).await;
    }
    server
        .post("/v1/dispatch?dry_run=true", &action(9, "hook"))
        .await;
    until_dead_lettered(&server, &producer).await;
    let scrape = Scrape::of(&server).await;
    let dispatched = scrape.value("acteon_dispatched_total");
    assert_eq!(dispatched, 5.0);
    assert_eq!(scrape.sum("acteon_actions_total"), dispatched);
    assert_eq!(
        scrape.value("acteon_actions_total{outcome=\"deduplicated\"}"),
        1.0
    );
    assert_eq!(scrape.value("acteon_replayed_total"), 1.0);
    assert_eq!(scrape.value("acteon_dry_runs_total"), 1.0);
    assert_eq!(scrape.sum("acteon_dead_letters_total"), 2.0);
    assert_eq!(
        scrape.sum("acteon_action_duration_seconds_count"),
        dispatched
    );
    assert_eq!(
        scrape.value("acteon_action_duration_seconds_count{source=\"http\"}"),
        4.0
    );
    assert_eq!(
        scrape.value("acteon_action_duration_seconds_count{source=\"orders\"}"),
        1.0
    );
    assert_eq!(
        scrape.value("acteon_delivery_duration_seconds_count{provider=\"hook\"}"),
        2.0
    );
    for call in ["reserve", "settle"] {
        let calls = format!("acteon_state_call_duration_seconds_count{{call=\"{call}\"}}");
        assert!(scrape.value(&calls) > 0.0, "{call}");
    }
    assert!(scrape.value("process_resident_memory_bytes") > 1e6);
    assert!(scrape.value("process_open_fds") > 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn gauges_tell_of_an_open_breaker_and_of_rules_that_were_refused() {
    let receiver = Receiver::replying(|_| Some(StatusCode::UNAUTHORIZED)).await;
    let config = format!(
        "[rules]\ndirectory = \"{{rules}}\"\n\n[[providers]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"{}\"\n\
         allow_cidrs = [\"127.0.0.0/8\"]\n",
        receiver.url()
    );
    let server = Server::start(&config, &[("ten.yaml", TEN_RULES)]).await;
    let of_state = |state| format!("acteon_breaker_state{{provider=\"hook\",state=\"{state}\"}}");
    let successful = "acteon_rules_last_reload_successful";
    let before = Scrape::of(&server).await;
    assert_eq!(
        [before.value(&of_state("closed")), before.value(successful)],
        [1.0, 1.0]
    );
    assert!(before.value("acteon_rules_last_reload_success_timestamp_seconds") > 1e9);
    server.post("/v1/dispatch", &action(1, "hook")).await;
    server.write_rules("broken.yaml", "rules: [");
    server.post_text("/v1/rules/reload", String::new()).await;
    let after = Scrape::of(&server).await;
    assert_eq!(
        [
            after.value(&of_state("closed")),
            after.value(&of_state("open"))
        ],
        [0.0, 1.0]
    );
    assert_eq!(after.value(successful), 0.0);
}

#[test]
fn promtool_loads_the_alerts_and_the_configuration_that_names_them() {
    for (kind, file) in [("rules", "alerts.yaml"), ("config", "prometheus.yaml")] {
        let path = docker().join("prometheus").join(file);
        let output = promtool(&["check", kind, path.to_str().unwrap()], "");
        assert!(output.status.success(), "{output:?}");
    }
}

/// All words in the form of a metric's name.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("acteon_") || word.starts_with("process_"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_that_an_alert_or_the_dashboard_names_is_there() {
    let (server, _receiver, _producer) = with_a_topic().await;
    let scrape = Scrape::of(&server).await;
    let known = scrape.names();
    let mut families: BTreeSet<&str> = scrape
        .0
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    families.extend(&known);
    for file in ["prometheus/alerts.yaml", "grafana/dashboards/acteon.json"] {
        let text = fs::read_to_string(docker().join(file)).unwrap();
        let named = named(&text);
        assert!(named.len() > 15, "{file} names {named:?}");
        let unknown: Vec<_> = named.difference(&families).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
        if file.ends_with(".json") {
            let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(dashboard["panels"].as_array().unwrap().len() > 15);
        }
    }
}
