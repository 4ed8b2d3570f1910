//! The ack of a stream, the error that it sends instead, and what JetStream says about streams.

use serde::Deserialize;

/// What a stream answers to a message.
#[derive(Debug, Deserialize)]
pub(crate) struct PublishAck {
    /// The stream that has the message.
    #[serde(default)]
    pub(crate) stream: String,
    /// Its place in the stream.
    #[serde(default, rename = "seq")]
    pub(crate) sequence: u64,
    /// True if the stream had it before.
    #[serde(default)]
    pub(crate) duplicate: bool,
    /// Why the stream does not have it.
    #[serde(default)]
    pub(crate) error: Option<StreamError>,
}

/// An error of JetStream.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamError {
    /// A status, as HTTP has them.
    #[serde(default)]
    pub(crate) code: u16,
    /// The exact error.
    #[serde(default, rename = "err_code")]
    pub(crate) number: u32,
    #[serde(default)]
    pub(crate) description: String,
}

/// The streams that take the messages of a subject.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamNames {
    #[serde(default)]
    pub(crate) streams: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) error: Option<StreamError>,
}

/// What JetStream says about a stream.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamInfo {
    #[serde(default)]
    pub(crate) config: Option<StreamConfig>,
}

/// How a stream is configured.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamConfig {
    /// True if it stores messages and sends no acks.
    #[serde(default)]
    pub(crate) no_ack: bool,
}
