//! The stable codes of errors, as clients see them. A change here is a breaking change.

/// The body is not JSON, or not of the shape that the endpoint takes.
pub const INVALID_JSON: &str = "INVALID_JSON";
/// A query parameter is missing or malformed.
pub const INVALID_QUERY: &str = "INVALID_QUERY";
/// The rules have errors; the old ones stay in force.
pub const RULES_INVALID: &str = "RULES_INVALID";
/// What came is not a request of HTTP.
pub const INVALID_REQUEST: &str = "INVALID_REQUEST";
/// No credentials, or bad ones.
pub const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
/// Good credentials without the right.
pub const FORBIDDEN: &str = "FORBIDDEN";
/// No such path.
pub const NOT_FOUND: &str = "NOT_FOUND";
/// No rule of this name.
pub const RULE_NOT_FOUND: &str = "RULE_NOT_FOUND";
/// No event of this fingerprint.
pub const EVENT_NOT_FOUND: &str = "EVENT_NOT_FOUND";
/// No group of this key.
pub const GROUP_NOT_FOUND: &str = "GROUP_NOT_FOUND";
/// No audit record of this action.
pub const AUDIT_RECORD_NOT_FOUND: &str = "AUDIT_RECORD_NOT_FOUND";
/// There is no audit trail.
pub const AUDIT_DISABLED: &str = "AUDIT_DISABLED";
/// The path exists, but not with this method.
pub const METHOD_NOT_ALLOWED: &str = "METHOD_NOT_ALLOWED";
/// The body did not come, or too slowly.
pub const REQUEST_TIMEOUT: &str = "REQUEST_TIMEOUT";
/// The state machine has no such transition.
pub const INVALID_TRANSITION: &str = "INVALID_TRANSITION";
/// The group was flushed already.
pub const GROUP_NOT_PENDING: &str = "GROUP_NOT_PENDING";
/// The body has too many bytes, or the batch too many actions.
pub const PAYLOAD_TOO_LARGE: &str = "PAYLOAD_TOO_LARGE";
/// The path and the query together have too many bytes.
pub const URI_TOO_LONG: &str = "URI_TOO_LONG";
/// The head of the request has too many bytes, or too many headers.
pub const HEADERS_TOO_LARGE: &str = "HEADERS_TOO_LARGE";
/// The body is not declared to be JSON, or is encoded in a way that is not read here.
pub const UNSUPPORTED_MEDIA_TYPE: &str = "UNSUPPORTED_MEDIA_TYPE";
/// JSON, but not an action.
pub const INVALID_ACTION: &str = "INVALID_ACTION";
/// The caller asks too often.
pub const RATE_LIMITED: &str = "RATE_LIMITED";
/// No room now.
pub const OVERLOADED: &str = "OVERLOADED";
/// 503
pub const STATE_FULL: &str = "STATE_FULL";
/// The state backend cannot be asked.
pub const STATE_UNAVAILABLE: &str = "STATE_UNAVAILABLE";
/// The process is stopping.
pub const SHUTTING_DOWN: &str = "SHUTTING_DOWN";
/// A bug, or something broken behind the API; the log says what.
pub const INTERNAL: &str = "INTERNAL";
