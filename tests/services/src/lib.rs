//! Starts the real servers that tests need: one file per server, each built from the same three parts. Services that
//! cannot be installed, such as Slack, are played by a server that follows their documentation.
//!
//! [`cache`] keeps downloads, [`java`] fetches Java archives into it, and [`process`] runs a server so that it never
//! outlives the test that started it. Each server listens only on 127.0.0.1, on a free port, in a separate folder. It
//! is ready when it reports so itself.

pub mod cache;
mod certificates;
pub mod discord;
pub mod eventually;
pub mod java;
pub mod kafka;
mod listening;
pub mod nats;
pub mod opsgenie;
pub mod pagerduty;
pub mod process;
pub mod python;
pub mod rabbit;
pub mod schemathesis;
pub mod slack;
pub mod smtp;
mod stored;
pub mod teams;
pub mod telegram;

pub use discord::DiscordServer;
pub use eventually::eventually;
pub use kafka::{Kafka, Listener, Secured};
pub use nats::{Nats, NatsUser, OperatedNats, SecuredNats, foreign_credentials};
pub use opsgenie::OpsgenieServer;
pub use pagerduty::PagerDutyServer;
pub use rabbit::{Rabbit, RabbitUser, SecuredRabbit};
pub use slack::SlackServer;
pub use smtp::{MailServer, MailServerOptions};
pub use stored::StoredMessage;
pub use teams::TeamsServer;
pub use telegram::TelegramServer;
