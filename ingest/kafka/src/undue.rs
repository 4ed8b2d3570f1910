//! Counts the records of a delayed path partition that wait here until they are due, against a limit.

/// Records that are not due yet, by number and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct UndueRecords {
    pub(crate) count: usize,
    pub(crate) bytes: u64,
}

impl UndueRecords {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }

    pub(crate) fn remove(&mut self, bytes: u64) {
        self.count -= 1;
        self.bytes -= bytes;
    }

    pub(crate) fn reaches(self, max: Self) -> bool {
        self.count >= max.count || self.bytes >= max.bytes
    }

    pub(crate) fn is_over_half(self, max: Self) -> bool {
        self.count > max.count / 2 || self.bytes > max.bytes / 2
    }
}
