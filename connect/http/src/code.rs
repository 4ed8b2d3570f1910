//! The stable codes of errors that clients see. A change here is a breaking change.

/// The body is not JSON or does not match the schema of the endpoint.
pub const INVALID_JSON: &str = "INVALID_JSON";
/// A query parameter is unknown, missing or malformed.
pub const INVALID_QUERY: &str = "INVALID_QUERY";
/// The new rules have errors; the old ones stay in force.
pub const RULES_INVALID: &str = "RULES_INVALID";
/// The received bytes are not an HTTP request.
pub const INVALID_REQUEST: &str = "INVALID_REQUEST";
/// The credentials are missing or invalid.
pub const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
/// The credentials are valid but do not grant access.
pub const FORBIDDEN: &str = "FORBIDDEN";
/// There is no such path, dead letter or provider.
pub const NOT_FOUND: &str = "NOT_FOUND";
/// No rule has this name.
pub const RULE_NOT_FOUND: &str = "RULE_NOT_FOUND";
/// No event has this fingerprint.
pub const EVENT_NOT_FOUND: &str = "EVENT_NOT_FOUND";
/// No group has this key.
pub const GROUP_NOT_FOUND: &str = "GROUP_NOT_FOUND";
/// No silence has this id.
pub const SILENCE_NOT_FOUND: &str = "SILENCE_NOT_FOUND";
/// The action has no audit record.
pub const AUDIT_RECORD_NOT_FOUND: &str = "AUDIT_RECORD_NOT_FOUND";
/// The audit trail is disabled.
pub const AUDIT_DISABLED: &str = "AUDIT_DISABLED";
/// The path does not support this method.
pub const METHOD_NOT_ALLOWED: &str = "METHOD_NOT_ALLOWED";
/// The body did not arrive, or arrived too slowly.
pub const REQUEST_TIMEOUT: &str = "REQUEST_TIMEOUT";
/// The state machine has no such transition.
pub const INVALID_TRANSITION: &str = "INVALID_TRANSITION";
/// The group is already flushed.
pub const GROUP_NOT_PENDING: &str = "GROUP_NOT_PENDING";
/// Several rules have a group under this key.
pub const GROUP_AMBIGUOUS: &str = "GROUP_AMBIGUOUS";
/// The silence has ended, so it cannot be changed.
pub const SILENCE_ENDED: &str = "SILENCE_ENDED";
/// The namespace and tenant have as many silences as they may have.
pub const SILENCES_FULL: &str = "SILENCES_FULL";
/// Another request is replaying the dead letter.
pub const REPLAY_IN_PROGRESS: &str = "REPLAY_IN_PROGRESS";
/// The body is too large, or the batch has too many actions.
pub const PAYLOAD_TOO_LARGE: &str = "PAYLOAD_TOO_LARGE";
/// The path and the query are too long together.
pub const URI_TOO_LONG: &str = "URI_TOO_LONG";
/// The head of the request is too large or has too many headers.
pub const HEADERS_TOO_LARGE: &str = "HEADERS_TOO_LARGE";
/// The body is not declared as JSON, or its encoding is not supported.
pub const UNSUPPORTED_MEDIA_TYPE: &str = "UNSUPPORTED_MEDIA_TYPE";
/// The body is JSON but not an action.
pub const INVALID_ACTION: &str = "INVALID_ACTION";
/// The body is JSON but not a silence.
pub const INVALID_SILENCE: &str = "INVALID_SILENCE";
/// The caller sends too many requests.
pub const RATE_LIMITED: &str = "RATE_LIMITED";
/// Too much is in flight, or another request is processing the same id or key.
pub const OVERLOADED: &str = "OVERLOADED";
/// The state backend has reached its limit.
pub const STATE_FULL: &str = "STATE_FULL";
/// The state backend cannot be reached.
pub const STATE_UNAVAILABLE: &str = "STATE_UNAVAILABLE";
/// The process is stopping.
pub const SHUTTING_DOWN: &str = "SHUTTING_DOWN";
/// A bug, or corrupt data in a backend; the log has the cause.
pub const INTERNAL: &str = "INTERNAL";
