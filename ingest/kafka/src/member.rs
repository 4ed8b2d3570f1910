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

/// How many bytes one client may fetch ahead: all of a source together an eighth of what may be in flight in the process,
/// which it is counted against, and at most 32 MiB. One half may be queued, the other on its way from a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefetch(u32);

impl Prefetch {
    pub(crate) const LEAST: Self = Self(Self::BYTES_MIN);
    const BYTES_MIN: u32 = 2 << 20;
    const BYTES_MAX: u32 = 32 << 20;

    pub(crate) fn of(in_flight_bytes_max: u32, consumers: u32) -> Self {
        let all = (in_flight_bytes_max / 8).min(Self::BYTES_MAX);
        Self((all / consumers).max(Self::BYTES_MIN))
    }

    pub(crate) fn bytes(self) -> u64 {
        u64::from(self.0)
    }

    pub(crate) fn queued_kib(self) -> u32 {
        self.0 / 2 / 1024
    }

    pub(crate) fn response_bytes(self) -> u32 {
        self.0 / 2
    }
}
