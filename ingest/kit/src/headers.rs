//! The names of headers: those read from every message, and those written on published messages.

/// The W3C trace of a message.
pub const TRACEPARENT: &str = "traceparent";
/// Vendor-specific additions to the trace.
pub const TRACESTATE: &str = "tracestate";
/// The configured name of the source that owns a delayed action.
pub const SOURCE: &str = "acteon-source";
/// The consumer group, or another value that distinguishes sources of the same name.
pub const GROUP: &str = "acteon-group";
/// The attempts made for a delayed action, as JSON.
pub const HISTORY: &str = "acteon-history";
/// The earliest time to offer a delayed message: milliseconds since the epoch.
pub const NOT_BEFORE: &str = "acteon-not-before";
/// The position of the original, such as `kafka:orders/3@1042`.
pub const POSITION: &str = "acteon-position";
/// The id of the action.
pub const ID: &str = "acteon-action-id";
/// When the original was made: milliseconds since the epoch.
pub const MADE_AT: &str = "acteon-made-at";
/// The kind of a dead letter.
pub const KIND: &str = "acteon-kind";
/// The stable code of a dead letter's error.
pub const CODE: &str = "acteon-code";
/// The message of a dead letter's error.
pub const MESSAGE: &str = "acteon-message";
