//! The socket of a connection, to end it from outside. The library waits without a limit for a broker that accepts a
//! connection and then hangs, and for one that does not read what was queued.

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;

use parking_lot::Mutex;

/// A socket that may not exist yet. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Socket(Arc<Mutex<SocketState>>);

#[derive(Debug, Default)]
enum SocketState {
    #[default]
    Unopened,
    Open(TcpStream),
    Ended,
}

impl Socket {
    /// Keeps a second handle of the socket. Fails if the connection was given up meanwhile.
    pub(crate) fn keep(&self, socket: impl AsFd) -> std::io::Result<()> {
        let handle = TcpStream::from(socket.as_fd().try_clone_to_owned()?);
        handle.set_nodelay(true)?;
        let mut state = self.0.lock();
        match *state {
            SocketState::Ended => Err(std::io::ErrorKind::ConnectionAborted.into()),
            SocketState::Unopened | SocketState::Open(_) => {
                *state = SocketState::Open(handle);
                Ok(())
            }
        }
    }

    /// Ends the connection at once: whatever waits for it fails.
    pub(crate) fn end(&self) {
        let state = std::mem::replace(&mut *self.0.lock(), SocketState::Ended);
        if let SocketState::Open(socket) = state {
            // It may have ended already.
            drop(socket.shutdown(Shutdown::Both));
        }
    }
}

/// Ends the connection unless it was established.
pub(crate) struct EndUnless {
    socket: Socket,
    is_established: bool,
}

impl EndUnless {
    pub(crate) fn new(socket: Socket) -> Self {
        Self {
            socket,
            is_established: false,
        }
    }

    pub(crate) fn established(mut self) {
        self.is_established = true;
    }
}

impl Drop for EndUnless {
    fn drop(&mut self) {
        if !self.is_established {
            self.socket.end();
        }
    }
}
