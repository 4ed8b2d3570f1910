//! All backends behind two registries, one for state and one for audit. Each adapter has one line in each that it
//! serves; nothing else lists them.

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
