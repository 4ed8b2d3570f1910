//! Finds values in JSON text without building a tree. The text must be well formed, as payloads are; for other text the
//! result is wrong, but never a panic or an endless loop. String scanning is not shared with
//! `core/src/decode/reader.rs`: that one checks untrusted text and stops at every string, this one trusts the text and
//! skips whole containers.

mod block;

use std::borrow::Cow;
use std::cmp::Ordering;

use smallvec::SmallVec;

use block::{BLOCK, Carry, Marks, NEAR};

/// How many objects are indexed at once. If there are more, the last one is replaced: most paths go through the first
/// ones.
const OBJECTS_MAX: usize = 8;
/// Objects with more members than this are sorted for binary search.
const SORTED_FROM: usize = 24;

/// Indexes the objects that paths go through, each on first use.
#[derive(Default)]
pub(crate) struct ObjectIndex<'a> {
    objects: SmallVec<[Object; OBJECTS_MAX]>,
    members: SmallVec<[(MemberKey<'a>, &'a [u8]); 16]>,
    read_bytes: usize,
}

/// An indexed object: the address of its text, and its members `first..end`.
struct Object {
    address: usize,
    first: usize,
    end: usize,
}

pub(crate) type MemberKey<'a> = Cow<'a, [u8]>;

impl<'a> ObjectIndex<'a> {
    /// The member `key` of an object. If the key occurs twice, the last one wins, as in parsers that build maps.
    pub(crate) fn get(&mut self, object: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
        let address = object.as_ptr().addr();
        let known = self.objects.iter().find(|o| o.address == address);
        let (first, end) = match known {
            Some(object) => (object.first, object.end),
            None => self.index(object, address),
        };
        let members = &self.members[first..end];
        let found = if members.len() > SORTED_FROM {
            let after =
                members.partition_point(|(name, _)| name.as_ref().cmp(key) != Ordering::Greater);
            members[..after]
                .last()
                .filter(|(name, _)| name.as_ref() == key)
        } else {
            members.iter().rfind(|(name, _)| name.as_ref() == key)
        };
        found.map(|(_, value)| *value)
    }

    /// How many bytes of objects have been scanned so far.
    pub(crate) fn read_bytes(&self) -> usize {
        self.read_bytes
    }

    fn index(&mut self, object: &'a [u8], address: usize) -> (usize, usize) {
        self.read_bytes += object.len();
        if self.objects.len() == OBJECTS_MAX
            && let Some(last) = self.objects.pop()
        {
            self.members.truncate(last.first);
        }
        let first = self.members.len();
        self.members.extend(members(object));
        let end = self.members.len();
        if end - first > SORTED_FROM {
            self.members[first..].sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        self.objects.push(Object {
            address,
            first,
            end,
        });
        (first, end)
    }
}

/// The members of an object in the order of the text, with unescaped keys.
pub(crate) fn members(object: &[u8]) -> impl Iterator<Item = (MemberKey<'_>, &[u8])> {
    let mut at = 1;
    std::iter::from_fn(move || {
        at = after_space(object, at);
        if object.get(at) != Some(&b'"') {
            return None;
        }
        let (end, has_escapes) = string_end(object, at + 1);
        let key = object.get(at + 1..end)?;
        let key = if has_escapes {
            unescaped(key)
        } else {
            Cow::Borrowed(key)
        };
        let colon = after_space(object, end + 1);
        let start = after_space(object, colon + 1);
        at = value_end(object, start);
        let value = object.get(start..at)?;
        at = after_space(object, at) + 1;
        Some((key, value))
    })
}

/// The members of an object, sorted by key; if a key occurs twice, the last one wins.
pub(crate) fn sorted_members(object: &[u8]) -> Vec<(MemberKey<'_>, &[u8])> {
    let mut sorted: Vec<_> = members(object).collect();
    sorted.reverse();
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    sorted.dedup_by(|(later, _), (kept, _)| later == kept);
    sorted
}

/// Appends `json` without spaces, with sorted keys, the last of duplicate keys, uniform escapes, and numbers as they
/// are written.
pub(crate) fn write_sorted(json: &[u8], out: &mut Vec<u8>) {
    match json.first() {
        Some(b'{') => {
            out.push(b'{');
            for (at, (key, value)) in sorted_members(json).iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_text(key, out);
                out.push(b':');
                write_sorted(value, out);
            }
            out.push(b'}');
        }
        Some(b'[') => {
            out.push(b'[');
            for (at, item) in items(json).enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_sorted(item, out);
            }
            out.push(b']');
        }
        Some(b'"') => write_text(&unescaped(content(json)), out),
        _ => out.extend_from_slice(json),
    }
}

