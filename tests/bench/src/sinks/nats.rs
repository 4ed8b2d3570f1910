//! Messages of a JetStream stream.

use acteon_services::{Nats, StoredMessage};
use anyhow::Context;
use async_nats::jetstream::context::PublishAckFuture;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::{Destination, UNCONFIRMED_MAX, action};

impl Destination for Nats {
    const NAME: &'static str = "nats";

    async fn create(&self, place: &str) -> anyhow::Result<()> {
        self.create_stream(place, place, Default::default()).await
    }

    async fn produce(&self, place: &str, count: u64) -> anyhow::Result<()> {
        let jetstream = self.jetstream().await?;
        let mut unconfirmed = FuturesUnordered::new();
        for number in 0..count {
            if unconfirmed.len() == UNCONFIRMED_MAX {
                unconfirmed.next().await.context("nothing is confirmed")??;
            }
            let sent: PublishAckFuture = jetstream
                .publish(place.to_owned(), action(number).into())
                .await?;
            unconfirmed.push(sent.into_future());
        }
        while let Some(confirmed) = unconfirmed.next().await {
            confirmed?;
        }
        Ok(())
    }

    fn provider(&self, place: &str) -> String {
        let url = self.url();
        format!("type = \"nats\"\nurl = \"{url}\"\nsubject = \"{place}\"")
    }

    async fn ids(&self, place: &str, count: u64) -> anyhow::Result<Vec<String>> {
        ids(self.messages(place, usize::try_from(count)?).await?)
    }
}

/// The ids in the headers of messages.
pub(super) fn ids(messages: Vec<StoredMessage>) -> anyhow::Result<Vec<String>> {
    let id = |mut message: StoredMessage| {
        let id = message.headers.remove("acteon-action-id");
        id.context("a message without its id")
    };
    messages.into_iter().map(id).collect()
}
