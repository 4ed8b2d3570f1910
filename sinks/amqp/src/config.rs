//! The options of the `amqp` sink.

use std::collections::BTreeMap;

use acteon_connect_amqp::{AmqpConnection, TlsOptions};
use acteon_core::{BuildError, Faults, Secret};
use acteon_sinks_kit::{MessageFormat, RoutingTemplate, check_broker_headers};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::message::{ATTRIBUTE_PREFIX, NAME_BYTES_MAX};

/// The options of an `amqp` provider.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AmqpSinkConfig {
    /// The exchange to publish to. The default one takes the routing key for the name of a queue.
    #[serde(default)]
    pub exchange: String,
    /// The routing key, such as `orders.{{ payload.region }}`. Each path in braces is one word of it.
    #[serde(default)]
    pub routing_key: String,
    /// The body of the message.
    #[serde(default)]
    pub body: MessageFormat,
    /// Additional headers. Values may be secrets.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// The largest body that the broker accepts. It does not tell clients.
    #[serde(default = "max_message_bytes")]
    #[schemars(range(min = 1))]
    pub max_message_bytes: usize,
    /// How to connect.
    #[serde(flatten)]
    pub connection: AmqpConnection,
    /// Certificates and keys.
    #[serde(flatten)]
    pub tls: TlsOptions,
}

/// The headers that RabbitMQ acts on: lists of further routing keys. It refuses a text, and every message with it.
const OF_THE_BROKER: [&str; 2] = ["CC", "BCC"];
/// Half of the frame that RabbitMQ accepts by default. All headers of a message must fit into one frame.
const HEADERS_BYTES_MAX: usize = 64 << 10;

/// The default of RabbitMQ 4. Earlier versions accept more.
fn max_message_bytes() -> usize {
    16 << 20
}

impl AmqpSinkConfig {
    /// Checks everything that can be checked without a broker. Returns the routing key.
    ///
    /// # Errors
    /// All options that cannot work.
    pub(crate) fn check(&self) -> Result<RoutingTemplate, BuildError> {
        let mut faults = Faults::default();
        faults.keep(self.connection.check(&self.tls));
        let is_name = |text: &str| text.len() <= NAME_BYTES_MAX;
        let too_long = |option: &str| {
            let message = format!("must not be longer than {NAME_BYTES_MAX} bytes");
            Err(BuildError::at(option, message))
        };
        if !is_name(&self.exchange) {
            faults.keep::<()>(too_long("exchange"));
        }
        let key = RoutingTemplate::parse(&self.routing_key);
        let key = key.map_err(|why| BuildError::at("routing_key", why));
        let key = key.and_then(|key| match is_name(&key.with_each("")) {
            true => Ok(key),
            false => too_long("routing_key").map(|()| key),
        });
        let key = faults.keep(key);
        if self.exchange.is_empty() && self.routing_key.is_empty() {
            let message = "without an exchange, it must name a queue";
            faults.keep::<()>(Err(BuildError::at("routing_key", message)));
        }
        faults.keep(check_broker_headers(&self.headers, ATTRIBUTE_PREFIX));
        for name in self.headers.keys().filter(|name| !is_name(name)) {
            faults.keep::<()>(too_long(&format!("headers.{name}")));
        }
        faults.keep(self.check_headers());
        faults.end(key)
    }

    fn check_headers(&self) -> Result<(), BuildError> {
        let mut faults = Faults::default();
        for name in OF_THE_BROKER {
            if self.headers.contains_key(name) {
                let message = "the broker acts on a header of this name; remove it";
                faults.keep::<()>(Err(BuildError::at(format!("headers.{name}"), message)));
            }
        }
        let bytes_of = |(name, value): (&String, &Secret)| name.len() + value.expose().len();
        let bytes: usize = self.headers.iter().map(bytes_of).sum();
        if bytes > HEADERS_BYTES_MAX {
            let message = format!(
                "names and values have {bytes} bytes; they must not have more than {HEADERS_BYTES_MAX}"
            );
            faults.keep::<()>(Err(BuildError::at("headers", message)));
        }
        faults.end(Some(()))
    }
}
