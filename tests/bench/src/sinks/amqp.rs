//! Messages of a RabbitMQ queue.

use acteon_services::Rabbit;
use anyhow::Context;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};

use super::nats::ids;
use super::{Destination, UNCONFIRMED_MAX, action};

const PERSISTENT: u8 = 2;

impl Destination for Rabbit {
    const NAME: &'static str = "amqp";

    async fn create(&self, place: &str) -> anyhow::Result<()> {
        let arguments = Default::default();
        self.create_queue("bench", place, place, arguments).await
    }

    async fn produce(&self, place: &str, count: u64) -> anyhow::Result<()> {
        let connection = self.connect().await?;
        let channel = connection.create_channel().await?;
        let options = ConfirmSelectOptions::default();
        channel.confirm_select(options).await?;
        let mandatory = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let mut unconfirmed = FuturesUnordered::new();
        for number in 0..count {
            if unconfirmed.len() == UNCONFIRMED_MAX {
                unconfirmed.next().await.context("nothing is confirmed")??;
            }
            let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
            let body = action(number);
            let sent = channel
                .basic_publish("bench".into(), place.into(), mandatory, &body, properties)
                .await?;
            unconfirmed.push(sent);
        }
        while let Some(confirmed) = unconfirmed.next().await {
            confirmed?;
        }
        connection.close(200, "OK".into()).await?;
        Ok(())
    }

    fn provider(&self, place: &str) -> String {
        let url = self.url();
        format!("type = \"amqp\"\nurl = \"{url}\"\nexchange = \"bench\"\nrouting_key = \"{place}\"")
    }

    async fn ids(&self, place: &str, count: u64) -> anyhow::Result<Vec<String>> {
        ids(self.messages(place, usize::try_from(count)?).await?)
    }
}
