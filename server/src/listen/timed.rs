//! A socket that ends when its client takes too long: to begin a request, to send its head, to read an answer. How fast
//! bodies come is watched where they are read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Limits;
use super::connections::Idling;
use super::life::{Life, Phase, Seen};

pub(super) struct Timed<S> {
    socket: S,
    life: Arc<Life>,
    idling: Idling,
    limits: Limits,
    /// The phase that was last waited in, and until when.
    waiting: Option<(Seen, Instant)>,
    /// Until when the client has to read more.
    unread: Option<Instant>,
    /// Set later only when it rings too early: most waits end before their time.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<S> Timed<S> {
    pub(super) fn new(socket: S, life: Arc<Life>, idling: Idling, limits: Limits) -> Self {
        Self {
            socket,
            life,
            idling,
            limits,
            waiting: None,
            unread: None,
            alarm: None,
        }
    }

    /// What becomes of a read for which nothing has come: the end, if it was waited for long enough.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.life.register(cx.waker());
        let seen = self.life.now();
        let limit = match seen.phase() {
            Phase::Idle => self.limits.idle,
            Phase::Head => self.limits.head,
            Phase::Busy => return Poll::Pending,
            Phase::Closing => return Poll::Ready(Ok(())),
        };
        let until = match self.waiting {
            Some((waiting, until)) if waiting == seen => until,
            _ => {
                let until = Instant::now() + limit;
                self.waiting = Some((seen, until));
                if seen.phase() == Phase::Idle {
                    self.idling.begin(&self.life);
                    if self.life.now() != seen {
                        return Poll::Ready(Ok(()));
                    }
                }
                until
            }
        };
        ready!(self.poll_alarm(until, cx));
        match seen.phase() {
            Phase::Head => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            // As if the client had closed it.
            Phase::Idle | Phase::Busy | Phase::Closing => {
                self.life.close(seen);
                Poll::Ready(Ok(()))
            }
        }
    }

    fn poll_alarm(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        if alarm.deadline() > until {
            alarm.as_mut().reset(until);
        }
        ready!(alarm.as_mut().poll(cx));
        if Instant::now() >= until {
            return Poll::Ready(());
        }
        alarm.as_mut().reset(until);
        alarm.as_mut().poll(cx)
    }

    /// Ends a write that the client does not read.
    fn watch<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.unread = None;
            return written;
        }
        let idle = self.limits.idle;
        let until = *self.unread.get_or_insert_with(|| Instant::now() + idle);
        ready!(self.poll_alarm(until, cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        match Pin::new(&mut this.socket).poll_read(cx, buffer) {
            Poll::Pending => this.poll_patience(cx),
            Poll::Ready(read) => {
                let seen = this.life.now();
                if seen.phase() == Phase::Idle && buffer.filled().len() > before {
                    this.life.enter(Phase::Head);
                }
                Poll::Ready(read)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.watch(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.watch(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        self.watch(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
