//! Text as Slack reads it. `&`, `<` and `>` control its markup, so that a text from elsewhere could mention everyone.

use acteon_sinks_kit::cut;

/// What to do with control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Markup {
    /// Shows them as they are.
    Escape,
    /// Passes them on.
    Allow,
}

impl Markup {
    /// `text` as it is sent, with at most `max` characters. It is cut before it is escaped, so that no entity is cut.
    pub(crate) fn text(self, text: &str, max: usize) -> String {
        let text = cut(text, max, |c| self.written(c).map_or(1, str::len));
        let mut written = String::with_capacity(text.len());
        for c in text.chars() {
            match self.written(c) {
                Some(entity) => written.push_str(entity),
                None => written.push(c),
            }
        }
        written
    }

    /// The entity for a character that has one.
    fn written(self, c: char) -> Option<&'static str> {
        match (self, c) {
            (Self::Allow, _) => None,
            (Self::Escape, '&') => Some("&amp;"),
            (Self::Escape, '<') => Some("&lt;"),
            (Self::Escape, '>') => Some("&gt;"),
            (Self::Escape, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_are_shown_as_text_unless_they_are_allowed() {
        let text = "<!channel> a & b";
        assert_eq!(Markup::Escape.text(text, 100), "&lt;!channel&gt; a &amp; b");
        assert_eq!(Markup::Allow.text(text, 100), text);
    }

    #[test]
    fn the_limit_counts_what_is_sent_and_no_entity_is_cut() {
        let text = "<".repeat(1000);
        let sent = Markup::Escape.text(&text, 150);
        assert!(sent.len() <= 150 + '…'.len_utf8(), "{sent}");
        let (entities, note) = sent.split_once('…').unwrap();
        assert_eq!(entities.replace("&lt;", ""), "");
        let kept = entities.len() / 4;
        assert_eq!(note, format!(" [{} characters cut]", 1000 - kept));
        let fits = "<".repeat(37);
        assert_eq!(Markup::Escape.text(&fits, 150), "&lt;".repeat(37));
    }
}