/// Appends text as a JSON string.
pub(crate) fn write_text(text: &[u8], out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = serde_json::to_writer(out, &String::from_utf8_lossy(text));
}

/// The text between the quotes of a string.
pub(crate) fn content(string: &[u8]) -> &[u8] {
    string.get(1..string.len() - 1).unwrap_or_default()
}

/// How deep lists and objects nest.
pub(crate) fn depth(json: &[u8]) -> usize {
    let mut deepest = 0;
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => at = string_end(json, at + 1).0,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        at += 1;
    }
    deepest
}

/// The items of a list.
pub(crate) fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 1;
    std::iter::from_fn(move || next_item(list, &mut at))
}

/// The item of a list at `at`, skipping white space. Moves `at` to the next item.
pub(crate) fn next_item<'l>(list: &'l [u8], at: &mut usize) -> Option<&'l [u8]> {
    *at = after_space(list, *at);
    if matches!(list.get(*at), None | Some(b']')) {
        return None;
    }
    let start = *at;
    *at = value_end(list, start);
    let value = list.get(start..*at)?;
    *at = after_space(list, *at) + 1;
    Some(value)
}

/// The end of the value that begins at `at`.
fn value_end(json: &[u8], at: usize) -> usize {
    match json.get(at) {
        Some(b'"') => string_end(json, at + 1).0 + 1,
        Some(b'{' | b'[') => container_end(json, at),
        _ => {
            let rest = json.get(at..).unwrap_or_default();
            let ends = |b: &u8| matches!(b, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t');
            at + rest.iter().position(ends).unwrap_or(rest.len())
        }
    }
}

fn container_end(json: &[u8], start: usize) -> usize {
    let mut depth = 0u32;
    let mut carry = Carry::default();
    for (number, block) in json[start..].chunks(BLOCK).enumerate() {
        let marks = Marks::of(block);
        let outside = !carry.strings(&marks);
        let opening = marks.opening & outside;
        let closing = marks.closing & outside;
        if depth > closing.count_ones() {
            depth = depth - closing.count_ones() + opening.count_ones();
            continue;
        }
        let mut brackets = opening | closing;
        while brackets != 0 {
            let at = brackets.trailing_zeros();
            brackets &= brackets - 1;
            if opening >> at & 1 == 1 {
                depth += 1;
            } else if depth > 1 {
                depth -= 1;
            } else {
                return start + number * BLOCK + at as usize + 1;
            }
        }
    }
    json.len()
}

/// The closing quote of the string whose content begins at `at`, and whether the content has escapes.
fn string_end(json: &[u8], mut at: usize) -> (usize, bool) {
    let mut has_escapes = false;
    while let Some(rest) = json.get(at..).filter(|rest| !rest.is_empty()) {
        let marks = Marks::of_near(rest);
        let either = marks.quotes | marks.backslashes;
        if either == 0 {
            at += NEAR.min(rest.len());
            match memchr::memchr2(b'"', b'\\', &json[at..]) {
                Some(found) => at += found,
                None => break,
            }
        } else {
            at += either.trailing_zeros() as usize;
        }
        if json[at] == b'"' {
            return (at, has_escapes);
        }
        has_escapes = true;
        at += 2;
    }
    (json.len(), has_escapes)
}

fn after_space(json: &[u8], mut at: usize) -> usize {
    while matches!(json.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// Resolves the escapes of a string's content (without its quotes); borrowed if there are none. Half a surrogate pair
/// becomes U+FFFD.
pub(crate) fn unescaped(raw: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = memchr::memchr(b'\\', raw) else {
        return Cow::Borrowed(raw);
    };
    let mut out = Vec::with_capacity(raw.len());
    let (plain, mut rest) = raw.split_at(first);
    out.extend_from_slice(plain);
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&escape, tail)) = rest.split_first() else {
            break;
        };
        rest = tail;
        match escape {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let character = code_point(&mut rest);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// The character of a `\u` escape and, for a surrogate pair, of the one after it. `rest` begins with the four digits.
fn code_point(rest: &mut &[u8]) -> char {
    let unit = |bytes: &[u8]| {
        let digits = std::str::from_utf8(bytes.get(..4)?).ok()?;
        u16::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(rest) else {
        return char::REPLACEMENT_CHARACTER;
    };
    *rest = &rest[4..];
    let second = rest.strip_prefix(br"\u").and_then(unit);
    let whole = |units: &[u16]| char::decode_utf16(units.iter().copied()).next()?.ok();
    if let Some(single) = whole(&[first]) {
        return single;
    }
    match second.and_then(|second| whole(&[first, second])) {
        Some(pair) => {
            *rest = &rest[6..];
            pair
        }
        None => char::REPLACEMENT_CHARACTER,
    }
}

#[cfg(test)]
mod tests;
