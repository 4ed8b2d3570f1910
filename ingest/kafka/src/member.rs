//! The clients of a source: what each reads, and how far ahead.

/// What one client of a source reads. What waits for its time is read apart, in a group of its own: among the topics it
/// would be counted when partitions are shared out, and its empty partitions would hold up the full ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    /// The topics; the first of a process is 0.
    OfTopics(u32),
    /// The retry topic.
    OfRetries,
}

/// How many bytes one client may fetch ahead. One half may be queued, the other on its way from a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefetch(u32);

impl Prefetch {
    /// Below this the client refuses to read.
    pub(crate) const LEAST: Self = Self(2 << 20);
    /// More gains nothing.
    const SOURCE_BYTES_MAX: u32 = 32 << 20;

    /// An equal part of `share`, which is for all clients of a source.
    pub(crate) fn of(share: u32, clients: u32) -> Self {
        let all = share.min(Self::SOURCE_BYTES_MAX);
        Self((all / clients).max(Self::LEAST.0))
    }

    pub(crate) fn bytes(self) -> u32 {
        self.0
    }

    pub(crate) fn queued_kib(self) -> u32 {
        self.0 / 2 / 1024
    }

    pub(crate) fn response_bytes(self) -> u32 {
        self.0 / 2
    }
}
