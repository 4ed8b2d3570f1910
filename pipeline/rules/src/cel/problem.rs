//! A problem of an expression and its place in the text. The parser does not keep the places of names it accepts, so
//! they are searched for in the text again.

use std::fmt;

use cel::parser::pratt_parser::{Lexer, Token, TokenKind};

use crate::problems::{FileProblems, LineColumn};
use crate::yaml::Node;

/// What is wrong with an expression, and where in its text, if known.
#[derive(Debug)]
pub(crate) struct CelProblem {
    message: String,
    place: Option<LineColumn>,
}

impl CelProblem {
    pub(super) fn at(message: String, place: LineColumn) -> Self {
        Self {
            message,
            place: Some(place),
        }
    }

    /// Places it at the first occurrence of these words in a row, if there is one.
    pub(super) fn near(mut self, text: &str, words: &[&str]) -> Self {
        if self.place.is_none() {
            self.place = found(text, words).map(|offset| place_of(text, offset));
        }
        self
    }

    /// Reports it at its place in the file. If that cannot be computed, reports it where the expression begins, and
    /// names the place within the expression.
    pub(crate) fn report(&self, node: &Node, problems: &mut FileProblems) {
        match (self.place, node.verbatim) {
            (Some(LineColumn { line, column }), Some(begin)) => {
                let place = LineColumn {
                    line: begin.line + line - 1,
                    column: begin.column + column - 1,
                };
                problems.at(place, format!("in CEL: {}", self.message));
            }
            _ => problems.at(node.place, self.to_string()),
        }
    }
}

impl From<String> for CelProblem {
    fn from(message: String) -> Self {
        let place = None;
        Self { message, place }
    }
}

impl From<&str> for CelProblem {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

impl fmt::Display for CelProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(LineColumn { line, column }) => {
                write!(f, "in CEL at {line}:{column}: {}", self.message)
            }
            None => write!(f, "in CEL: {}", self.message),
        }
    }
}

/// The offset at which these words first occur in a row, ignoring punctuation. A row after a dot is the tail of a
/// longer path; it is used only if there is no other.
fn found(text: &str, words: &[&str]) -> Option<usize> {
    let mut all = Vec::new();
    let mut after_dot = false;
    for token in tokens(text) {
        let word = text.get(token.start..token.end).unwrap_or_default();
        match token.kind {
            TokenKind::TokIdent | TokenKind::TokReservedWord => {
                all.push((token.start, word, after_dot));
            }
            TokenKind::TokString => {
                let word = word.trim_matches(['"', '\'']);
                all.push((token.start, word, true));
            }
            _ => {}
        }
        after_dot = token.kind == TokenKind::TokDot;
    }
    let mut rows = all.windows(words.len().max(1)).filter(|row| {
        row.iter()
            .map(|(_, word, _)| *word)
            .eq(words.iter().copied())
    });
    let first = rows.next()?;
    let unbound = std::iter::once(first)
        .chain(rows)
        .find(|row| !row[0].2)
        .unwrap_or(first);
    Some(unbound[0].0)
}

/// The tokens without white space and comments. Invalid tokens are left to the parser.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = Token> {
    let mut lexer = Lexer::new(text);
    let all = std::iter::from_fn(move || {
        let token = lexer.lex();
        (token.kind != TokenKind::TokEnd).then_some(token)
    });
    all.filter(|token| !matches!(token.kind, TokenKind::TokWhitespace | TokenKind::TokComment))
}

/// The place of an offset.
pub(super) fn place_of(text: &str, offset: usize) -> LineColumn {
    let before = text.get(..offset).unwrap_or(text);
    let of_line = before.rsplit('\n').next().unwrap_or_default();
    LineColumn {
        line: before.matches('\n').count() + 1,
        column: of_line.chars().count() + 1,
    }
}

/// The place of a parser's error, which counts columns in bytes from 1. None if the parser gives 0.
pub(super) fn of_parser(text: &str, line: isize, column: isize) -> Option<LineColumn> {
    let line = usize::try_from(line).ok().filter(|line| *line > 0)?;
    let bytes = usize::try_from(column - 1).unwrap_or_default();
    let of_line = text.split('\n').nth(line - 1).unwrap_or_default();
    let before = of_line.get(..bytes).unwrap_or(of_line);
    let column = before.chars().count() + 1;
    Some(LineColumn { line, column })
}
