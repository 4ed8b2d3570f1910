//! The headers of a request: the constant ones, built once, and the ones of each attempt.

use acteon_core::{Attempt, BuildError, Faults, Secret};
use acteon_sinks_kit::{USER_AGENT, header_text};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::config::{Auth, WebhookConfig};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const ACTION_ID: HeaderName = HeaderName::from_static("x-acteon-action-id");
const ATTEMPT: HeaderName = HeaderName::from_static("x-acteon-attempt");
/// The maximum number of headers that an attempt adds, signature included.
const ATTEMPT_HEADERS_MAX: usize = 8;

/// Headers that the options may not set: Acteon or the connection sets them.
const RESERVED: &[&str] = &[
    "idempotency-key",
    "x-acteon-action-id",
    "x-acteon-attempt",
    "traceparent",
    "tracestate",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "connection",
    "content-length",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The headers that every request has.
pub(crate) fn constant(config: &WebhookConfig) -> Result<HeaderMap, BuildError> {
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    let mut faults = Faults::default();
    for (name, value) in &config.headers {
        let pair = configured(name, value, config.auth.as_ref());
        headers.extend(faults.keep(pair));
    }
    if let Some(auth) = &config.auth {
        let value = faults.keep(authorization(auth));
        headers.extend(value.map(|value| (header::AUTHORIZATION, value)));
    }
    faults.end(Some(headers))
}

/// A header from the options.
fn configured(
    name: &str,
    value: &Secret,
    auth: Option<&Auth>,
) -> Result<(HeaderName, HeaderValue), BuildError> {
    let wrong = |why| BuildError::at(format!("headers.{name}"), why);
    let header =
        HeaderName::try_from(name).map_err(|_| wrong("this is not a valid header name"))?;
    if RESERVED.contains(&header.as_str()) {
        return Err(wrong("Acteon sets this header; remove it"));
    }
    if header == header::AUTHORIZATION && auth.is_some() {
        return Err(wrong("`auth` sets this header, too; set only one of them"));
    }
    let value = sensitive(value.expose());
    let value = value.ok_or_else(|| wrong("the value must be one line of text"))?;
    Ok((header, value))
}

/// The constant headers and the headers of this attempt.
pub(crate) fn headers(constant: &HeaderMap, attempt: Attempt<'_>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(constant.len() + ATTEMPT_HEADERS_MAX);
    for (name, value) in constant {
        headers.insert(name.clone(), value.clone());
    }
    let id = header_text(&attempt.action.id);
    let is_id = attempt.idempotency_key == attempt.action.id;
    let key = if is_id {
        id.clone()
    } else {
        header_text(attempt.idempotency_key)
    };
    headers.insert(IDEMPOTENCY_KEY, key);
    headers.insert(ACTION_ID, id);
    headers.insert(ATTEMPT, HeaderValue::from(attempt.number));
    for (name, value) in attempt.action.trace() {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

fn authorization(auth: &Auth) -> Result<HeaderValue, BuildError> {
    let wrong = |option| {
        let message = "must be one line of text and not empty";
        BuildError::at(format!("auth.{option}"), message)
    };
    match auth {
        Auth::Bearer { token } => Some(token.expose())
            .filter(|token| !token.is_empty())
            .and_then(|token| sensitive(&format!("Bearer {token}")))
            .ok_or_else(|| wrong("token")),
        Auth::Basic { username, .. } if username.is_empty() || username.contains(':') => {
            let message = "must not be empty or contain a colon";
            Err(BuildError::at("auth.username", message))
        }
        Auth::Basic { username, password } => {
            basic(username, password).ok_or_else(|| wrong("password"))
        }
    }
}

fn basic(username: &str, password: &Secret) -> Option<HeaderValue> {
    let pair = format!("{username}:{}", password.expose());
    sensitive(&format!("Basic {}", BASE64_STANDARD.encode(pair)))
}

/// A value kept out of `Debug` output and of the tables of HTTP/2 header compression.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
