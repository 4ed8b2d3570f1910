//! A connection in use: messages, and their confirmations.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use lapin::options::{BasicPublishOptions, ExchangeDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Confirmation, Connection, ExchangeKind};

use crate::channels::Channels;
use crate::error::{AmqpPublishError, AmqpReply, unconfirmed};
use crate::events;
use crate::socket::Socket;

/// After this many messages without a confirmation in time a connection is ended: the library keeps them.
const GIVEN_UP_MAX: usize = 100;
/// Channels kept free for questions.
const SPARE_CHANNELS: u16 = 1;
/// The part of a frame that is not headers, with room to spare.
const FRAME_OVERHEAD: usize = 2048;
/// What the protocol adds to the name and the value of a header.
const HEADER_OVERHEAD: usize = 6;

/// A connection. It ends when it is dropped.
#[derive(Debug)]
pub struct AmqpLink {
    connection: Connection,
    socket: Socket,
    client: String,
    server: String,
    is_blocked: AtomicBool,
    channels: Channels,
}

/// A message to publish.
#[derive(Clone, Debug)]
pub struct AmqpMessage<'a> {
    /// Its exchange; empty for the default one.
    pub exchange: &'a str,
    /// Its routing key.
    pub routing_key: &'a str,
    /// Its body.
    pub body: &'a [u8],
    /// Its properties, headers included.
    pub properties: BasicProperties,
}

impl AmqpLink {
    pub(crate) fn new(
        connection: Connection,
        socket: Socket,
        names: [String; 2],
        channels: u16,
    ) -> Self {
        let [client, server] = names;
        // Zero means no limit.
        let channels = match connection.configuration().channel_max() {
            0 => channels,
            most => channels.min(most.saturating_sub(SPARE_CHANNELS)),
        };
        Self {
            connection,
            socket,
            client,
            server,
            is_blocked: AtomicBool::new(false),
            channels: Channels::new(channels.max(1)),
        }
    }

    /// False if it is lost, or confirms nothing any more.
    pub fn is_usable(&self) -> bool {
        self.connection.status().connected() && self.channels.given_up() < GIVEN_UP_MAX
    }

    /// The broker, for people.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Returns when the broker has confirmed the message, without a time limit. If it is dropped before, the channel of
    /// the message is closed.
    ///
    /// # Errors
    /// When the broker has not.
    pub async fn publish(&self, message: AmqpMessage<'_>) -> Result<(), AmqpPublishError> {
        self.check_headers(&message.properties)?;
        let exchange = name(message.exchange)?;
        let routing_key = name(message.routing_key)?;
        let is_blocked = self.connection.status().blocked();
        if is_blocked != self.is_blocked.swap(is_blocked, Relaxed) && is_blocked {
            events::blocked(&self.client);
        }
        if is_blocked {
            return Err(AmqpPublishError::Blocked);
        }
        let lease = self.channels.lease(&self.connection).await;
        let mut lease = lease.map_err(|error| unconfirmed(&error))?;
        // Without a queue for the message the broker returns it before it confirms it.
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let confirmed = lease.ask(async |channel| {
            let AmqpMessage {
                body, properties, ..
            } = message;
            let sent = channel.basic_publish(exchange, routing_key, options, body, properties);
            sent.await?.await
        });
        match confirmed.await.map_err(|error| unconfirmed(&error))? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(_)) => Err(AmqpPublishError::Unroutable),
            Confirmation::Nack(_) | Confirmation::NotRequested => Err(AmqpPublishError::Unstored),
        }
    }

    /// Asks whether an exchange exists. Creates nothing. The reply says why not.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub async fn find_exchange(
        &self,
        exchange: &str,
    ) -> Result<Option<AmqpReply>, AmqpPublishError> {
        let exchange = name(exchange)?;
        let lease = self.channels.lease(&self.connection).await;
        let mut lease = lease.map_err(|error| unconfirmed(&error))?;
        let options = ExchangeDeclareOptions {
            passive: true,
            ..ExchangeDeclareOptions::default()
        };
        let found = lease.ask(async |channel| {
            let arguments = FieldTable::default();
            let declared =
                channel.exchange_declare(exchange, ExchangeKind::Direct, options, arguments);
            declared.await
        });
        match found.await {
            Ok(()) => Ok(None),
            Err(error) => match AmqpReply::of(&error) {
                Some(reply) => Ok(Some(reply)),
                None => Err(unconfirmed(&error)),
            },
        }
    }

    /// Takes leave of the broker. Errors do not matter: the connection ends in any case.
    pub async fn close(&self) {
        drop(self.connection.close(200, "OK".into()).await);
    }

    /// The headers of a message must fit into one frame: the broker closes the connection for a longer one.
    fn check_headers(&self, properties: &BasicProperties) -> Result<(), AmqpPublishError> {
        let frame_bytes_max = self.connection.configuration().frame_max() as usize;
        let Some(headers) = properties.headers() else {
            return Ok(());
        };
        let bytes: usize = headers
            .inner()
            .iter()
            .map(|(name, value)| name.as_str().len() + bytes_of(value) + HEADER_OVERHEAD)
            .sum();
        // Zero means no limit.
        if frame_bytes_max == 0 || bytes + FRAME_OVERHEAD <= frame_bytes_max {
            return Ok(());
        }
        let message = format!("its headers have {bytes} bytes, and a frame has {frame_bytes_max}");
        Err(AmqpPublishError::TooLarge(message))
    }
}

impl Drop for AmqpLink {
    fn drop(&mut self) {
        // The library takes leave of a broker that answers. One that does not would keep its thread.
        let given_up = self.channels.given_up();
        let is_lost = self.connection.status().errored();
        if is_lost || given_up >= GIVEN_UP_MAX {
            events::ended(&self.client, given_up);
        }
        if is_lost || given_up > 0 {
            self.socket.end();
        }
    }
}

fn bytes_of(value: &AMQPValue) -> usize {
    match value {
        AMQPValue::LongString(text) => text.len(),
        _ => 8,
    }
}

fn name(text: &str) -> Result<ShortString, AmqpPublishError> {
    ShortString::try_new(text).map_err(|_| {
        let message = "the exchange or the routing key is longer than 255 bytes";
        AmqpPublishError::Invalid(message.to_owned())
    })
}
