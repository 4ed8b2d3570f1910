//! Removes the secrets of a request from the provider's answer: many providers repeat the path, the query or a
//! credential.

use std::fmt;
use std::sync::Arc;

use acteon_core::Secret;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use memchr::memmem;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Url, form_urlencoded};

const REDACTED: &[u8] = b"***";
/// Shorter texts are not secrets, and would match everywhere.
const SECRET_BYTES_MIN: usize = 8;
/// What a URL escapes in a value: everything but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The texts to remove: the whole URL except the host, the credentials of the sink, and the values of sensitive headers.
#[derive(Clone, Default)]
pub(crate) struct SentSecrets {
    texts: Arc<Vec<Bytes>>,
}

impl SentSecrets {
    /// The secrets of requests to `url` that carry `credentials`.
    pub(crate) fn new(url: &Url, credentials: &[Secret]) -> Self {
        let path = url.path();
        let query = url.query().unwrap_or_default();
        let whole = format!("{path}?{query}");
        let segments = path.split('/').map(str::to_owned);
        let values = url.query_pairs().map(|(_, value)| value.into_owned());
        let raw = query.split('&').filter_map(|pair| pair.split_once('='));
        let texts = [whole, path.to_owned(), query.to_owned()].into_iter();
        let texts = texts
            .chain(segments)
            .chain(values)
            .chain(raw.map(|pair| pair.1.to_owned()))
            .chain(
                credentials
                    .iter()
                    .flat_map(|secret| spellings(secret.expose())),
            );
        let texts = texts.filter(|text| text.len() >= SECRET_BYTES_MIN);
        Self {
            texts: Arc::new(texts.map(Bytes::from).collect()),
        }
    }

    /// Adds the value of a header that the HTTP library sends.
    pub(crate) fn add(&mut self, value: &HeaderValue) {
        let words = words(value).map(Bytes::copy_from_slice);
        Arc::make_mut(&mut self.texts).extend(words);
    }

    /// These secrets, and the values of the sensitive `headers` of one request.
    pub(crate) fn of_request(&self, headers: &HeaderMap) -> RequestSecrets {
        let values = headers.values().filter(|value| value.is_sensitive());
        RequestSecrets {
            common: self.clone(),
            headers: values.cloned().collect(),
        }
    }
}

/// The secrets of one request.
#[derive(Clone, Default)]
pub(crate) struct RequestSecrets {
    common: SentSecrets,
    headers: Vec<HeaderValue>,
}

impl RequestSecrets {
    /// Replaces the secrets in a body or a header of the answer.
    pub(crate) fn redact(&self, text: Bytes) -> Bytes {
        let words = self.headers.iter().flat_map(words);
        let texts = self.common.texts.iter().map(AsRef::as_ref).chain(words);
        texts.fold(text, redact_secret)
    }
}

impl fmt::Debug for RequestSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSecrets").finish_non_exhaustive()
    }
}

/// A credential as it is, and as URLs and forms carry it: percent-encoded, with digits in either case.
fn spellings(credential: &str) -> Vec<String> {
    let in_url = utf8_percent_encode(credential, RESERVED).to_string();
    let in_form: String = form_urlencoded::byte_serialize(credential.as_bytes()).collect();
    let lower = [lower_digits(&in_url), lower_digits(&in_form)];
    let mut spellings = vec![credential.to_owned(), in_url, in_form];
    spellings.extend(lower);
    spellings.dedup();
    spellings
}

/// A percent-encoded text with lower-case digits.
fn lower_digits(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        format!("{text}%{}{rest}", digits.to_ascii_lowercase())
    })
}

/// The words of a value: a provider may repeat a credential without its scheme.
fn words(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let words = value.as_bytes().split(|byte| *byte == b' ');
    words.filter(|word| word.len() >= SECRET_BYTES_MIN)
}

/// Replaces every occurrence of `secret` in `body`.
pub fn redact_secret(body: Bytes, secret: &[u8]) -> Bytes {
    if secret.is_empty() {
        return body;
    }
    let find = |from: usize| memmem::find(&body[from..], secret);
    let Some(first) = find(0) else {
        return body;
    };
    let mut kept = Vec::with_capacity(body.len());
    let mut at = 0;
    let mut next = Some(first);
    while let Some(found) = next {
        kept.extend_from_slice(&body[at..at + found]);
        kept.extend_from_slice(REDACTED);
        at += found + secret.len();
        next = find(at);
    }
    kept.extend_from_slice(&body[at..]);
    kept.into()
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    fn redacted(body: &str) -> String {
        let url = "https://e.com/services/T0000001/B00/xoxp%2Dtoken?key=very%20secret&n=1";
        let mut token = HeaderValue::from_static("Bearer abcdefgh");
        token.set_sensitive(true);
        let headers = [(header::AUTHORIZATION, token)].into_iter().collect();
        let credentials = [Secret::new("r0ut1ng-k3y"), Secret::new("short")];
        let secrets = SentSecrets::new(&Url::parse(url).unwrap(), &credentials);
        let secrets = secrets.of_request(&headers);
        let redacted = secrets.redact(body.to_owned().into());
        String::from_utf8(redacted.to_vec()).unwrap()
    }

    #[test]
    fn every_occurrence_of_path_query_and_credentials_is_redacted() {
        let path = "/services/T0000001/B00/xoxp%2Dtoken";
        let query = "key=very%20secret&n=1";
        assert_eq!(
            redacted(&format!("no {path}?{query}, no {path}")),
            "no ***, no ***"
        );
        assert_eq!(
            redacted("no key=very%20secret, `very secret`"),
            "no key=***, `***`"
        );
        assert_eq!(
            redacted("T0000001: abcdefgh, Bearer abcdefgh"),
            "***: ***, Bearer ***"
        );
        assert_eq!(redacted("key r0ut1ng-k3y, short"), "key ***, short");
    }

    #[test]
    fn a_credential_that_a_url_or_a_form_has_encoded_is_redacted() {
        let url = Url::parse("https://e.com/").unwrap();
        let secrets = SentSecrets::new(&url, &[Secret::new("123:a b-SECRET")]);
        let secrets = secrets.of_request(&HeaderMap::new());
        for spelling in [
            "123:a b-SECRET",
            "123%3Aa%20b-SECRET",
            "123%3aa%20b-SECRET",
            "123%3Aa+b-SECRET",
            "123%3aa+b-SECRET",
        ] {
            let redacted = secrets.redact(format!("bot{spelling}!").into());
            assert_eq!(redacted, "bot***!", "{spelling}");
        }
    }

    #[test]
    fn other_text_stays_as_it_is() {
        let body = r#"{"error":"B00 n=1 e.com Bearer"}"#;
        assert_eq!(redacted(body), body);
        assert_eq!(redacted(""), "");
    }
}
