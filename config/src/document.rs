//! Reads the file, parses it into a tree, and finds the line of a byte in it.

use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::string::FromUtf8Error;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::errors::{Complaint, Location, Problem};
use crate::syntax;
use crate::tree::{Entry, NodeValue, PathStep, Table, TreeNode, TreePath, ValueOrigin};

/// The maximum size of the file.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// The maximum nesting of tables and lists.
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
    pub(crate) fn read(path: &Path) -> Result<Self, (io::ErrorKind, Problem)> {
        let name = path.display().to_string();
        match read_bytes(path, FILE_BYTES_MAX) {
            Ok(bytes) => {
                let text = String::from_utf8(bytes);
                let text =
                    text.map_err(|error| (io::ErrorKind::InvalidData, not_text(&name, &error)))?;
                Ok(Self::new(name, text))
            }
            Err((kind, message)) => {
                Err((kind, Problem::new(Location::WholeFile(name), "", &message)))
            }
        }
    }

    /// The tree of the file. Values that no option accepts are reported and left out.
    ///
    /// # Errors
    /// If the file is not TOML.
    pub(crate) fn parse(
        &self,
        complaints: &mut Vec<Complaint>,
    ) -> Result<TreeNode, Vec<Complaint>> {
        let (table, errors) = DeTable::parse_recoverable(&self.text);
        if !errors.is_empty() {
            return Err(syntax::explain(&self.text, &errors));
        }
        let mut builder = TreeBuilder {
            origin: ValueOrigin::File,
            path: TreePath::new(),
            complaints,
        };
        Ok(TreeNode {
            origin: ValueOrigin::File(0),
            body: NodeValue::Table(builder.table(table.get_ref())),
        })
    }

    /// The folder to which its paths are relative.
    pub(crate) fn folder(&self) -> &Path {
        Path::new(&self.name).parent().unwrap_or(Path::new(""))
    }

    /// The location of `origin`, for messages.
    pub(crate) fn location(&self, origin: &ValueOrigin) -> Location {
        match origin {
            ValueOrigin::Default => Location::WholeFile(self.name.clone()),
            ValueOrigin::Variable(name) => Location::Variable(name.to_string()),
            ValueOrigin::Flag(key) => Location::Flag(key.to_string()),
            ValueOrigin::File(offset) => {
                let mut end = (*offset).min(self.text.len());
                while !self.text.is_char_boundary(end) {
                    end -= 1;
                }
                location_after(&self.name, &self.text[..end])
            }
        }
    }
}

/// The location in the file `name` after the text `before`.
fn location_after(name: &str, before: &str) -> Location {
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Location::File {
        file: name.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

fn not_text(name: &str, error: &FromUtf8Error) -> Problem {
    let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let before = std::str::from_utf8(valid).unwrap_or_default();
    let location = location_after(name, before);
    Problem::new(
        location,
        "",
        "this is not UTF-8 text: save the file as UTF-8",
    )
}

/// Reads at most `bytes_max` bytes of text. The error message does not contain the file's content.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> Result<String, String> {
    let bytes = read_bytes(path, bytes_max).map_err(|(_, message)| message)?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}

fn read_bytes(path: &Path, bytes_max: u64) -> Result<Vec<u8>, (io::ErrorKind, String)> {
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

/// Parses one TOML value outside the file, such as a list in an environment variable.
pub(crate) fn parse_value(text: &str, origin: &ValueOrigin) -> Option<NodeValue> {
    let value = DeValue::parse(text).ok()?;
    let mut complaints = Vec::new();
    let mut builder = TreeBuilder {
        origin: |_| origin.clone(),
        path: TreePath::new(),
        complaints: &mut complaints,
    };
    let node = builder.node(&value)?;
    complaints.is_empty().then_some(node.body)
}

/// Converts the parser's tree to [`TreeNode`]s.
struct TreeBuilder<'a, O> {
    origin: O,
    path: TreePath,
    complaints: &'a mut Vec<Complaint>,
}

impl<O: Fn(usize) -> ValueOrigin> TreeBuilder<'_, O> {
    fn table(&mut self, table: &DeTable<'_>) -> Table {
        let mut read = Table::new();
        for (key, value) in table {
            self.path.push(PathStep::Key(key.get_ref().to_string()));
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

    fn node(&mut self, value: &Spanned<DeValue<'_>>) -> Option<TreeNode> {
        let body = match value.get_ref() {
            DeValue::String(text) => Some(NodeValue::Text(text.to_string())),
            DeValue::Boolean(value) => Some(NodeValue::Bool(*value)),
            DeValue::Datetime(at) => Some(NodeValue::Date(at.to_string())),
            DeValue::Integer(digits) => {
                let read = i64::from_str_radix(digits.as_str(), digits.radix());
                let huge = |_| NodeValue::Huge(digits.to_string());
                Some(read.map_or_else(huge, NodeValue::Integer))
            }
            DeValue::Float(digits) => match digits.as_str().parse::<f64>() {
                Ok(value) if value.is_finite() => Some(NodeValue::Float(value)),
                _ => self.refuse(value.span(), "the number is not finite"),
            },
            DeValue::Array(_) | DeValue::Table(_) if self.path.len() > DEPTH_MAX => {
                self.refuse(value.span(), "nested too deep")
            }
            DeValue::Array(items) => Some(NodeValue::List(self.items(items))),
            DeValue::Table(table) => Some(NodeValue::Table(self.table(table))),
        };
        let origin = (self.origin)(value.span().start);
        body.map(|body| TreeNode { origin, body })
    }

    fn items(&mut self, items: &[Spanned<DeValue<'_>>]) -> Vec<TreeNode> {
        let mut read = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            self.path.push(PathStep::Item(index));
            read.extend(self.node(item));
            self.path.pop();
        }
        read
    }

    fn refuse(&mut self, span: Range<usize>, message: &str) -> Option<NodeValue> {
        let origin = (self.origin)(span.start);
        let complaint = Complaint::new(&self.path, &origin, message);
        self.complaints.push(complaint);
        None
    }
}
