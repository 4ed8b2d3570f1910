//! The names of headers: those that are read of every message, and those under which a source publishes.

/// The W3C trace a message belongs to.
pub const TRACEPARENT: &str = "traceparent";
/// What vendors add to it.
pub const TRACESTATE: &str = "tracestate";
/// The source that a delayed action belongs to, by its configured name.
pub const SOURCE: &str = "acteon-source";
/// The consumer group, or what else tells sources of one name apart.
pub const GROUP: &str = "acteon-group";
/// What was tried for a delayed action, as JSON.
pub const HISTORY: &str = "acteon-history";
/// When a delayed message may be offered again: milliseconds since the epoch.
pub const NOT_BEFORE: &str = "acteon-not-before";
/// Where the original stood, such as `kafka:orders/3@1042`.
pub const POSITION: &str = "acteon-position";
/// The id of the action.
pub const ID: &str = "acteon-action-id";
/// When the original was made: milliseconds since the epoch.
pub const MADE_AT: &str = "acteon-made-at";
/// The kind of a dead letter.
pub const KIND: &str = "acteon-kind";
/// The stable code of a dead letter's error.
pub const CODE: &str = "acteon-code";
/// What a dead letter's error says.
pub const MESSAGE: &str = "acteon-message";
