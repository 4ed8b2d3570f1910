//! A reply of the server: its code, the enhanced code of RFC 3463 if it has one, and its text.

use compact_str::CompactString;

use crate::hidden::HiddenTexts;

/// The maximum length of a reply's text that is kept, in bytes.
const TEXT_BYTES_MAX: usize = 512;

/// A complete reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SmtpReply {
    /// Three digits. The first is 2 to 5.
    pub(crate) code: u16,
    /// The lines joined by spaces, without control characters and what must not be shown, truncated.
    pub(crate) text: CompactString,
    /// The lines without their codes.
    pub(crate) lines: Vec<String>,
}

/// The meaning of the first digit of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyClass {
    /// 2yz: the command is completed.
    Completed,
    /// 3yz: the server waits for more input.
    Intermediate,
    /// 4yz: the command may succeed later.
    Transient,
    /// 5yz: the command will fail again.
    Permanent,
}

/// Whether more lines of a reply follow.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReplyLine {
    More,
    Last,
}

/// The lines of a reply that is being read.
#[derive(Debug, Default)]
pub(crate) struct ReplyLines {
    code: Option<u16>,
    lines: Vec<String>,
}

impl ReplyLines {
    /// Adds a line without its line break. `None` if it is not part of a reply.
    pub(crate) fn push(&mut self, line: &str) -> Option<ReplyLine> {
        let code: u16 = line.get(..3)?.parse().ok()?;
        let is_same = self.code.is_none_or(|first| first == code);
        if !(200..600).contains(&code) || !is_same {
            return None;
        }
        self.code = Some(code);
        self.lines
            .push(line.get(4..).unwrap_or_default().to_owned());
        match line.as_bytes().get(3) {
            None | Some(b' ') => Some(ReplyLine::Last),
            Some(b'-') => Some(ReplyLine::More),
            Some(_) => None,
        }
    }

    /// The reply, once its last line is added.
    pub(crate) fn into_reply(self, hidden: &HiddenTexts) -> Option<SmtpReply> {
        Some(SmtpReply {
            code: self.code?,
            text: truncated(&hidden.removed_from(&self.lines.join(" "))),
            lines: self.lines,
        })
    }
}

impl SmtpReply {
    pub(crate) fn class(&self) -> ReplyClass {
        match self.code / 100 {
            2 => ReplyClass::Completed,
            3 => ReplyClass::Intermediate,
            4 => ReplyClass::Transient,
            _ => ReplyClass::Permanent,
        }
    }

    /// True if the server accepts further recipients only in another transaction (RFC 5321, 4.5.3.1.10). Older servers
    /// reply 552. With another enhanced code the reply has another meaning, such as a full mailbox.
    pub(crate) fn is_too_many_recipients(&self) -> bool {
        let enhanced = self.enhanced_code().unwrap_or_default();
        match self.code {
            452 => matches!(enhanced, "" | "4.5.3" | "5.5.3"),
            552 => matches!(enhanced, "4.5.3" | "5.5.3"),
            _ => false,
        }
    }

    /// True if a refused MAIL concerns this message and not the sender or the server: its size, or addresses that need
    /// SMTPUTF8 (RFC 3463, 3.3 and 3.4; RFC 6531, 3.4).
    pub(crate) fn concerns_message(&self) -> bool {
        let enhanced = self.enhanced_code().unwrap_or_default();
        self.class() == ReplyClass::Permanent
            && (self.code == 552
                || matches!(enhanced, "5.2.3" | "5.3.4")
                || enhanced.starts_with("5.6."))
    }

    /// The enhanced code at the beginning of the text, such as `4.5.3`.
    fn enhanced_code(&self) -> Option<&str> {
        let word = self.text.split(' ').next()?;
        let mut parts = word.split('.');
        let is_number =
            |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        let is_code = matches!(parts.next(), Some("2" | "4" | "5"))
            && parts.next().is_some_and(is_number)
            && parts.next().is_some_and(is_number)
            && parts.next().is_none();
        is_code.then_some(word)
    }
}

/// The beginning of `text`, with spaces in place of control characters.
fn truncated(text: &str) -> CompactString {
    let mut kept = CompactString::default();
    for character in text.chars() {
        if kept.len() + character.len_utf8() > TEXT_BYTES_MAX {
            break;
        }
        kept.push(if character.is_control() {
            ' '
        } else {
            character
        });
    }
    kept
}
