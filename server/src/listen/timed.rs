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
use super::refusal::{self, Line};

pub(super) struct Timed<S> {
    socket: S,
    life: Arc<Life>,
    idling: Idling,
    limits: Limits,
    /// The phase that was last waited in, and until when.
    waiting: Option<(Seen, Instant)>,
    /// Until when the client has to read more.
    unread: Option<Instant>,
    /// Of the head that is coming.
    line: Line,
    refusing: Refusing,
    /// Set later only when it rings too early: most waits end before their time.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// Whether a refusal of the library is put into our form.
enum Refusing {
    No,
    /// So much of it is still to be written.
    Writing(Vec<u8>),
    /// It is written, and what its client still sends is thrown away, so that the client gets to see it.
    Written {
        bytes_left: usize,
    },
}

impl Refusing {
    fn wrote(&mut self, bytes: usize) {
        if let Self::Writing(rest) = self {
            rest.drain(..bytes);
        }
    }
}

/// How much is thrown away behind a refusal.
const DISCARDED_BYTES_MAX: usize = 1 << 20;

impl<S> Timed<S> {
    pub(super) fn new(socket: S, life: Arc<Life>, idling: Idling, limits: Limits) -> Self {
        Self {
            socket,
            life,
            idling,
            limits,
            waiting: None,
            unread: None,
            line: Line::Open,
            refusing: Refusing::No,
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

impl<S: AsyncWrite + Unpin> Timed<S> {
    /// Writes what takes the place of `bytes`, if the library wrote them by itself.
    fn poll_refuse(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if let Refusing::No = self.refusing
            && self.life.now().phase() != Phase::Busy
            && let Some(answer) = refusal::in_our_form(bytes, self.line)
        {
            self.refusing = Refusing::Writing(answer);
        }
        while let Refusing::Writing(rest) = &mut self.refusing
            && !rest.is_empty()
        {
            let written = Pin::new(&mut self.socket).poll_write(cx, rest);
            match ready!(self.watch(written, cx))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.refusing.wrote(written),
            }
        }
        if !matches!(self.refusing, Refusing::Writing(_)) {
            return Poll::Ready(Ok(false));
        }
        self.refusing = Refusing::Written {
            bytes_left: DISCARDED_BYTES_MAX,
        };
        Poll::Ready(Ok(true))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Timed<S> {
    /// Reads what a client still sends that was refused; a connection that closes with bytes unread takes back what it said.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Refusing::Written { bytes_left } = &mut self.refusing else {
            return Poll::Ready(());
        };
        let mut piece = [0; 4096];
        while *bytes_left > 0 {
            let mut buffer = ReadBuf::new(&mut piece);
            let read = Pin::new(&mut self.socket).poll_read(cx, &mut buffer);
            match read {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    *bytes_left = bytes_left.saturating_sub(buffer.filled().len());
                }
                Poll::Ready(_) => break,
                Poll::Pending => {
                    let limit = self.limits.head;
                    let until = *self.unread.get_or_insert_with(|| Instant::now() + limit);
                    return self.poll_alarm(until, cx);
                }
            }
        }
        Poll::Ready(())
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
                let came = &buffer.filled()[before..];
                if seen.phase() == Phase::Idle && !came.is_empty() {
                    this.life.enter(Phase::Head);
                    this.line = Line::Open;
                }
                if this.line == Line::Open && came.contains(&b'\n') {
                    this.line = Line::Ended;
                }
                Poll::Ready(read)
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if ready!(self.poll_refuse(bytes, cx))? {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.watch(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.iter().find(|slice| !slice.is_empty());
        if ready!(self.poll_refuse(first.map_or(&[], |slice| slice), cx))? {
            return Poll::Ready(Ok(first.map_or(0, |slice| slice.len())));
        }
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
        ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
        self.poll_discard(cx).map(Ok)
    }
}
