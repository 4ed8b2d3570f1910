//! Where in the text of an expression something is wrong. The parser forgets the places of what it accepts, so names are
//! looked for in the text again.

use std::fmt;

use cel::parser::pratt_parser::TokenKind;

use super::bounds::tokens;
use crate::problems::{Place, Problems};
use crate::yaml::Node;

/// What is wrong with an expression, and where in its text if that is known.
#[derive(Debug)]
pub(crate) struct Wrong {
    message: String,
    place: Option<Place>,
}

impl Wrong {
    pub(super) fn at(message: String, place: Place) -> Self {
        Self {
            message,
            place: Some(place),
        }
    }

    /// Places it where these words stand in a row, if they do.
    pub(super) fn near(mut self, text: &str, words: &[&str]) -> Self {
        if self.place.is_none() {
            self.place = found(text, words).map(|offset| place_of(text, offset));
        }
        self
    }

    /// Reports it where it is in the file, or else where the expression begins, with its place in that.
    pub(crate) fn report(&self, node: &Node, problems: &mut Problems) {
        match (self.place, node.verbatim) {
            (Some(Place { line, column }), Some(begin)) => {
                let place = Place {
                    line: begin.line + line - 1,
                    column: begin.column + column - 1,
                };
                problems.at(place, format!("in CEL: {}", self.message));
            }
            _ => problems.at(node.place, self.to_string()),
        }
    }
}

impl From<String> for Wrong {
    fn from(message: String) -> Self {
        let place = None;
        Self { message, place }
    }
}

impl From<&str> for Wrong {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(Place { line, column }) => {
                write!(f, "in CEL at {line}:{column}: {}", self.message)
            }
            None => write!(f, "in CEL: {}", self.message),
        }
    }
}

/// Where these words first stand in a row, whatever signs are between them. A row that begins behind a dot is the rest of
/// another one, and is only taken when there is none that does not.
fn found(text: &str, words: &[&str]) -> Option<usize> {
    let (mut all, mut behind_dot) = (Vec::new(), false);
    for token in tokens(text) {
        let word = text.get(token.start..token.end).unwrap_or_default();
        match token.kind {
            TokenKind::TokIdent | TokenKind::TokReservedWord => {
                all.push((token.start, word, behind_dot));
            }
            TokenKind::TokString => {
                let word = word.trim_matches(['"', '\'']);
                all.push((token.start, word, true));
            }
            _ => {}
        }
        behind_dot = token.kind == TokenKind::TokDot;
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

/// The place of an offset.
pub(super) fn place_of(text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let of_line = before.rsplit('\n').next().unwrap_or_default();
    Place {
        line: before.matches('\n').count() + 1,
        column: of_line.chars().count() + 1,
    }
}

/// The place that the parser tells, which counts bytes from 1; none where it tells 0.
pub(super) fn of_parser(text: &str, (line, column): (isize, isize)) -> Option<Place> {
    let line = usize::try_from(line).ok().filter(|line| *line > 0)?;
    let bytes = usize::try_from(column - 1).unwrap_or_default();
    let of_line = text.split('\n').nth(line - 1).unwrap_or_default();
    let before = of_line.get(..bytes).unwrap_or(of_line);
    let column = before.chars().count() + 1;
    Some(Place { line, column })
}
