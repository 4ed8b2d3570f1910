//! Bounds on the text of an expression, checked before it is parsed: the parser recurses, and so does dropping its
//! tree. The tokens come from the parser's own lexer, so that no text is counted differently than it is parsed.

use cel::parser::pratt_parser::TokenKind;

use super::problem::{CelProblem, place_of, tokens};

/// The longest expression, in bytes.
pub(super) const BYTES_MAX: usize = 4096;
/// How deep brackets and operators may nest.
pub(super) const DEPTH_MAX: usize = 32;
/// How many names, literals and operators an expression may contain.
pub(super) const NODES_MAX: usize = 500;

/// How many fields, calls, indexes and operators may follow one another: each is a level of the parser's tree.
const CHAIN_MAX: usize = 160;

/// Checks the text of an expression.
///
/// # Errors
/// Which bound the text exceeds, and where.
pub(super) fn check(text: &str) -> Result<(), CelProblem> {
    if text.len() > BYTES_MAX {
        return Err(CelProblem::from(format!(
            "an expression may be {BYTES_MAX} bytes long, this one has {}",
            text.len()
        )));
    }
    let mut depth = 0usize;
    let mut nodes = 0;
    let mut chains = Chains::default();
    for token in tokens(text) {
        chains.take(token.kind);
        match token.kind {
            TokenKind::TokLeftParen => depth += 1,
            TokenKind::TokLeftBracket | TokenKind::TokLeftBrace => {
                depth += 1;
                nodes += 1;
            }
            TokenKind::TokRightParen | TokenKind::TokRightBracket | TokenKind::TokRightBrace => {
                depth = depth.saturating_sub(1);
            }
            kind if is_node(kind) => nodes += 1,
            _ => {}
        }
        let broken = if depth > DEPTH_MAX {
            format!("brackets are nested deeper than {DEPTH_MAX} levels")
        } else if nodes > NODES_MAX {
            format!("an expression may contain {NODES_MAX} names, literals and operators")
        } else if chains.longest() > CHAIN_MAX {
            format!("more than {CHAIN_MAX} fields, calls and operators follow one another")
        } else {
            continue;
        };
        return Err(CelProblem::at(broken, place_of(text, token.start)));
    }
    Ok(())
}

/// Estimates how deep the parser's tree becomes, from the open brackets, outermost first. A row of `&&` or `||` is not
/// a chain.
struct Chains(Vec<Chain>);

#[derive(Clone, Copy, Default)]
struct Chain {
    /// How many operators follow one another.
    links: usize,
    /// The longest chain in closed brackets.
    inner: usize,
}

impl Default for Chains {
    fn default() -> Self {
        Self(vec![Chain::default()])
    }
}

impl Chains {
    fn take(&mut self, kind: TokenKind) {
        match kind {
            TokenKind::TokLeftParen | TokenKind::TokLeftBracket | TokenKind::TokLeftBrace => {
                self.link();
                self.0.push(Chain::default());
            }
            TokenKind::TokRightParen | TokenKind::TokRightBracket | TokenKind::TokRightBrace => {
                let closed = self.0.pop().unwrap_or_default();
                if self.0.is_empty() {
                    self.0.push(Chain::default());
                }
                let closed = closed.links + closed.inner;
                self.last(|chain| chain.inner = chain.inner.max(closed));
            }
            TokenKind::TokComma | TokenKind::TokLogicalAnd | TokenKind::TokLogicalOr => {
                self.last(|chain| chain.links = 0);
            }
            TokenKind::TokDot
            | TokenKind::TokQuestion
            | TokenKind::TokExclamation
            | TokenKind::TokMinus => self.link(),
            other if is_binary(other) => self.link(),
            _ => {}
        }
    }

    fn link(&mut self) {
        self.last(|chain| chain.links += 1);
    }

    fn last(&mut self, change: impl FnOnce(&mut Chain)) {
        if let Some(chain) = self.0.last_mut() {
            change(chain);
        }
    }

    fn longest(&self) -> usize {
        let links: usize = self.0.iter().map(|chain| chain.links).sum();
        links
            + self
                .0
                .iter()
                .map(|chain| chain.inner)
                .max()
                .unwrap_or_default()
    }
}

/// Every part of a tree has one of these tokens: a binary operator is counted by its second operand.
fn is_node(kind: TokenKind) -> bool {
    !matches!(
        kind,
        TokenKind::TokDot | TokenKind::TokComma | TokenKind::TokColon
    ) && !is_binary(kind)
}

fn is_binary(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::TokPlus
            | TokenKind::TokAsterisk
            | TokenKind::TokSlash
            | TokenKind::TokPercent
            | TokenKind::TokIn
            | TokenKind::TokEqual
            | TokenKind::TokEqualEqual
            | TokenKind::TokExclamationEqual
            | TokenKind::TokLess
            | TokenKind::TokLessEqual
            | TokenKind::TokGreater
            | TokenKind::TokGreaterEqual
            | TokenKind::TokLogicalAnd
            | TokenKind::TokLogicalOr
    )
}
