//! The file: reading it, parsing it into a tree, and finding the line of a byte in it.

use std::io::{self, Read};
use std::ops::Range;
use std::path::Path as FilePath;
use std::string::FromUtf8Error;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::errors::{Complaint, Place, Problem};
use crate::syntax;
use crate::tree::{Body, Entry, Node, Origin, Path, Step, Table};

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// How deep tables and lists may be nested.
const DEPTH_MAX: usize = 32;

/// A file's name and text.
pub(crate) struct Document {
    name: String,
    text: String,
}

impl Document {
    pub(crate) fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// Reads a file.
    pub(crate) fn read(path: &FilePath) -> Result<Self, (io::ErrorKind, Problem)> {
        let name = path.display().to_string();
        match read_bytes(path, FILE_BYTES_MAX) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes);
                let text =
                    text.map_err(|error| (io::ErrorKind::InvalidData, no_text(&name, &error)))?;
                Ok(Self::new(name, text))
            }
            Err((kind, message)) => Err((kind, Problem::new(Place::WholeFile(name), "", &message))),
        }
    }

    /// The tree of the file. Values that nothing wants are complained about, and left out.
    ///
    /// # Errors
    /// Where the file is no TOML.
    pub(crate) fn parse(&self, complaints: &mut Vec<Complaint>) -> Result<Node, Vec<Complaint>> {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        if !errors.is_empty() {
            return Err(syntax::explain(&self.text, &errors));
        }
        let mut reader = Reader {
            origin: Origin::File,
            path: Path::new(),
            complaints,
        };
        Ok(Node {
            origin: Origin::File(0),
            body: Body::Table(reader.table(table.get_ref())),
        })
    }

    /// Where the relative paths in it begin.
    pub(crate) fn folder(&self) -> &FilePath {
        FilePath::new(&self.name)
            .parent()
            .unwrap_or(FilePath::new(""))
    }

    /// Where `origin` is for people.
    pub(crate) fn place(&self, origin: &Origin) -> Place {
        match origin {
            Origin::Default => Place::WholeFile(self.name.clone()),
            Origin::Variable(name) => Place::Variable(name.to_string()),
            Origin::Flag(key) => Place::Flag(key.to_string()),
            Origin::File(offset) => {
                let mut end = (*offset).min(self.text.len());
                while !self.text.is_char_boundary(end) {
                    end -= 1;
                }
                place_after(&self.name, &self.text[..end])
            }
        }
    }
}

/// The place in the file `name` to which `before` leads.
fn place_after(name: &str, before: &str) -> Place {
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Place::File {
        file: name.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

fn no_text(name: &str, error: &FromUtf8Error) -> Problem {
    let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let before = std::str::from_utf8(valid).unwrap_or_default();
    let place = place_after(name, before);
    Problem::new(place, "", "this is not UTF-8 text: save the file as UTF-8")
}

/// Reads at most `bytes_max` bytes of text; the error is a sentence without the file's content.
pub(crate) fn read_text(path: &FilePath, bytes_max: u64) -> Result<String, String> {
    let bytes = read_bytes(path, bytes_max).map_err(|(_, message)| message)?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

fn read_bytes(path: &FilePath, bytes_max: u64) -> Result<Vec<u8>, (io::ErrorKind, String)> {
    let failed = |error: io::Error| (error.kind(), format!("cannot be read: {error}"));
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let read = file.take(bytes_max + 1).read_to_end(&mut bytes);
    if read.map_err(failed)? as u64 > bytes_max {
        let message = format!("is larger than {} KiB", bytes_max >> 10);
        return Err((io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// Reads one TOML value that stands outside the file, such as a list in an environment variable.
pub(crate) fn parse_value(text: &str, origin: &Origin) -> Option<Body> {
    let value = DeValue::parse(text).ok()?;
    let mut complaints = Vec::new();
    let mut reader = Reader {
        origin: |_| origin.clone(),
        path: Path::new(),
        complaints: &mut complaints,
    };
    let node = reader.node(&value)?;
    complaints.is_empty().then_some(node.body)
}

/// From the parser's tree to ours.
struct Reader<'a, O> {
    origin: O,
    path: Path,
    complaints: &'a mut Vec<Complaint>,
}

impl<O: Fn(usize) -> Origin> Reader<'_, O> {
    fn table(&mut self, table: &DeTable<'_>) -> Table {
        let mut read = Table::new();
        for (key, value) in table {
            self.path.push(Step::Key(key.get_ref().to_string()));
            if let Some(node) = self.node(value) {
                let key_origin = (self.origin)(key.span().start);
                let key = key.get_ref().to_string();
                let entry = Entry {
                    key: key_origin,
                    node,
                };
                read.insert(key, entry);
            }
            self.path.pop();
        }
        read
    }

    fn node(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Node> {
        let body = match value.get_ref() {
            DeValue::String(text) => Some(Body::Text(text.to_string())),
            DeValue::Boolean(value) => Some(Body::Bool(*value)),
            DeValue::Datetime(at) => Some(Body::Date(at.to_string())),
            DeValue::Integer(digits) => {
                let read = i64::from_str_radix(digits.as_str(), digits.radix());
                let huge = |_| Body::Huge(digits.to_string());
                Some(read.map_or_else(huge, Body::Integer))
            }
            DeValue::Float(digits) => match digits.as_str().parse::<f64>() {
                Ok(value) if value.is_finite() => Some(Body::Float(value)),
                _ => self.refuse(value.span(), "the number is not finite"),
            },
            DeValue::Array(_) | DeValue::Table(_) if self.path.len() > DEPTH_MAX => {
                self.refuse(value.span(), "nested too deep")
            }
            DeValue::Array(items) => Some(Body::List(self.items(items))),
            DeValue::Table(table) => Some(Body::Table(self.table(table))),
        };
        let origin = (self.origin)(value.span().start);
        body.map(|body| Node { origin, body })
    }

    fn items(&mut self, items: &[Spanned<DeValue<'_>>]) -> Vec<Node> {
        let mut read = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            self.path.push(Step::Item(index));
            read.extend(self.node(item));
            self.path.pop();
        }
        read
    }

    fn refuse(&mut self, span: Range<usize>, message: &str) -> Option<Body> {
        let origin = (self.origin)(span.start);
        let complaint = Complaint::new(&self.path, &origin, message);
        self.complaints.push(complaint);
        None
    }
}
