//! Publish, then acknowledge: a source publishes a replacement for a message, and acknowledges the message only once
//! the broker has confirmed the replacement.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use crate::inbox::EpochOffset;

/// How many bytes may be with the client at a time. Client libraries copy what they send, and no limit counts that
/// copy.
const SENDING_BYTES_MAX: usize = 4 << 20;

/// A message to publish.
pub trait Publication: Send + Sync + 'static {
    /// Its bytes, which stay in memory.
    fn raw(&self) -> &Bytes;
}

/// The client that publishes.
#[async_trait]
pub trait Publisher: Send + Sync + 'static {
    /// The type it publishes.
    type Publication: Publication;
    /// The library's error.
    type Error: Send + 'static;

    /// Returns when the broker has confirmed the message.
    ///
    /// # Errors
    /// When the broker has not.
    async fn publish(&self, publication: &Self::Publication) -> Result<(), Self::Error>;
}

/// The result of a publication.
#[derive(Debug)]
pub struct PublishResult<P: Publisher> {
    /// The message it replaces.
    pub at: EpochOffset,
    /// The published message.
    pub publication: Box<P::Publication>,
    /// Whether the broker has confirmed it.
    pub result: Result<(), P::Error>,
}

/// Publications on their way: with the client, or queued behind others.
pub struct Publishing<P: Publisher> {
    publisher: Arc<P>,
    running: FuturesUnordered<BoxFuture<'static, PublishResult<P>>>,
    /// The bytes with the client.
    sending_bytes: usize,
    waiting: VecDeque<(EpochOffset, Box<P::Publication>)>,
}

impl<P: Publisher> Publishing<P> {
    /// Nothing is on its way.
    pub fn new(publisher: P) -> Self {
        Self {
            publisher: Arc::new(publisher),
            running: FuturesUnordered::new(),
            sending_bytes: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Publishes a replacement for the message `at`. [`Publishing::next`] returns the result.
    pub fn begin(&mut self, at: EpochOffset, publication: Box<P::Publication>) {
        self.waiting.push_back((at, publication));
        self.send();
    }

    /// Gives the client as many publications as fit. One that is larger than the limit goes alone.
    fn send(&mut self) {
        while let Some((at, publication)) = self.waiting.pop_front() {
            let bytes = publication.raw().len();
            let is_room = self.sending_bytes + bytes <= SENDING_BYTES_MAX;
            if !is_room && !self.running.is_empty() {
                self.waiting.push_front((at, publication));
                return;
            }
            self.sending_bytes += bytes;
            self.run(at, publication);
        }
    }

    fn run(&mut self, at: EpochOffset, publication: Box<P::Publication>) {
        let publisher = self.publisher.clone();
        self.running.push(Box::pin(async move {
            let result = publisher.publish(&publication).await;
            PublishResult {
                at,
                publication,
                result,
            }
        }));
    }

    /// The next publication to end. Pending if none is on its way.
    pub async fn next(&mut self) -> PublishResult<P> {
        match self.running.next().await {
            Some(published) => {
                self.sending_bytes -= published.publication.raw().len();
                self.send();
                published
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use parking_lot::Mutex;
    use tokio::task::yield_now;

    use super::*;

    #[derive(Debug)]
    struct Text(Bytes);

    impl Publication for Text {
        fn raw(&self) -> &Bytes {
            &self.0
        }
    }

    /// Refuses empty messages.
    struct RefusingClient;

    #[async_trait]
    impl Publisher for RefusingClient {
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
    async fn each_publication_comes_back_with_its_result() {
        let mut publishing = Publishing::new(RefusingClient);
        for (offset, text) in [(0, "a"), (1, "")] {
            let at = EpochOffset { epoch: 0, offset };
            publishing.begin(at, Box::new(Text(text.into())));
        }
        let mut ends = [publishing.next().await, publishing.next().await];
        ends.sort_by_key(|published| published.at.offset);
        let [sent, refused] = ends;
        assert_eq!((sent.result, refused.result), (Ok(()), Err("empty")));
        assert_eq!(sent.publication.raw(), "a");
    }

    /// Records for each message how many bytes were with the client, including its own.
    #[derive(Clone, Default)]
    struct CountingClient {
        bytes: Arc<AtomicUsize>,
        found: Arc<Mutex<Vec<usize>>>,
    }

    #[async_trait]
    impl Publisher for CountingClient {
        type Publication = Text;
        type Error = ();

        async fn publish(&self, text: &Text) -> Result<(), ()> {
            let before = self.bytes.fetch_add(text.0.len(), Relaxed);
            self.found.lock().push(before + text.0.len());
            yield_now().await;
            self.bytes.fetch_sub(text.0.len(), Relaxed);
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_bytes_with_the_client_are_bounded_and_a_longer_message_goes_alone() {
        const HALF: usize = SENDING_BYTES_MAX / 2;
        const LONG: usize = 2 * SENDING_BYTES_MAX;
        let client = CountingClient::default();
        let mut publishing = Publishing::new(client.clone());
        for (offset, length) in (0..).zip([HALF, HALF, HALF, LONG, 1]) {
            let at = EpochOffset { epoch: 0, offset };
            publishing.begin(at, Box::new(Text(vec![0; length].into())));
        }
        for _ in 0..5 {
            publishing.next().await;
        }
        let found = client.found.lock();
        assert_eq!(found[..2], [HALF, 2 * HALF]);
        assert!(found[2] <= SENDING_BYTES_MAX);
        assert_eq!(found[3..], [LONG, 1], "in order, and alone");
    }
}
