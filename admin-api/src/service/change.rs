//! The names of administrative changes, in the audit trail and in metrics.

pub(crate) const RELOAD_RULES: &str = "acteon.rules.reload";
pub(crate) const TOGGLE_RULE: &str = "acteon.rules.toggle";
pub(crate) const REPLAY_LETTER: &str = "acteon.dead_letters.replay";
pub(crate) const DELETE_LETTER: &str = "acteon.dead_letters.delete";

/// Every name.
pub(crate) const ALL: [&str; 4] = [RELOAD_RULES, TOGGLE_RULE, REPLAY_LETTER, DELETE_LETTER];
