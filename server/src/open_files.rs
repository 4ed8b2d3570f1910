//! The limit of open files. Each connection takes one, and a common default of 1024 would end long before
//! `server.max_connections`.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Server;
use crate::events;

/// Open files beside the connections of the listeners: those to providers and brokers, and those of the process.
const OTHER_FILES: u64 = 512;

impl Server {
    /// Raises the limit of open files of this process to what the configured connections need, at most to the hard
    /// limit. Logs a warning if that is too low.
    pub fn raise_file_limit(&self) {
        let connections = self.assembly.listeners.server.max_connections as u64;
        let listeners = 1 + u64::from(self.admin_listener.is_some());
        let needed = connections * listeners + OTHER_FILES;
        let limit = getrlimit(Resource::Nofile);
        let raised = raised(&limit, needed);
        let result = raised.map_or(Ok(()), |limit| setrlimit(Resource::Nofile, limit));
        if let Err(error) = result {
            events::file_limit_fixed(&io::Error::from(error));
        }
        let limit = getrlimit(Resource::Nofile).current;
        if let Some(limit) = limit.filter(|limit| *limit < needed) {
            events::file_limit_too_low(limit, needed, connections);
        }
    }
}

/// The limit to set, if the current one is too low and may be raised. `None` in a limit means unlimited.
fn raised(limit: &Rlimit, needed: u64) -> Option<Rlimit> {
    let current = limit.current.filter(|current| *current < needed)?;
    let wanted = limit.maximum.map_or(needed, |max| max.min(needed));
    (wanted > current).then_some(Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soft(current: Option<u64>, maximum: Option<u64>) -> Option<Option<u64>> {
        let limit = raised(&Rlimit { current, maximum }, 10_512)?;
        assert_eq!(limit.maximum, maximum, "the hard limit stays");
        Some(limit.current)
    }

    #[test]
    fn the_soft_limit_is_raised_to_what_is_needed_and_at_most_to_the_hard_one() {
        assert_eq!(soft(Some(1024), Some(1 << 20)), Some(Some(10_512)));
        assert_eq!(soft(Some(1024), None), Some(Some(10_512)));
        assert_eq!(soft(Some(1024), Some(4096)), Some(Some(4096)));
        assert_eq!(soft(Some(4096), Some(4096)), None);
        assert_eq!(soft(Some(65_536), Some(1 << 20)), None);
        assert_eq!(soft(None, None), None);
    }
}
