//! Cuts texts that are longer than a provider accepts. A message that is cut arrives; one that is refused does not.

use std::borrow::Cow;

/// `text` within `max` characters: whole, or its beginning with a note of how much is missing. `width` is the number of
/// characters that the provider counts for one, such as those of its escaped form.
pub fn cut(text: &str, max: usize, width: impl Fn(char) -> usize) -> Cow<'_, str> {
    let characters = || text.chars().map(&width);
    if characters().sum::<usize>() <= max {
        return Cow::Borrowed(text);
    }
    let total = text.chars().count();
    // The real number has no more digits than the total.
    let room = max.saturating_sub(note(total).chars().count());
    let widths = characters().scan(0, |sum, width| {
        *sum += width;
        Some(*sum)
    });
    let kept = widths.take_while(|sum| *sum <= room).count();
    let start: String = text.chars().take(kept).collect();
    Cow::Owned(start + &note(total - kept))
}

fn note(missing: usize) -> String {
    format!("… [{missing} characters cut]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(_: char) -> usize {
        1
    }

    #[test]
    fn a_text_within_the_limit_is_not_changed() {
        for text in ["", "short", &"ä".repeat(100), &"\u{1f600}".repeat(100)] {
            assert!(matches!(cut(text, 100, one), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn a_longer_text_ends_in_a_note_within_the_limit() {
        let text = "\u{1f600}".repeat(101);
        let cut = cut(&text, 100, one);
        assert!(cut.chars().count() <= 100, "{cut}");
        let kept = cut.chars().filter(|c| *c == '\u{1f600}').count();
        assert!(cut.ends_with(&format!("… [{} characters cut]", 101 - kept)));
        assert!(kept >= 70, "{kept}");
    }

    #[test]
    fn wide_characters_take_more_of_the_limit() {
        let width = |c| if c == '<' { 4 } else { 1 };
        let counted = |text: &str| text.chars().map(width).sum::<usize>();
        for text in ["<".repeat(60), "<a".repeat(60), "a".repeat(300)] {
            let cut = cut(&text, 200, width);
            assert!(counted(&cut) <= 200, "{cut}");
            assert!(cut.ends_with(" characters cut]"), "{cut}");
        }
    }
}
