//! Registers all backends, in one registry for state and one for audit. No other place lists them.

use acteon_backends_sqlite::SqliteFiles;
use acteon_core::Registry;
use acteon_core::audit::Audits;
use acteon_core::state::States;

/// Adds every state and every audit backend.
pub fn register(states: &mut Registry<States>, audits: &mut Registry<Audits>) {
    let files = SqliteFiles::default();
    states.register(acteon_backends_memory::MemoryStates);
    audits.register(acteon_backends_memory::MemoryAudits);
    states.register(acteon_backends_sqlite::SqliteStates::new(files.clone()));
    audits.register(acteon_backends_sqlite::SqliteAudits::new(files));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backend_is_found_by_its_kind() {
        let mut states = Registry::default();
        let mut audits = Registry::default();
        register(&mut states, &mut audits);
        assert_eq!(states.kinds().collect::<Vec<_>>(), ["memory", "sqlite"]);
        assert_eq!(audits.kinds().collect::<Vec<_>>(), ["memory", "sqlite"]);
    }
}
