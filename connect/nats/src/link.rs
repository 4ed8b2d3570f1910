//! A connection in use: requests, and their ends.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use async_nats::{Client, HeaderMap, Message, Request, RequestErrorKind};
use bytes::Bytes;
use tokio::sync::watch;

use crate::error::NatsRequestError;
use crate::reports::ServerReports;

/// After this many requests without an answer a connection is replaced: the library keeps a little for each of them.
const UNANSWERED_MAX: usize = 1000;

/// A connection. It ends when it is dropped.
#[derive(Debug)]
pub struct NatsLink {
    client: Client,
    server: String,
    reported: watch::Receiver<ServerReports>,
    unanswered: AtomicUsize,
}

impl NatsLink {
    pub(crate) fn new(
        client: Client,
        server: String,
        reported: watch::Receiver<ServerReports>,
    ) -> Self {
        Self {
            client,
            server,
            reported,
            unanswered: AtomicUsize::new(0),
        }
    }

    /// False if it is lost, receives no answers, or has been used up. Requests that wait for an answer go on.
    pub fn is_usable(&self) -> bool {
        self.reported.borrow().end().is_none() && self.unanswered.load(Relaxed) < UNANSWERED_MAX
    }

    /// The server, for people.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Checks that answers arrive, with a message to a subject that no client listens to.
    ///
    /// # Errors
    /// If there will be no answer to any request.
    pub async fn check_inbox(&self) -> Result<(), NatsRequestError> {
        let nowhere = self.client.new_inbox();
        let asked = self.request(&nowhere, HeaderMap::new(), Bytes::new());
        match asked.await {
            // The server refuses an inbox before it refuses the message that needs it.
            Ok(_) | Err(NatsRequestError::NoResponders | NatsRequestError::SubjectDenied) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sends a message and waits for its answer, without a time limit. Requests do not wait for each other.
    ///
    /// # Errors
    /// If there will be no answer.
    pub async fn request(
        &self,
        subject: &str,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<Message, NatsRequestError> {
        if let Some(ended) = self.reported.borrow().end() {
            return Err(ended);
        }
        let mut reported = self.reported.clone();
        let position = reported.borrow_and_update().position();
        let ended = async {
            let about_this = |reports: &ServerReports| reports.refusal(position, subject).is_some();
            let report = reported.wait_for(about_this).await.ok();
            let why = report.and_then(|reports| reports.refusal(position, subject));
            why.unwrap_or(NatsRequestError::Lost)
        };
        let waiting = Waiting::new(&self.unanswered);
        let request = Request::new().headers(headers).payload(payload);
        let answered = tokio::select! {
            biased;
            answered = self.client.send_request(subject.to_owned(), request) => answered,
            error = ended => return Err(error),
        };
        waiting.answered();
        answered.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let cause = cause.unwrap_or_else(|| error.kind().to_string());
            match error.kind() {
                RequestErrorKind::MaxPayloadExceeded => NatsRequestError::TooLarge(cause),
                RequestErrorKind::InvalidSubject => NatsRequestError::Invalid(cause),
                RequestErrorKind::NoResponders => NatsRequestError::NoResponders,
                RequestErrorKind::TimedOut | RequestErrorKind::Other => NatsRequestError::Lost,
            }
        })
    }
}

/// A request that may be given up. It counts as unanswered unless it says otherwise.
struct Waiting<'a> {
    unanswered: &'a AtomicUsize,
    is_answered: bool,
}

impl<'a> Waiting<'a> {
    fn new(unanswered: &'a AtomicUsize) -> Self {
        Self {
            unanswered,
            is_answered: false,
        }
    }

    fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.unanswered.fetch_add(1, Relaxed);
        }
    }
}
