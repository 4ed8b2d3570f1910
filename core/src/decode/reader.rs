//! Reads JSON text strictly and without a tree, and refuses half of a surrogate pair. Values that no caller reads are
//! checked and left as text. It gives no reason for refusing text: the slow reader does.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use wide::u8x16;

use crate::action::{MemberSpan, TextRange};

/// Positions are not recorded for objects with more members.
const MEMBERS_MAX: usize = 16;

/// The text is not JSON, is nested too deep, or does not have the expected shape.
#[derive(Debug)]
pub(crate) struct Malformed;

type Result<T> = std::result::Result<T, Malformed>;

/// A place in a text.
pub(crate) struct JsonReader<'t> {
    text: &'t str,
    at: usize,
    /// How many more nested lists and objects may be opened.
    depth_left: usize,
    numbers: Numbers,
}

/// Which numbers are accepted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// All numbers of JSON.
    All,
    /// Numbers in the range of a double, if not exactly representable.
    InRange,
}

impl<'t> JsonReader<'t> {
    pub(crate) fn new(text: &'t str, depth_max: usize) -> Self {
        Self {
            text,
            at: 0,
            depth_left: depth_max,
            numbers: Numbers::All,
        }
    }

    /// Accepts only these numbers.
    pub(crate) fn with(self, numbers: Numbers) -> Self {
        Self { numbers, ..self }
    }

    /// Reads an object. `member` reads the value of each key.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<()>,
    ) -> Result<()> {
        self.sequence(b'{', b'}', |reader| {
            let key = reader.string()?;
            reader.take(b':')?;
            member(reader, &key)
        })
    }

    /// Reads a list. `item` reads each item.
    pub(crate) fn list(&mut self, item: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.sequence(b'[', b']', item)
    }

    fn sequence(
        &mut self,
        open: u8,
        close: u8,
        mut element: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        self.take(open)?;
        self.depth_left = self.depth_left.checked_sub(1).ok_or(Malformed)?;
        if self.next() == Some(close) {
            self.at += 1;
        } else {
            loop {
                element(self)?;
                let sign = self.next();
                self.at += 1;
                match sign {
                    Some(b',') => {}
                    Some(sign) if sign == close => break,
                    _ => return Err(Malformed),
                }
            }
        }
        self.depth_left += 1;
        Ok(())
    }

    /// Reads a string, its escapes resolved.
    pub(super) fn string(&mut self) -> Result<Cow<'t, str>> {
        let start = self.next_start();
        match self.pass_string()? {
            Escapes::None => Ok(Cow::Borrowed(&self.text[start + 1..self.at - 1])),
            Escapes::Some => parsed(&self.text[start..self.at]).map(Cow::Owned),
        }
    }

    /// True, and `null` is read, when it is next.
    pub(super) fn null(&mut self) -> Result<bool> {
        let is_next = self.next() == Some(b'n');
        if is_next {
            self.pass_word("null")?;
        }
        Ok(is_next)
    }

    /// True when the next value is an object.
    pub(crate) fn is_at_object(&mut self) -> bool {
        self.next() == Some(b'{')
    }

    /// True when the next value is a list.
    pub(crate) fn is_at_list(&mut self) -> bool {
        self.next() == Some(b'[')
    }

    /// Where the next value begins.
    pub(crate) fn next_start(&mut self) -> usize {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
        self.at
    }

    /// Reads any value as its text.
    pub(crate) fn value(&mut self) -> Result<&'t str> {
        let start = self.next_start();
        self.pass()?;
        Ok(&self.text[start..self.at])
    }

    /// Reads any value as its text. For a small object without escapes in its keys, also returns the positions of its
    /// members.
    pub(super) fn value_and_members(&mut self) -> Result<(&'t str, Option<Arc<[MemberSpan]>>)> {
        if !self.is_at_object() {
            return Ok((self.value()?, None));
        }
        let start = self.at;
        let mut members = [MemberSpan::default(); MEMBERS_MAX];
        let mut count = 0;
        let mut is_plain = self.text.len() <= u32::MAX as usize;
        self.sequence(b'{', b'}', |reader| {
            let (key, escapes) = reader.pass_key()?;
            is_plain &= escapes == Escapes::None;
            let value = reader.next_start();
            reader.pass()?;
            if let Some(member) = members.get_mut(count) {
                *member = MemberSpan {
                    key: span(start, key),
                    value: span(start, value..reader.at),
                };
            }
            count += 1;
            Ok(())
        })?;
        let members = members.get(..count).filter(|_| is_plain).map(Arc::from);
        Ok((&self.text[start..self.at], members))
    }

    /// Reads any value into a `T`.
    pub(super) fn parse<T: DeserializeOwned>(&mut self) -> Result<T> {
        parsed(self.value()?)
    }

    /// The number of bytes read, up to the refused string.
    pub(crate) fn place(&self) -> usize {
        self.at
    }

    /// Checks that nothing follows.
    pub(crate) fn end(mut self) -> Result<()> {
        self.next().map_or(Ok(()), |_| Err(Malformed))
    }

    fn pass(&mut self) -> Result<()> {
        match self.next().ok_or(Malformed)? {
            b'"' => self.pass_string().map(drop),
            b'{' => self.sequence(b'{', b'}', |reader| {
                reader.pass_key()?;
                reader.pass()
            }),
            b'[' => self.list(Self::pass),
            b't' => self.pass_word("true"),
            b'f' => self.pass_word("false"),
            b'n' => self.pass_word("null"),
            _ => self.pass_number(),
        }
    }

    /// Skips a key and its colon, and returns the position of the key.
    fn pass_key(&mut self) -> Result<(Range<usize>, Escapes)> {
        let start = self.next_start() + 1;
        let escapes = self.pass_string()?;
        let key = start..self.at - 1;
        self.take(b':')?;
        Ok((key, escapes))
    }

    fn pass_word(&mut self, word: &str) -> Result<()> {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += word.len();
        rest.starts_with(word.as_bytes())
            .then_some(())
            .ok_or(Malformed)
    }

    fn pass_number(&mut self) -> Result<()> {
        let start = self.at;
        self.at += usize::from(self.byte() == Some(b'-'));
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.pass_digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.pass_digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.pass_digits()?;
        }
        let is_in_range = || self.text[start..self.at].parse().is_ok_and(f64::is_finite);
        (self.numbers == Numbers::All || is_in_range())
            .then_some(())
            .ok_or(Malformed)
    }

    fn pass_digits(&mut self) -> Result<()> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(()).ok_or(Malformed)
    }

    /// Checks a string and moves past it. `pipeline/rules/src/json.rs` has a separate scanner: it reads text that
    /// was checked here, so it looks for quotes and backslashes only and skips whole containers.
    fn pass_string(&mut self) -> Result<Escapes> {
        if self.byte() != Some(b'"') {
            return Err(Malformed);
        }
        let bytes = self.text.as_bytes();
        let mut at = self.at + 1;
        let mut escapes = Escapes::None;
        loop {
            at = sign_of_string(bytes, at);
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => at += escape_length(&bytes[at + 1..]).ok_or(Malformed)?,
                _ => return Err(Malformed),
            }
            escapes = Escapes::Some;
        }
        self.at = at + 1;
        Ok(escapes)
    }

    fn take(&mut self, sign: u8) -> Result<()> {
        if self.next() != Some(sign) {
            return Err(Malformed);
        }
        self.at += 1;
        Ok(())
    }

    fn next(&mut self) -> Option<u8> {
        self.next_start();
        self.byte()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

/// `range` relative to `start`, in a text whose length fits a `u32`.
fn span(start: usize, range: Range<usize>) -> TextRange {
    let from_start = |at: usize| u32::try_from(at - start).unwrap_or(u32::MAX);
    TextRange {
        start: from_start(range.start),
        end: from_start(range.end),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    None,
    Some,
}

fn parsed<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|_| Malformed)
}

