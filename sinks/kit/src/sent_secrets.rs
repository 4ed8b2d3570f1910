//! What was sent in confidence is taken out of what a provider says: many repeat path, query or credential when they
//! refuse.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use url::Url;

const STRUCK_OUT: &[u8] = b"***";
/// Shorter texts are no secrets, and would be found everywhere.
const SHORT: usize = 8;

/// What must not be repeated: of the URL all but the host, and of headers the sensitive ones.
#[derive(Clone, Debug)]
pub(crate) struct Confidence {
    of_url: Box<[Bytes]>,
}

impl Confidence {
    pub(crate) fn of(url: &Url) -> Self {
        let (path, query) = (url.path(), url.query().unwrap_or_default());
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
                .filter(|text| text.len() >= SHORT)
                .map(Bytes::from)
                .collect(),
        }
    }

    /// `said` with these texts, and those of the sensitive `headers`, struck out.
    pub(crate) fn kept(&self, headers: &[HeaderValue], said: Bytes) -> Bytes {
        let words = headers.iter().flat_map(words);
        let texts = self.of_url.iter().map(AsRef::as_ref).chain(words);
        texts.fold(said, without)
    }
}

/// The values that must not show.
pub(crate) fn sensitive(headers: &HeaderMap) -> Vec<HeaderValue> {
    let values = headers.values();
    values
        .filter(|value| value.is_sensitive())
        .cloned()
        .collect()
}

/// A credential may be repeated without its scheme.
fn words(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let words = value.as_bytes().split(|byte| *byte == b' ');
    words.filter(|word| word.len() >= SHORT)
}

fn without(said: Bytes, text: &[u8]) -> Bytes {
    let find = |from: usize| {
        let mut windows = said[from..].windows(text.len());
        windows.position(|window| window == text)
    };
    let Some(first) = find(0) else {
        return said;
    };
    let (mut kept, mut at, mut next) = (Vec::with_capacity(said.len()), 0, Some(first));
    while let Some(found) = next {
        kept.extend_from_slice(&said[at..at + found]);
        kept.extend_from_slice(STRUCK_OUT);
        at += found + text.len();
        next = find(at);
    }
    kept.extend_from_slice(&said[at..]);
    kept.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(said: &str) -> String {
        let url = "https://e.com/services/T0000001/B00/xoxp%2Dtoken?key=very%20secret&n=1";
        let mut token = HeaderValue::from_static("Bearer abcdefgh");
        token.set_sensitive(true);
        let confidence = Confidence::of(&Url::parse(url).unwrap());
        let kept = confidence.kept(&[token], said.to_owned().into());
        String::from_utf8(kept.to_vec()).unwrap()
    }

    #[test]
    fn path_query_and_credentials_are_struck_out_however_often_they_stand_there() {
        let path = "/services/T0000001/B00/xoxp%2Dtoken";
        let query = "key=very%20secret&n=1";
        assert_eq!(
            kept(&format!("no {path}?{query}, no {path}")),
            "no ***, no ***"
        );
        assert_eq!(
            kept("no key=very%20secret, `very secret`"),
            "no key=***, `***`"
        );
        assert_eq!(
            kept("T0000001: abcdefgh, Bearer abcdefgh"),
            "***: ***, Bearer ***"
        );
    }

    #[test]
    fn what_was_not_sent_stays_as_it_is() {
        let said = r#"{"error":"B00 n=1 e.com Bearer"}"#;
        assert_eq!(kept(said), said);
        assert_eq!(kept(""), "");
    }
}
