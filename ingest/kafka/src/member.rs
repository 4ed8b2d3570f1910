//! The clients of a source: which topics each reads, and how far ahead.

/// The topics that one client of a source reads. Records of the delayed path are read separately, in their own group:
/// together with the topics they would count when partitions are distributed, and their empty partitions would hold up
/// the full ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConsumerMember {
    /// The configured topics; the first member of a process is 0.
    OfTopics(u32),
    /// The topics of the delayed path.
    OfRetries,
}

/// How many bytes one client may prefetch. Half of them may be queued, the other half on its way from a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefetch(u32);

impl Prefetch {
    /// The client does not read with less.
    pub(crate) const LEAST: Self = Self(2 << 20);
    /// A larger prefetch gains nothing.
    const SOURCE_BYTES_MAX: u32 = 32 << 20;

    /// An equal part of `share`, which covers all clients of a source.
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
