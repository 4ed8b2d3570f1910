//! A rule file as a tree whose nodes know their places. It is built from the parser's events without recursion, so that
//! no file can exhaust the stack. Anchors, aliases and tags are refused: with aliases, one line could expand to millions.

mod surrogates;

use hashbrown::HashSet;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::number::{Number, NumberLiteral};
use crate::problems::{FileProblems, LineColumn, quoted};
use surrogates::Pairs;

/// How deep lists and mappings may nest in a file. Each level of a condition takes two.
const DEPTH_MAX: usize = 80;

/// A value in a file.
#[derive(Debug)]
pub struct Node {
    /// Where it begins.
    pub place: LineColumn,
    /// The value.
    pub data: Data,
    /// Where the text begins, after its quote, if the file contains it unchanged.
    pub verbatim: Option<LineColumn>,
}

/// The data of a node.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Data {
    Null,
    Bool(bool),
    Number(NumberLiteral),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(MappingKey, Node)>),
}

/// A key of a mapping, as written.
#[derive(Debug)]
pub struct MappingKey {
    /// Where it begins.
    pub place: LineColumn,
    /// The key.
    pub text: String,
}

impl Node {
    /// The value in words, for a message.
    pub fn describe(&self) -> String {
        match &self.data {
            Data::Null => "nothing".to_owned(),
            Data::Bool(flag) => format!("`{flag}`"),
            Data::Number(number) => format!("the number `{number}`"),
            Data::Text(text) => format!("the string {}", quoted(text)),
            Data::List(_) => "a list".to_owned(),
            Data::Map(_) => "a mapping".to_owned(),
        }
    }
}

/// Reads the one document of a file; `what` says what it should contain. None if it is not YAML, or uses YAML that rule
/// files may not use.
pub fn read(text: &str, what: &str, problems: &mut FileProblems) -> Option<Node> {
    if let Some(line) = other_version(text) {
        problems.at(LineColumn { line, column: 1 }, "rule files are YAML 1.2");
        return None;
    }
    let mut tree = Tree::default();
    let pairs = Pairs::hidden(text);
    let mut cursor = Cursor {
        rest: &pairs.text,
        index: 0,
    };
    for event in Parser::new_from_str(&pairs.text) {
        match event {
            Ok((Event::Scalar(text, style, anchor, tag), span)) => {
                let text = pairs.restored(text, style == ScalarStyle::DoubleQuoted);
                tree.verbatim = cursor.verbatim(&text, style, &span.start);
                let event = Event::Scalar(text, style, anchor, tag);
                tree.take(event, place(&span.start), problems)?;
            }
            Ok((event, span)) => {
                tree.verbatim = None;
                tree.take(event, place(&span.start), problems)?;
            }
            Err(error) => {
                let at = place(error.marker());
                problems.at(at, format!("this is not YAML: {}", error.info()));
                return None;
            }
        }
    }
    tree.root.or_else(|| {
        let start = LineColumn { line: 1, column: 1 };
        problems.at(start, format!("the file is empty; expected {what}"));
        None
    })
}

/// The line of a directive that names another version of YAML. The parser accepts all of them.
fn other_version(text: &str) -> Option<usize> {
    let mut lines = text.lines().zip(1..);
    let is_before = |line: &str| line.starts_with(['#', '%']) || line.trim().is_empty();
    let directive = |line: &str| line.strip_prefix("%YAML").map(|rest| rest.trim() != "1.2");
    let (_, number) = lines
        .by_ref()
        .take_while(|(line, _)| is_before(line))
        .find(|(line, _)| directive(line) == Some(true))?;
    Some(number)
}

fn place(marker: &Marker) -> LineColumn {
    LineColumn {
        line: marker.line().max(1),
        column: marker.col() + 1,
    }
}

/// Follows the scalars through the text of a file.
struct Cursor<'t> {
    rest: &'t str,
    index: usize,
}

impl Cursor<'_> {
    /// Where a scalar's text begins, if the file contains it unchanged.
    fn verbatim(&mut self, text: &str, style: ScalarStyle, start: &Marker) -> Option<LineColumn> {
        let passed = start.index().checked_sub(self.index)?;
        let mut signs = self.rest.char_indices();
        let (bytes, _) = signs.nth(passed)?;
        self.rest = self.rest.get(bytes..)?;
        self.index = start.index();
        let quotes: &[char] = match style {
            ScalarStyle::Plain => &[],
            ScalarStyle::SingleQuoted => &['\''],
            ScalarStyle::DoubleQuoted => &['"'],
            // Each line has the same indentation.
            ScalarStyle::Literal => {
                let first = text.lines().next().filter(|line| !line.is_empty())?;
                return self.rest.starts_with(first).then(|| place(start));
            }
            ScalarStyle::Folded => return None,
        };
        let inside = self.rest.trim_start_matches(quotes);
        let quote = self.rest.len() - inside.len();
        let behind = inside.strip_prefix(text)?;
        let is_whole = quotes.is_empty() || behind.starts_with(quotes);
        let LineColumn { line, column } = place(start);
        let column = column + quote;
        (is_whole && quote == quotes.len()).then_some(LineColumn { line, column })
    }
}

