//! Removes the secrets of a request from the provider's answer: many providers repeat the path, the query or a
//! credential when they refuse.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use url::Url;

const REDACTED: &[u8] = b"***";
/// Shorter texts are not secrets, and would match everywhere.
const SECRET_BYTES_MIN: usize = 8;

/// The texts to remove: the whole URL except the host, and the values of sensitive headers.
#[derive(Clone, Debug)]
pub(crate) struct SentSecrets {
    of_url: Box<[Bytes]>,
}

impl SentSecrets {
    pub(crate) fn of(url: &Url) -> Self {
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
            .chain(raw.map(|pair| pair.1.to_owned()));
        Self {
            of_url: texts
                .filter(|text| text.len() >= SECRET_BYTES_MIN)
                .map(Bytes::from)
                .collect(),
        }
    }

    /// Replaces these texts, and the values of the sensitive `headers`, in `body`.
    pub(crate) fn redact(&self, headers: &[HeaderValue], body: Bytes) -> Bytes {
        let words = headers.iter().flat_map(words);
        let texts = self.of_url.iter().map(AsRef::as_ref).chain(words);
        texts.fold(body, redact_secret)
    }
}

/// The sensitive values.
pub(crate) fn sensitive(headers: &HeaderMap) -> Vec<HeaderValue> {
    let values = headers.values();
    values
        .filter(|value| value.is_sensitive())
        .cloned()
        .collect()
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
    let find = |from: usize| {
        let mut windows = body[from..].windows(secret.len());
        windows.position(|window| window == secret)
    };
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
    use super::*;

    fn redacted(body: &str) -> String {
        let url = "https://e.com/services/T0000001/B00/xoxp%2Dtoken?key=very%20secret&n=1";
        let mut token = HeaderValue::from_static("Bearer abcdefgh");
        token.set_sensitive(true);
        let secrets = SentSecrets::of(&Url::parse(url).unwrap());
        let redacted = secrets.redact(&[token], body.to_owned().into());
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
    }

    #[test]
    fn other_text_stays_as_it_is() {
        let body = r#"{"error":"B00 n=1 e.com Bearer"}"#;
        assert_eq!(redacted(body), body);
        assert_eq!(redacted(""), "");
    }
}
