//! The channels of a connection. Each has one unconfirmed message at a time: the library attaches a message that the
//! broker returned to whichever confirmation it reads next, and one refused message closes its channel.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Connection};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The channels that wait for a message, and places for the channels that have one.
#[derive(Debug)]
pub(crate) struct Channels {
    idle: Mutex<Vec<Channel>>,
    places: Semaphore,
    given_up: AtomicUsize,
}

impl Channels {
    pub(crate) fn new(count: u16) -> Self {
        Self {
            idle: Mutex::default(),
            places: Semaphore::new(count.into()),
            given_up: AtomicUsize::new(0),
        }
    }

    /// How many channels were closed because no attempt waited for their confirmation any more.
    pub(crate) fn given_up(&self) -> usize {
        self.given_up.load(Relaxed)
    }

    /// A channel that confirms messages, for one message. Waits for a place.
    pub(crate) async fn lease(&self, connection: &Connection) -> lapin::Result<ChannelLease<'_>> {
        // It is never closed.
        let place = self.places.acquire().await.ok();
        let mut lease = ChannelLease {
            channels: self,
            _place: place,
            channel: self.idle(),
            is_pending: false,
        };
        if lease.channel.is_none() {
            lease.is_pending = true;
            let opened = confirming(connection).await;
            lease.is_pending = false;
            lease.channel = Some(opened?);
        }
        Ok(lease)
    }

    fn idle(&self) -> Option<Channel> {
        let mut idle = self.idle.lock();
        idle.retain(|channel| channel.status().connected());
        idle.pop()
    }
}

async fn confirming(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    let options = ConfirmSelectOptions::default();
    channel.confirm_select(options).await?;
    Ok(channel)
}

/// A channel in use. It is kept for the next message if it has confirmed this one, and else closed.
pub(crate) struct ChannelLease<'a> {
    channels: &'a Channels,
    _place: Option<SemaphorePermit<'a>>,
    channel: Option<Channel>,
    /// True while an answer of the broker is awaited.
    is_pending: bool,
}

impl ChannelLease<'_> {
    /// Runs what awaits one answer of the broker on the channel.
    pub(crate) async fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&Channel) -> lapin::Result<T>,
    ) -> lapin::Result<T> {
        let Some(channel) = &self.channel else {
            return Err(std::io::Error::from(std::io::ErrorKind::NotConnected).into());
        };
        self.is_pending = true;
        let answer = question(channel).await;
        self.is_pending = false;
        if answer.is_err() {
            self.channel = None;
        }
        answer
    }
}

impl Drop for ChannelLease<'_> {
    fn drop(&mut self) {
        if self.is_pending {
            self.channels.given_up.fetch_add(1, Relaxed);
            self.channel = None;
        }
        if let Some(channel) = self.channel.take() {
            self.channels.idle.lock().push(channel);
        }
    }
}