#[derive(Default)]
struct Tree {
    open: Vec<Open>,
    root: Option<Node>,
    /// Where the current scalar begins in the file, if it is unchanged there.
    verbatim: Option<LineColumn>,
}

/// A list or mapping that is still being read.
enum Open {
    List(LineColumn, Vec<Node>),
    Map(LineColumn, OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<(MappingKey, Node)>,
    /// The key whose value comes next.
    key: Option<MappingKey>,
    keys: HashSet<String>,
}

impl Tree {
    /// None if reading cannot continue.
    fn take(
        &mut self,
        event: Event<'_>,
        place: LineColumn,
        problems: &mut FileProblems,
    ) -> Option<()> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                problems.at(place, "a second document; one file holds one document");
                None
            }
            Event::Alias(_) => {
                problems.at(place, "YAML aliases are not supported; write the value out");
                self.put(place, Data::Null, problems)
            }
            Event::Scalar(text, style, anchor, tag) => {
                refuse_properties(anchor, tag.is_some(), place, problems);
                let plain = style == ScalarStyle::Plain;
                if self.expects_key() {
                    self.key(place, &text, plain, problems)
                } else {
                    self.put(place, scalar(&text, plain), problems)
                }
            }
            Event::SequenceStart(anchor, tag) => {
                refuse_properties(anchor, tag.is_some(), place, problems);
                self.begin(Open::List(place, Vec::new()), place, problems)
            }
            Event::MappingStart(anchor, tag) => {
                refuse_properties(anchor, tag.is_some(), place, problems);
                self.begin(Open::Map(place, OpenMap::default()), place, problems)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(problems),
            _ => Some(()),
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map(_, map)) if map.key.is_none())
    }

    fn key(
        &mut self,
        place: LineColumn,
        text: &str,
        plain: bool,
        problems: &mut FileProblems,
    ) -> Option<()> {
        let Some(Open::Map(_, map)) = self.open.last_mut() else {
            return Some(());
        };
        if plain && matches!(text, "" | "~") {
            problems.at(place, "a key is missing before the colon");
        } else if !map.keys.insert(text.to_owned()) {
            problems.at(place, format!("the key {} occurs twice", quoted(text)));
        }
        map.key = Some(MappingKey {
            place,
            text: text.to_owned(),
        });
        Some(())
    }

    fn begin(&mut self, open: Open, place: LineColumn, problems: &mut FileProblems) -> Option<()> {
        if self.expects_key() {
            problems.at(place, "a key must be a string, found a list or a mapping");
            return None;
        }
        if self.open.len() == DEPTH_MAX {
            let message = format!("nested deeper than {DEPTH_MAX} levels");
            problems.at(place, message);
            return None;
        }
        self.open.push(open);
        Some(())
    }

    fn end(&mut self, problems: &mut FileProblems) -> Option<()> {
        match self.open.pop()? {
            Open::List(place, items) => self.put(place, Data::List(items), problems),
            Open::Map(place, map) => self.put(place, Data::Map(map.entries), problems),
        }
    }

    fn put(&mut self, place: LineColumn, data: Data, problems: &mut FileProblems) -> Option<()> {
        if let Data::Number(number) = &data
            && !number.get().to_float().is_finite()
        {
            problems.at(place, "this number is out of range");
        }
        let verbatim = self.verbatim.take();
        let node = Node {
            place,
            data,
            verbatim,
        };
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, items)) => items.push(node),
            Some(Open::Map(_, map)) => map.entries.push((map.key.take()?, node)),
        }
        Some(())
    }
}

/// Refuses the anchor and the tag of a value. The parser numbers anchors from 1.
fn refuse_properties(anchor: usize, tagged: bool, place: LineColumn, problems: &mut FileProblems) {
    if anchor > 0 {
        problems.at(place, "YAML anchors are not supported; write the value out");
    }
    if tagged {
        problems.at(
            place,
            "YAML tags are not supported; quote a value to make it a string",
        );
    }
}

/// The value of a scalar by the YAML 1.2 core schema.
fn scalar(text: &str, plain: bool) -> Data {
    if !plain {
        return Data::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" | "True" | "TRUE" => Data::Bool(true),
        "false" | "False" | "FALSE" => Data::Bool(false),
        _ => number(text).map_or_else(
            || Data::Text(text.to_owned()),
            |number| Data::Number(number.into()),
        ),
    }
}

fn number(text: &str) -> Option<Number<'_>> {
    let based = |prefix, radix| {
        let digits: &str = text.strip_prefix(prefix)?;
        let unsigned = digits.starts_with(|c: char| c.is_ascii_hexdigit());
        unsigned.then(|| u64::from_str_radix(digits, radix).ok())?
    };
    if let Some(value) = based("0x", 16).or_else(|| based("0o", 8)) {
        return Some(Number::Unsigned(value));
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(
        unsigned,
        ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN"
    ) {
        return Some(Number::Float(f64::NAN));
    }
    let digits_first = unsigned
        .trim_start_matches('.')
        .starts_with(|c: char| c.is_ascii_digit());
    let only_digits = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    if !digits_first || !unsigned.chars().all(only_digits) {
        return None;
    }
    Number::parse(text.strip_prefix('+').unwrap_or(text).as_bytes())
}
