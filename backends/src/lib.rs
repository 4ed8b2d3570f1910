//! Registers all backends, in one registry for state and one for audit. No other place lists them.

use acteon_core::Registry;
use acteon_core::audit::Audits;
use acteon_core::state::States;

/// Adds every state backend.
pub fn register_states(states: &mut Registry<States>) {
    states.register(acteon_backends_memory::MemoryStates);
}

/// Adds every audit backend.
pub fn register_audits(audits: &mut Registry<Audits>) {
    audits.register(acteon_backends_memory::MemoryAudits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backend_is_found_by_its_kind() {
        let (mut states, mut audits) = (Registry::default(), Registry::default());
        register_states(&mut states);
        register_audits(&mut audits);
        assert_eq!(states.kinds().collect::<Vec<_>>(), ["memory"]);
        assert_eq!(audits.kinds().collect::<Vec<_>>(), ["memory"]);
    }
}
