//! A socket with time limits for its client: to begin a request, to send its head, to read a response. The speed of
//! bodies is checked where they are read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::ConnectionLimits;
use super::connections::IdleReporter;
use super::refusal::{self, RequestLine};
use super::state::{ConnectionState, NumberedPhase, Phase};

pub(super) struct TimedSocket<S> {
    socket: S,
    state: Arc<ConnectionState>,
    idle_reporter: IdleReporter,
    limits: ConnectionLimits,
    /// The phase of the last wait, and its deadline.
    waiting: Option<(NumberedPhase, Instant)>,
    /// The deadline for the client to read more.
    unread: Option<Instant>,
    /// The first line of the arriving head.
    line: RequestLine,
    refusal: RefusalState,
    /// Postponed only when it fires too early, because most waits end before their deadline.
    alarm: Option<Pin<Box<Sleep>>>,
}

/// The progress of replacing a refusal of the library.
enum RefusalState {
    None,
    /// The rest of the replacement.
    Writing(Vec<u8>),
    /// It is written. Further input is discarded, so that the client receives the replacement.
    Written {
        bytes_left: usize,
    },
}

impl RefusalState {
    fn wrote(&mut self, bytes: usize) {
        if let Self::Writing(rest) = self {
            rest.drain(..bytes);
        }
    }
}

/// The maximum input discarded after a refusal.
const DISCARDED_BYTES_MAX: usize = 1 << 20;

impl<S> TimedSocket<S> {
    pub(super) fn new(
        socket: S,
        state: Arc<ConnectionState>,
        idle_reporter: IdleReporter,
        limits: ConnectionLimits,
    ) -> Self {
        Self {
            socket,
            state,
            idle_reporter,
            limits,
            waiting: None,
            unread: None,
            line: RequestLine::Incomplete,
            refusal: RefusalState::None,
            alarm: None,
        }
    }

    /// Ends a read without input once the limit of the phase has passed.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.register(cx.waker());
        let seen = self.state.now();
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
                    self.idle_reporter.report(&self.state);
                    if self.state.now() != seen {
                        return Poll::Ready(Ok(()));
                    }
                }
                until
            }
        };
        ready!(self.poll_alarm(until, cx));
        match seen.phase() {
            Phase::Head => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            // Looks to the library as if the client had closed it.
            Phase::Idle | Phase::Busy | Phase::Closing => {
                self.state.close(seen);
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

    /// Ends a write whose data the client does not read in time.
    fn limit_write<T>(
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

impl<S: AsyncWrite + Unpin> TimedSocket<S> {
    /// Writes the replacement for `bytes`, if they are a refusal of the library.
    fn poll_replace(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if let RefusalState::None = self.refusal
            && self.state.now().phase() != Phase::Busy
            && let Some(answer) = refusal::replacement(bytes, self.line)
        {
            self.refusal = RefusalState::Writing(answer);
        }
        while let RefusalState::Writing(rest) = &mut self.refusal
            && !rest.is_empty()
        {
            let written = Pin::new(&mut self.socket).poll_write(cx, rest);
            match ready!(self.limit_write(written, cx))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.refusal.wrote(written),
            }
        }
        if !matches!(self.refusal, RefusalState::Writing(_)) {
            return Poll::Ready(Ok(false));
        }
        self.refusal = RefusalState::Written {
            bytes_left: DISCARDED_BYTES_MAX,
        };
        Poll::Ready(Ok(true))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TimedSocket<S> {
    /// Discards the rest of a refused request. Closing a connection with unread input would discard the refusal.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let RefusalState::Written { bytes_left } = &mut self.refusal else {
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

impl<S: AsyncRead + Unpin> AsyncRead for TimedSocket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        match Pin::new(&mut this.socket).poll_read(cx, buffer) {
            Poll::Pending => this.poll_deadline(cx),
            Poll::Ready(read) => {
                let seen = this.state.now();
                let came = &buffer.filled()[before..];
                if seen.phase() == Phase::Idle && !came.is_empty() {
                    this.state.enter(Phase::Head);
                    this.line = RequestLine::Incomplete;
                }
                if this.line == RequestLine::Incomplete && came.contains(&b'\n') {
                    this.line = RequestLine::Complete;
                }
                Poll::Ready(read)
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TimedSocket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if ready!(self.poll_replace(bytes, cx))? {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.limit_write(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.iter().find(|slice| !slice.is_empty());
        if ready!(self.poll_replace(first.map_or(&[], |slice| slice), cx))? {
            return Poll::Ready(Ok(first.map_or(0, |slice| slice.len())));
        }
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, slices);
        self.limit_write(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        self.limit_write(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_shutdown(cx))?;
        self.poll_discard(cx).map(Ok)
    }
}
