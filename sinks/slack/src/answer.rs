//! Classifies the answers of the Web API: it answers 200 with `ok: false` and an error code.

use std::time::Duration;

use acteon_core::{FailureCode, SinkError};
use serde::Deserialize;

/// The maximum length of an error code in a message.
const CODE_BYTES_MAX: usize = 64;

/// The class of the codes that are not the action's fault. All others are.
const CODES: &[(CodeClass, &[&str])] = &[
    (CodeClass::RateLimited, &["ratelimited", "rate_limited"]),
    (
        CodeClass::Transient,
        &[
            "external_channel_migrating",
            "fatal_error",
            "internal_error",
            "message_limit_exceeded",
            "request_timeout",
            "service_unavailable",
            "team_added_to_org",
        ],
    ),
    (
        CodeClass::ProviderFault,
        &[
            "access_denied",
            "accesslimited",
            "account_inactive",
            "deprecated_endpoint",
            "ekm_access_denied",
            "enterprise_is_restricted",
            "invalid_auth",
            "method_deprecated",
            "missing_scope",
            "no_permission",
            "not_allowed_token_type",
            "not_authed",
            "org_login_required",
            "team_access_not_granted",
            "token_expired",
            "token_revoked",
            "two_factor_setup_required",
            "unknown_method",
        ],
    ),
    (
        CodeClass::Channel,
        &["channel_not_found", "is_archived", "not_in_channel"],
    ),
];

/// The codes of messages that Slack would accept if they were shorter.
const TOO_LONG: &[&str] = &[
    "msg_blocks_too_long",
    "msg_too_long",
    "too_many_attachments",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CodeClass {
    RateLimited,
    Transient,
    ProviderFault,
    /// The fault of whoever chose the channel.
    Channel,
    Permanent,
}

/// Who chose the channel of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelFrom {
    Payload,
    Configuration,
}

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answering {
    /// A method of the Web API, always with a JSON object.
    WebApi,
    /// An incoming webhook, usually with `ok`.
    Webhook,
}

/// The answer of every method.
#[derive(Deserialize)]
struct ApiAnswer {
    ok: bool,
    #[serde(default)]
    error: String,
}

/// The answer to a request that is limited.
#[derive(Deserialize)]
struct LimitedAnswer {
    retry_after: u64,
}

/// The wait that the body of an answer of 429 asks for: not every such answer has the header.
pub(crate) fn retry_after(body: &[u8]) -> Option<Duration> {
    let answer: LimitedAnswer = serde_json::from_slice(body).ok()?;
    Some(Duration::from_secs(answer.retry_after))
}

/// Checks the body of an answer of 200 from `host`.
///
/// # Errors
/// By the error code. A body that no method of Slack sends is a transient error.
pub(crate) fn check(
    body: &[u8],
    answering: Answering,
    channel: ChannelFrom,
    host: &str,
) -> Result<(), SinkError> {
    let code = match (serde_json::from_slice::<ApiAnswer>(body), answering) {
        (Ok(answer), _) if !answer.ok => answer.error,
        (Ok(_), _) | (Err(_), Answering::Webhook) => return Ok(()),
        (Err(_), Answering::WebApi) => {
            let message = format!("{host} answered 200, but not as the Web API of Slack does");
            return Err(SinkError::transient(FailureCode::ExecutionFailed, message));
        }
    };
    Err(refused(&code, channel, host))
}

fn refused(code: &str, channel: ChannelFrom, host: &str) -> SinkError {
    let message = match is_code(code) {
        true => format!("{host} refused the message: {code}"),
        false => format!("{host} refused the message"),
    };
    let failed = FailureCode::ExecutionFailed;
    match (class(code), channel) {
        (CodeClass::RateLimited, _) => SinkError::transient(FailureCode::RateLimited, message),
        (CodeClass::Transient, _) => SinkError::transient(failed, message),
        (CodeClass::ProviderFault, _) | (CodeClass::Channel, ChannelFrom::Configuration) => {
            SinkError::provider_fault(failed, message)
        }
        (CodeClass::Permanent, _) if TOO_LONG.contains(&code) => {
            SinkError::permanent(failed, message).too_large()
        }
        (CodeClass::Permanent, _) | (CodeClass::Channel, ChannelFrom::Payload) => {
            SinkError::permanent(failed, message)
        }
    }
}

fn class(code: &str) -> CodeClass {
    let found = CODES.iter().find(|(_, codes)| codes.contains(&code));
    found.map_or(CodeClass::Permanent, |(class, _)| *class)
}

/// True if messages may contain it: other text could be anything that the action contains.
fn is_code(text: &str) -> bool {
    let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (1..=CODE_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_part)
}
