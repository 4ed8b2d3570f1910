//! One topic feeds a provider of each kind, and one of them is down for a minute. The others keep their rate, and
//! everything for the one that was down arrives once after it is back.

use std::collections::BTreeSet;
use std::time::Duration;

use acteon_services::{
    Kafka, MailServer, MailServerOptions, PagerDutyServer, SlackServer, eventually,
};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::harness::{Producer, Receiver, Server};

/// Actions per second for each provider.
const RATE: u32 = 20;
const WARM_UP: Duration = Duration::from_secs(5);
const OUTAGE: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(60);
const PROVIDERS: [&str; 5] = ["mail", "team", "oncall", "hook", "away"];
/// The ones that are never down.
const WELL: [&str; 4] = ["mail", "team", "oncall", "hook"];

/// The services behind the providers.
struct Services {
    mail: MailServer,
    slack: SlackServer,
    pagerduty: PagerDutyServer,
    hook: Receiver,
    away: Receiver,
}

impl Services {
    async fn start() -> Self {
        let mail = MailServerOptions {
            encryption: "none",
            login: None,
            smtputf8: false,
        };
        Self {
            mail: MailServer::start(mail).await.unwrap(),
            slack: SlackServer::start().await.unwrap(),
            pagerduty: PagerDutyServer::start().await.unwrap(),
            hook: Receiver::accepting().await,
            away: Receiver::away(),
        }
    }

    fn config(&self, kafka: &Kafka, topic: &str) -> String {
        let local = "allow_cidrs = [\"127.0.0.0/8\"]";
        let webhook = |name, receiver: &Receiver| {
            let url = receiver.url();
            format!(
                "[[providers]]\nname = \"{name}\"\ntype = \"webhook\"\nurl = \"{url}\"\n{local}\n\n"
            )
        };
        format!(
            "log.level = \"error\"\nredelivery.schedule_seconds = [1, 2, 4]\n\
             circuit_breaker.recovery_timeout_seconds = 2\n\n\
             [[sources]]\nname = \"orders\"\ntype = \"kafka\"\nbrokers = \"{brokers}\"\ntopics = [\"{topic}\"]\n\
             group_id = \"{topic}-group\"\n\n\
             [[providers]]\nname = \"mail\"\ntype = \"email\"\nfrom_address = \"alerts@example.com\"\n\
             smtp_host = \"127.0.0.1\"\nsmtp_port = {port}\ntls = \"none\"\n{local}\n\n\
             [[providers]]\nname = \"team\"\ntype = \"slack\"\ntoken = \"{token}\"\ndefault_channel = \"C0ALERTS\"\n\
             api_base_url = \"{slack}\"\n{local}\n\n\
             [[providers]]\nname = \"oncall\"\ntype = \"pagerduty\"\n\
             routing_key = \"0123456789abcdef0123456789abcdef\"\napi_base_url = \"{pagerduty}\"\n{local}\n\n{hook}{away}",
            brokers = kafka.bootstrap(),
            port = self.mail.port(),
            token = self.slack.token(),
            slack = self.slack.api_base_url(),
            pagerduty = self.pagerduty.api_base_url(),
            hook = webhook("hook", &self.hook),
            away = webhook("away", &self.away),
        )
    }

    /// How many actions a provider has delivered.
    fn delivered(&self, provider: &str) -> usize {
        match provider {
            "mail" => self.mail.messages().len(),
            "team" => self.slack.messages().len(),
            "oncall" => self.pagerduty.events().len(),
            "hook" => self.hook.accepted(),
            _ => self.away.accepted(),
        }
    }

    /// How many different actions a provider has delivered.
    fn distinct(&self, provider: &str) -> usize {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let keys: BTreeSet<String> = match provider {
            "mail" => self.mail.messages().into_iter().collect(),
            "team" => self
                .slack
                .messages()
                .iter()
                .map(|one| text(&one["text"]))
                .collect(),
            "oncall" => (self.pagerduty.events().iter())
                .map(|event| text(&event["dedup_key"]))
                .collect(),
            "hook" => self.hook.values_of("dedup_key").into_iter().collect(),
            _ => self.away.values_of("dedup_key").into_iter().collect(),
        };
        keys.len()
    }
}

fn action(number: usize, provider: &str) -> Value {
    let text = format!("Order {number} is paid");
    json!({
        "namespace": "shop", "tenant": "acme", "provider": provider, "action_type": "order_paid",
        "dedup_key": format!("{provider}-{number}"),
        "payload": {"text": text, "summary": text, "subject": text, "body": text, "to": "ada@example.com"},
    })
}

/// Sends [`RATE`] actions per second for each provider, regardless of their outcome, with numbers from `first` on. Returns
/// how many each was sent.
async fn offer(
    producer: &Producer,
    providers: &[&'static str],
    lasting: Duration,
    first: usize,
) -> usize {
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let count = RATE as usize * usize::try_from(lasting.as_secs()).unwrap();
    for number in first..first + count {
        ticks.tick().await;
        for provider in providers {
            let key = format!("{provider}-{number}");
            producer.send(&key, action(number, provider).to_string().as_bytes());
        }
        producer.poll();
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn one_provider_that_is_down_for_a_minute_slows_no_other_kind_and_loses_nothing() {
    let kafka = Kafka::shared().await;
    let producer = Producer::to_new_topic(kafka, 3).await;
    let mut services = Services::start().await;
    let _server = Server::start(&services.config(kafka, producer.topic()), &[]).await;
    let warm = offer(&producer, &WELL, WARM_UP, 0).await;
    for provider in WELL {
        let delivered = async || services.delivered(provider);
        eventually(TIMEOUT, delivered, |count| *count == warm).await;
    }

    let start = Instant::now();
    let during = offer(&producer, &PROVIDERS, OUTAGE, warm).await;
    let rates = WELL.map(|provider| {
        let delivered = services.delivered(provider) - warm;
        (provider, delivered as f64 / start.elapsed().as_secs_f64())
    });
    println!("{rates:?} a second while one is down");
    for (provider, rate) in rates {
        let floor = 0.95 * f64::from(RATE);
        assert!(rate >= floor, "{provider} fell to {rate:.1} a second");
    }

    services.away.come_back();
    for provider in PROVIDERS {
        let sent = match provider {
            "away" => during,
            _ => warm + during,
        };
        let distinct = async || services.distinct(provider);
        eventually(TIMEOUT, distinct, |count| *count == sent).await;
        assert_eq!(services.delivered(provider), sent, "{provider}: each once");
    }
}