/// The length of the escape whose backslash precedes `rest`, if JSON has it.
fn escape_length(rest: &[u8]) -> Option<usize> {
    match rest {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(2),
        [b'u', digits @ ..] => match code_unit(digits)? {
            0xd800..=0xdbff => {
                let other = digits[4..].strip_prefix(b"\\u")?;
                matches!(code_unit(other)?, 0xdc00..=0xdfff).then_some(12)
            }
            // The second half of a pair without the first.
            0xdc00..=0xdfff => None,
            _ => Some(6),
        },
        _ => None,
    }
}

/// The value of the first four hex digits.
fn code_unit(digits: &[u8]) -> Option<u32> {
    let digits = digits.first_chunk::<4>()?.iter();
    digits.copied().try_fold(0, |unit, digit| {
        Some(unit << 4 | char::from(digit).to_digit(16)?)
    })
}

/// The position of the next quote, backslash or control character. Searches sixteen bytes at a time.
#[inline]
fn sign_of_string(bytes: &[u8], mut at: usize) -> usize {
    const LAST_CONTROL: u8 = 0x1f;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let chunk = u8x16::from(*chunk);
        let signs = chunk.simd_eq(u8x16::splat(b'"'))
            | chunk.simd_eq(u8x16::splat(b'\\'))
            | chunk.simd_eq(chunk.min(u8x16::splat(LAST_CONTROL)));
        let signs = signs.to_bitmask();
        if signs != 0 {
            return at + signs.trailing_zeros() as usize;
        }
        at += 16;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let is_sign = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=LAST_CONTROL);
    at + rest.iter().position(is_sign).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests;
