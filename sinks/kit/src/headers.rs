//! Encodes ids as header values, and selects the headers of a provider that may be shown.

use std::borrow::Cow;

use bytes::Bytes;
use compact_str::CompactString;
use http::header::HeaderMap;
use http::{HeaderName, HeaderValue};

use crate::sent_secrets::RequestSecrets;

/// The maximum number of a provider's headers kept.
const HEADERS_MAX: usize = 32;
/// Longer header values are dropped.
const VALUE_BYTES_MAX: usize = 1024;

/// Parts of the names of headers that may contain credentials.
const SECRET_PARTS: &[&str] = &[
    "auth",
    "cookie",
    "credential",
    "key",
    "passw",
    "secret",
    "session",
    "token",
    "signature",
];
/// Headers about the connection, not about the answer.
const OF_THE_CONNECTION: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// `text` as a header value: see [`percent_encoded`].
pub fn header_text(text: &str) -> HeaderValue {
    HeaderValue::from_str(&percent_encoded(text)).unwrap_or(HeaderValue::from_static(""))
}

/// `text` in printable ASCII. The space, `%` and all other bytes are percent-encoded, so that different texts give
/// different values.
pub fn percent_encoded(text: &str) -> Cow<'_, str> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let is_plain = |b: u8| b.is_ascii_graphic() && b != b'%';
    if text.bytes().all(is_plain) {
        return text.into();
    }
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            let digits = [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]);
            encoded.push('%');
            encoded.extend(digits.map(char::from));
        }
    }
    encoded.into()
}

/// The headers of a provider that may be shown: text, bounded in number and length, without credentials. Values under
/// one name are joined by commas.
pub(crate) fn shown(
    headers: &HeaderMap,
    secrets: &RequestSecrets,
) -> Vec<(CompactString, CompactString)> {
    let mut shown = Vec::with_capacity(headers.keys_len().min(HEADERS_MAX));
    for name in headers.keys().filter(|name| may_show(name)) {
        if shown.len() == HEADERS_MAX {
            break;
        }
        if let Some(value) = joined(headers, name) {
            let value = secrets.redact(Bytes::copy_from_slice(value.as_bytes()));
            let value = CompactString::from_utf8_lossy(&value);
            shown.push((CompactString::from(name.as_str()), value));
        }
    }
    shown
}

fn may_show(name: &HeaderName) -> bool {
    let name = name.as_str();
    !OF_THE_CONNECTION.contains(&name) && !SECRET_PARTS.iter().any(|part| name.contains(part))
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<CompactString> {
    let mut joined = CompactString::default();
    for value in headers.get_all(name) {
        if !joined.is_empty() {
            joined.push_str(", ");
        }
        joined.push_str(value.to_str().ok()?);
    }
    (joined.len() <= VALUE_BYTES_MAX).then_some(joined)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::sent_secrets::SentSecrets;

    fn shown(headers: &HeaderMap) -> Vec<(CompactString, CompactString)> {
        let url = "https://example.com/hooks/t0ken-of-the-url";
        let secrets = SentSecrets::new(&url.parse().unwrap(), &[]);
        super::shown(headers, &secrets.of_request(&HeaderMap::new()))
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_usual_id_is_its_own_header_value() {
        let id = "0198c0de-0000-7000-8000-000000000001";
        assert_eq!(header_text(id), id);
    }

    #[test]
    fn any_text_becomes_a_header_value_of_its_own() {
        let texts = [
            "ä",
            "%C3%A4",
            " a",
            "a",
            "a ",
            "a%20",
            "naïve id",
            "\u{7f}",
            "日本",
            "",
            "a\tb",
        ];
        let values: HashSet<_> = texts.iter().map(|text| header_text(text)).collect();
        assert_eq!(values.len(), texts.len());
        assert_eq!(header_text("ä %"), "%C3%A4%20%25");
    }

    #[test]
    fn credentials_and_what_is_about_the_connection_are_left_out() {
        let shown = shown(&headers(&[
            ("content-type", "application/json"),
            ("set-cookie", "sid=1"),
            ("authorization", "Bearer x"),
            ("www-authenticate", "Basic"),
            ("proxy-authorization", "x"),
            ("x-api-key", "k"),
            ("x-csrf-token", "t"),
            ("x-amz-security-token", "t"),
            ("transfer-encoding", "chunked"),
            ("x-request-id", "r"),
        ]));
        let names: Vec<_> = shown.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["content-type", "x-request-id"]);
    }

    #[test]
    fn a_secret_of_the_request_is_replaced() {
        let shown = shown(&headers(&[("location", "/hooks/t0ken-of-the-url")]));
        assert_eq!(shown, [("location".into(), "***".into())]);
    }

    #[test]
    fn repeated_headers_are_joined_under_one_name() {
        let mut headers = headers(&[("x-warning", "a")]);
        headers.append("x-warning", HeaderValue::from_static("b"));
        assert_eq!(shown(&headers), [("x-warning".into(), "a, b".into())]);
    }

    #[test]
    fn number_and_length_are_bounded_and_bytes_that_are_no_text_left_out() {
        let mut many: HeaderMap = (0..100)
            .map(|n| {
                (
                    format!("x-{n}").parse().unwrap(),
                    HeaderValue::from_static("v"),
                )
            })
            .collect();
        assert_eq!(shown(&many).len(), HEADERS_MAX);
        many.clear();
        many.insert("x-long", "v".repeat(VALUE_BYTES_MAX + 1).parse().unwrap());
        many.insert("x-bytes", HeaderValue::from_bytes(b"\xff").unwrap());
        assert_eq!(shown(&many), []);
    }
}
