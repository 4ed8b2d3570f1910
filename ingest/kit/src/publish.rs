//! Publish, then acknowledge: what a source publishes in the place of a message, and only when the broker has it is
//! the message acknowledged.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use crate::inbox::Place;

/// A message to be published.
pub trait Publication: Send + Sync + 'static {
    /// Its bytes, which it keeps in memory.
    fn raw(&self) -> &Bytes;
}

/// The client that publishes.
#[async_trait]
pub trait Publisher: Send + Sync + 'static {
    /// What it publishes.
    type Publication: Publication;
    /// The library's error.
    type Error: Send + 'static;

    /// Returns when the broker has confirmed that it has the message.
    ///
    /// # Errors
    /// When it has not.
    async fn publish(&self, publication: &Self::Publication) -> Result<(), Self::Error>;
}

/// How a publication ended.
#[derive(Debug)]
pub struct Published<P: Publisher> {
    /// The message in whose place it was published.
    pub place: Place,
    /// What was published.
    pub publication: Box<P::Publication>,
    /// Whether the broker has it.
    pub result: Result<(), P::Error>,
}

/// Publications on their way.
pub struct Publishing<P: Publisher> {
    publisher: Arc<P>,
    running: FuturesUnordered<BoxFuture<'static, Published<P>>>,
}

impl<P: Publisher> Publishing<P> {
    /// Nothing is on its way.
    pub fn new(publisher: P) -> Self {
        Self {
            publisher: Arc::new(publisher),
            running: FuturesUnordered::new(),
        }
    }

    /// Publishes for `place`. [`Publishing::next`] tells how it went.
    pub fn begin(&mut self, place: Place, publication: Box<P::Publication>) {
        let publisher = self.publisher.clone();
        self.running.push(Box::pin(async move {
            let result = publisher.publish(&publication).await;
            Published {
                place,
                publication,
                result,
            }
        }));
    }

    /// The next publication to end. Pending while none is on its way.
    pub async fn next(&mut self) -> Published<P> {
        match self.running.next().await {
            Some(published) => published,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Text(Bytes);

    impl Publication for Text {
        fn raw(&self) -> &Bytes {
            &self.0
        }
    }

    /// Refuses what is empty.
    struct Choosy;

    #[async_trait]
    impl Publisher for Choosy {
        type Publication = Text;
        type Error = &'static str;

        async fn publish(&self, publication: &Text) -> Result<(), &'static str> {
            match publication.raw().is_empty() {
                true => Err("empty"),
                false => Ok(()),
            }
        }
    }

    #[tokio::test]
    async fn each_publication_tells_how_it_ended_and_comes_back() {
        let mut publishing = Publishing::new(Choosy);
        for (offset, text) in [(0, "a"), (1, "")] {
            let place = Place { epoch: 0, offset };
            publishing.begin(place, Box::new(Text(text.into())));
        }
        let mut ends = [publishing.next().await, publishing.next().await];
        ends.sort_by_key(|published| published.place.offset);
        let [sent, refused] = ends;
        assert_eq!((sent.result, refused.result), (Ok(()), Err("empty")));
        assert_eq!(sent.publication.raw(), "a");
    }
}
