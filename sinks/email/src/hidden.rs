//! Removes from replies what must not be shown: the password, and the addresses of recipients, which a report names only
//! under the field of the payload.

use std::sync::Arc;

/// In place of a removed text, as in the replies of HTTP sinks.
const PLACEHOLDER: &str = "***";

/// The texts to remove from the replies on one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct HiddenTexts {
    /// The password in every form in which it is sent; the longest first.
    pub(crate) secrets: Arc<[String]>,
    /// In lower case; the longest first.
    pub(crate) addresses: Arc<[String]>,
}

impl HiddenTexts {
    /// `text` without them. The case of addresses is ignored.
    pub(crate) fn removed_from(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for secret in self.secrets.iter() {
            shown = shown.replace(secret, PLACEHOLDER);
        }
        for address in self.addresses.iter() {
            shown = without(shown, address);
        }
        shown
    }
}

/// Sorts `texts`, so that a text is removed before any shorter text inside it.
pub(crate) fn longest_first(mut texts: Vec<String>) -> Arc<[String]> {
    texts.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    texts.dedup();
    texts.into()
}

fn without(text: String, lower: &str) -> String {
    let folded = text.to_ascii_lowercase();
    if !folded.contains(lower) {
        return text;
    }
    let mut kept = String::with_capacity(text.len());
    let mut copied = 0;
    for (at, found) in folded.match_indices(lower) {
        kept.push_str(&text[copied..at]);
        kept.push_str(PLACEHOLDER);
        copied = at + found.len();
    }
    kept.push_str(&text[copied..]);
    kept
}
